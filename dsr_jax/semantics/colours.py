"""From the colours of a label picture to labels, damage included.

Programs that treat a label picture as a photo damage it: JPEG rings, and resizing
blends the colours on both sides of a border. What is left between is clear. So a pixel
is *certain* if its colour is near one label's, and an uncertain one takes the label of
the nearest certain pixel, if it is near and its colour may have come from the labels
around it. Anything else is a colour of no label, and an error.
"""

import cv2
import numpy as np

from dsr_jax.arrays import Bool, Int, UInt8
from dsr_jax.semantics.png import PngError
from dsr_jax.semantics.taxonomy import Taxonomy

# A colour is certain if no channel is off by more than this. The two closest colours
# of Graphonomy's palette are 34 apart, so that the answer is unique.
COLOUR_TOLERANCE = 16
# Pixels from an uncertain pixel to a certain one: JPEG works in blocks of 8, or of 16
# where it halves the colours' resolution, and blends up to half of one.
REPAIR_DISTANCE = 6
# How far a damaged colour may leave the range of the labels around it: JPEG overshoots.
_OVERSHOOT = 48
# Where a label is but a sliver, no certain pixel of it is left to explain its colours:
# as many such pixels are let pass for each damaged one that is explained.
_UNEXPLAINED_SHARE = 0.2


def is_palette_of(colours: UInt8[np.ndarray, "P 3"], taxonomy: Taxonomy) -> bool:
    """Whether every colour is one of the taxonomy's."""
    return bool(_nearest(colours, taxonomy)[1].max() <= COLOUR_TOLERANCE)


def has_colours_of(pixels: UInt8[np.ndarray, "H W 3"], taxonomy: Taxonomy) -> bool:
    """Whether some pixel has the colour of a label other than number 0."""
    labels, certain = _certain(pixels, taxonomy)
    return bool((certain & (labels > 0)).any())


def labels_of_colours(
    pixels: UInt8[np.ndarray, "H W 3"], taxonomy: Taxonomy
) -> UInt8[np.ndarray, "H W"]:
    """The label of each pixel's colour, slight damage repaired.

    Raises:
      PngError: some colours are of no label, nor damaged ones of labels near them.
    """
    labels, certain = _certain(pixels, taxonomy)
    if certain.all():
        return labels
    if not certain.any():
        raise _unknown(pixels, np.ones_like(certain), taxonomy)
    distance, source = _nearest_certain(certain)
    explained = _explained(pixels, labels, certain, taxonomy)
    wrong = ~certain & ((distance > REPAIR_DISTANCE) | ~explained)
    near = distance[wrong].max(initial=0) <= REPAIR_DISTANCE
    damaged = np.count_nonzero(~certain & explained)
    if wrong.any() and not (near and wrong.sum() <= _UNEXPLAINED_SHARE * damaged):
        raise _unknown(pixels, wrong, taxonomy)
    return np.where(certain, labels, labels.ravel()[source])


def _certain(
    pixels: UInt8[np.ndarray, "H W 3"], taxonomy: Taxonomy
) -> tuple[UInt8[np.ndarray, "H W"], Bool[np.ndarray, "H W"]]:
    """The nearest label of each pixel, and whether it is near enough."""
    codes = pixels.astype(np.uint32) @ np.array([65536, 256, 1], np.uint32)
    distinct, inverse = np.unique(codes, return_inverse=True)
    shifts = np.array([16, 8, 0], np.uint32)
    colours = (distinct[:, None] >> shifts & 255).astype(np.uint8)
    labels, distance = _nearest(colours, taxonomy)
    inverse = inverse.reshape(codes.shape)
    return labels[inverse], (distance <= COLOUR_TOLERANCE)[inverse]


def _nearest(
    colours: UInt8[np.ndarray, "N 3"], taxonomy: Taxonomy
) -> tuple[UInt8[np.ndarray, "N"], Int[np.ndarray, "N"]]:
    """The label of the nearest colour, and its largest difference in a channel."""
    difference = colours[:, None].astype(np.int16) - taxonomy.palette.astype(np.int16)
    distance = np.abs(difference).max(-1)
    return distance.argmin(-1).astype(np.uint8), distance.min(-1)


def _nearest_certain(
    certain: Bool[np.ndarray, "H W"],
) -> tuple[np.ndarray, Int[np.ndarray, "H W"]]:
    """Distance to the nearest certain pixel and its place in the flat image."""
    uncertain = (~certain).astype(np.uint8)
    distance, region = cv2.distanceTransformWithLabels(
        uncertain, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    place = np.zeros(region.max() + 1, np.int64)
    place[region[certain]] = np.flatnonzero(certain)
    return distance, place[region]


def _explained(
    pixels: np.ndarray, labels: np.ndarray, certain: np.ndarray, taxonomy: Taxonomy
) -> Bool[np.ndarray, "H W"]:
    """Whether each colour lies in the range of the certain labels around it."""
    colours = taxonomy.palette[labels].astype(np.int16)
    side = 2 * REPAIR_DISTANCE + 1
    window = np.ones((side, side), np.uint8)
    low = cv2.erode(np.where(certain[..., None], colours, 255).astype(np.uint8), window)
    high = cv2.dilate(np.where(certain[..., None], colours, 0).astype(np.uint8), window)
    values = pixels.astype(np.int16)
    above = values >= low.astype(np.int16) - _OVERSHOOT
    below = values <= high.astype(np.int16) + _OVERSHOOT
    return np.all(above & below, axis=-1)


def _unknown(pixels: np.ndarray, wrong: np.ndarray, taxonomy: Taxonomy) -> PngError:
    example = tuple(int(value) for value in pixels[wrong][0])
    return PngError(
        f"has {int(wrong.sum())} of {wrong.size} pixels in colours of no label of "
        f"{taxonomy.name}, such as RGB {example}; write label numbers or the palette's "
        "colours, and name the taxonomy if it is another",
        "unknown colours",
    )
