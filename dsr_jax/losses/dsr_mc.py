"""DSR-MC: the body's bare parts should cover exactly the image's bare parts."""

import jax
import jax.numpy as jnp
import numpy as np

from dsr_jax.arrays import Array, Float
from dsr_jax.numerics import safe_divide
from dsr_jax.semantics import distance_field

METRICS = ("soft_iou", "soft_distance")

# Pixels. Below so small a rendered area, soft_distance_loss keeps its denominator:
# it would otherwise pass float32's range as the render vanishes.
_SMALLEST_AREA = 1e-6


@jax.named_scope("soft_iou_loss")
def soft_iou_loss(
    rendered: Float[Array | np.ndarray, "*batch H W"],
    target: Float[Array | np.ndarray, "*batch H W"],
) -> Float[Array, "*batch"]:
    """1 − Σ P·G / Σ (P + G − P·G), summed over the pixels of each example.

    DSR eq. 3 is the fraction, which should grow, and so is 1 minus it here.

    Args:
      rendered: P in [0, 1].
      target: G in [0, 1].

    Returns:
      In [0, 1]; 0 where both are the same binary image. An empty target gives 1 and a
      zero gradient whatever is rendered, an empty render included.
    """
    overlap = jnp.sum(rendered * target, (-2, -1))
    union = jnp.sum(rendered + target - rendered * target, (-2, -1))
    return 1 - safe_divide(overlap, union)


@jax.named_scope("soft_distance_loss")
def soft_distance_loss(
    rendered: Float[Array | np.ndarray, "*batch H W"],
    distance_px: Float[Array | np.ndarray, "*batch H W"],
) -> Float[Array, "*batch"]:
    """Σ R·d / (Σ R)^1.5, summed over the pixels of each example (DSR eq. 2).

    Args:
      rendered: R ≥ 0.
      distance_px: d, 0 inside the target and the distance to it outside, pixels.

    Returns:
      0 where the render lies inside the target, and 0 for an empty render. The power
      1.5 takes the gain out of shrinking. Finite, with finite derivatives: a rendered
      area below 1e-6 pixels counts as that much in the denominator.
    """
    area = jnp.sum(rendered, (-2, -1))
    moment = jnp.sum(rendered * distance_px, (-2, -1))
    large = area > _SMALLEST_AREA
    return moment / jnp.where(large, area, _SMALLEST_AREA) ** 1.5


def minimal_clothing_loss(
    rendered: Float[Array, "*batch H W"],
    mask: Float[Array, "*batch H W"],
    metric: str,
) -> Float[Array, "*batch"]:
    """DSR-MC between the rendered probability and the mask of minimal clothing.

    Raises:
      ValueError: `metric` is not one of `METRICS`.
    """
    if metric == "soft_iou":
        return soft_iou_loss(rendered, mask)
    if metric == "soft_distance":
        return soft_distance_loss(rendered, distance_field(mask))
    raise ValueError(f"metric {metric!r} is not one of {METRICS}")
