"""The released cleaning: labels count only inside the box of the keypoints."""

import jax.numpy as jnp
import numpy as np

from dsr_jax.arrays import Array, Float, Integer

# Both from the authors' released code: a parser without instances also labels the
# person's neighbours, so labels count only near the person's own keypoints.
KEYPOINT_CONFIDENCE = 0.3
KEYPOINT_MARGIN_PX = 30.0


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
