"""Which labels to trust: those near the person, and those with enough pixels."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from dsr_jax.arrays import Array, Bool, Float, Int, Integer
from dsr_jax.semantics.taxonomy import CIHP

# Both from the authors' released code: a parser without instances also labels the
# person's neighbours, so labels count only near the person's own keypoints.
KEYPOINT_CONFIDENCE = 0.3
KEYPOINT_MARGIN_PX = 30.0

# DSR §3 "DSR - Minimal-Clothing": labels whose outline is about the naked body's.
MINIMAL_CLOTHING_LABELS = ("left-arm", "right-arm", "left-shoe", "right-shoe", "face")

# The authors' released code: a label counts with more than 60 px of a 224 x 224 crop.
MINIMUM_LABEL_PIXELS = 60
_REFERENCE_PIXELS = 224 * 224


def clean_label_map(
    labels: Integer[Array | np.ndarray, "*batch H W"],
    keypoints_px: Float[Array | np.ndarray, "*batch N 3"],
    confidence: float = KEYPOINT_CONFIDENCE,
    margin_px: float = KEYPOINT_MARGIN_PX,
) -> Integer[Array | np.ndarray, "*batch H W"]:
    """Sets to background what lies outside the grown box of the person's keypoints.

    Args:
      labels: clothing labels, NumPy or JAX; the result is of the same kind and dtype.
      keypoints_px: u, v in pixels of `labels` and a confidence.
      confidence: keypoints count if theirs is greater than this.
      margin_px: how far the box of those that count is grown on every side.

    Returns:
      The labels inside the box, its border included; all background if no keypoint
      counts, for then nothing says which person is meant.
    """
    array = np if isinstance(labels, np.ndarray) else jnp
    counts = keypoints_px[..., 2:] > confidence
    points = keypoints_px[..., :2]
    low = array.where(counts, points, np.inf).min(-2) - margin_px
    high = array.where(counts, points, -np.inf).max(-2) + margin_px
    height, width = labels.shape[-2:]
    inside_u = _between(array.arange(width), low[..., 0], high[..., 0])
    inside_v = _between(array.arange(height), low[..., 1], high[..., 1])
    inside = inside_v[..., :, None] & inside_u[..., None, :]
    return array.where(inside, labels, array.zeros_like(labels))


def _between(
    values: Array | np.ndarray, low: Array | np.ndarray, high: Array | np.ndarray
) -> Array | np.ndarray:
    """(W,) values against (*batch) bounds: (*batch, W)."""
    values = values.reshape((1,) * low.ndim + values.shape)
    return (values >= low[..., None]) & (values <= high[..., None])


def minimum_pixels(height: int, width: int) -> float:
    """`MINIMUM_LABEL_PIXELS`, scaled to the area of a crop of another size."""
    return MINIMUM_LABEL_PIXELS * (height * width) / _REFERENCE_PIXELS


def class_counts(
    classes: Integer[Array, "*batch H W"], numbers: Sequence[int]
) -> Int[Array, "*batch K"]:
    """How many pixels of each of the classes `numbers` an image has, int32."""
    sums = [jnp.sum(classes == k, (-2, -1), dtype=jnp.int32) for k in numbers]
    return jnp.stack(sums, -1)


@jax.named_scope("minimal_clothing_validity")
def minimal_clothing_validity(
    labels: Integer[Array, "*batch H W"],
) -> Bool[Array, "*batch 5"]:
    """Which of `MINIMAL_CLOTHING_LABELS` an image has enough pixels of to count."""
    counts = class_counts(
        labels, [CIHP.index(name) for name in MINIMAL_CLOTHING_LABELS]
    )
    return counts > minimum_pixels(*labels.shape[-2:])


@jax.named_scope("minimal_clothing_mask")
def minimal_clothing_mask(
    labels: Integer[Array, "*batch H W"], valid: Bool[Array, "*batch 5"]
) -> Float[Array, "*batch H W"]:
    """G of DSR eq. 3: 1 where the label is a minimal-clothing one that counts."""
    mask = jnp.zeros(labels.shape, bool)
    for number, name in enumerate(MINIMAL_CLOTHING_LABELS):
        mask |= (labels == CIHP.index(name)) & valid[..., number, None, None]
    return mask.astype(jnp.float32)
