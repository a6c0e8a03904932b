"""DSR-FB, the baseline without clothing: the body against the person's silhouette."""

import jax
import jax.numpy as jnp

from dsr_jax.arrays import Array, Bool, Float, Integer
from dsr_jax.losses.dsr_mc import soft_distance_loss, soft_iou_loss
from dsr_jax.semantics import distance_field, minimum_pixels

SILHOUETTE_METRICS = ("soft_iou", "soft_distance", "cross_entropy")

# Coverages nearer to 0 or 1 than this count as that near, without a derivative, in the
# cross-entropy: 9.2 nats at most, as in DSR-C.
_COVERAGE_FLOOR = 1e-4


def person_mask(labels: Integer[Array, "*batch H W"]) -> Float[Array, "*batch H W"]:
    """1 where the label is any but the background, `VOID` included."""
    return (labels > 0).astype(jnp.float32)


def person_validity(labels: Integer[Array, "*batch H W"]) -> Bool[Array, "*batch"]:
    """Whether the person has enough pixels to count, see `minimum_pixels`."""
    area = jnp.sum(person_mask(labels), (-2, -1))
    return area >= minimum_pixels(*labels.shape[-2:])


@jax.named_scope("silhouette_loss")
def silhouette_loss(
    alpha: Float[Array, "*batch H W"],
    mask: Float[Array, "*batch H W"],
    metric: str,
) -> Float[Array, "*batch"]:
    """Difference between the body's coverage and the person's silhouette.

    Args:
      alpha: coverage in [0, 1].
      mask: 1 on the person, 0 elsewhere.
      metric: "soft_iou" and "soft_distance" as in DSR-MC; "cross_entropy" is the mean
        over pixels of the binary cross-entropy, in nats: what DSR §5.1 describes
        as "a per pixel binary classification loss".

    Raises:
      ValueError: another metric.
    """
    if metric == "soft_iou":
        return soft_iou_loss(alpha, mask)
    if metric == "soft_distance":
        return soft_distance_loss(alpha, distance_field(mask))
    if metric == "cross_entropy":
        right = jnp.where(mask > 0, alpha, 1 - alpha)
        likely = right > _COVERAGE_FLOOR
        return jnp.mean(-jnp.log(jnp.where(likely, right, _COVERAGE_FLOOR)), (-2, -1))
    raise ValueError(f"metric {metric!r} is not one of {SILHOUETTE_METRICS}")
