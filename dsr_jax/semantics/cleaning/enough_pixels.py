"""Which labels of an example count: those with enough pixels, and with what weight."""

from collections.abc import Sequence

import cv2
import jax
import jax.numpy as jnp
import numpy as np

from dsr_jax.arrays import Array, Bool, Float, Int, Integer, UInt8
from dsr_jax.semantics.taxonomy import CIHP

# DSR §3 "DSR - Minimal-Clothing": labels whose outline is about the naked body's.
MINIMAL_CLOTHING_LABELS = ("left-arm", "right-arm", "left-shoe", "right-shoe", "face")

# The authors' released code: a label counts with more than 60 px of a 224 x 224 crop.
MINIMUM_LABEL_PIXELS = 60
REFERENCE_SIDE = 224


def minimum_pixels(height: float, width: float) -> float:
    """`MINIMUM_LABEL_PIXELS`, scaled to the area of a crop of another size."""
    return MINIMUM_LABEL_PIXELS * (height * width) / REFERENCE_SIDE**2


def value_counts(labels: UInt8[np.ndarray, "H W"]) -> Int[np.ndarray, "256"]:
    """How many pixels have each value, of a label map in NumPy."""
    # An eighth of the time of np.bincount, which makes int64 of every pixel first; its
    # float32 counts are exact up to 2²⁴ pixels, so larger maps are counted in parts.
    counts = np.zeros(256, np.int64)
    if not labels.size:
        return counts
    # Most of a photo is background, whose pixels need not be looked at one by one.
    left, top, width, height = cv2.boundingRect(np.ascontiguousarray(labels))
    counts[0] = labels.size - width * height
    rows = max(1, 2**24 // max(1, width))
    for start in range(top, top + height, rows):
        stop = min(start + rows, top + height)
        part = np.ascontiguousarray(labels[start:stop, left : left + width])
        histogram = cv2.calcHist([part], [0], None, [256], [0, 256])
        counts += histogram.ravel().astype(np.int64)
    return counts


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
