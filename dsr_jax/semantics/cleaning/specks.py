"""Specks: regions of one label too small to be a part of a person."""

import math

import cv2
import numpy as np

from dsr_jax.arrays import Bool, UInt8
from dsr_jax.semantics.cleaning.enough_pixels import value_counts

_Window = tuple[slice, slice]


def remove_specks(
    labels: UInt8[np.ndarray, "H W"], smallest: float
) -> UInt8[np.ndarray, "H W"]:
    """Gives regions of one label with fewer than `smallest` pixels to what is around.

    A region is connected by 8 neighbours; holes of background are regions, too. Each of
    its pixels takes the label of the nearest pixel of a larger region. For a speck
    inside one label that is the label around it; one on a border is shared by both
    sides, where a majority vote would push the border about.

    Args:
      labels: of the photo or a crop.
      smallest: pixels of `labels`, an area; specks of up to one pixel less go.

    Returns:
      The labels, unchanged if all regions are specks.
    """
    if smallest <= 1:
        return labels
    specks = small_regions(labels, smallest)
    if not specks.any() or specks.all():
        return labels
    clean = labels.copy()
    # One more pixel on every side has no speck: what is nearest lies within.
    window = _window(specks, 1)
    inside = specks[window]
    _, region = cv2.distanceTransformWithLabels(
        inside.astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    label_of = np.zeros(int(region.max()) + 1, np.uint8)
    label_of[region[~inside]] = labels[window][~inside]
    clean[window] = np.where(inside, label_of[region], labels[window])
    return clean


def small_regions(
    labels: UInt8[np.ndarray, "H W"], smallest: float
) -> Bool[np.ndarray, "H W"]:
    """Where a connected region of one label has fewer than `smallest` pixels."""
    specks = np.zeros(labels.shape, bool)
    person = _window(labels, 0)
    for label in np.flatnonzero(value_counts(labels)):
        window = person if label else _holes_window(labels, smallest)
        mask = labels[window] == label
        if label:
            # A part of the person: what is searched is smaller still.
            part = _window(mask, 0)
            window, mask = _inside(window, part), mask[part]
        _, regions, statistics, _ = cv2.connectedComponentsWithStats(
            mask.view(np.uint8)
        )
        small = statistics[:, cv2.CC_STAT_AREA] < smallest
        # Component 0 is what does not have the label.
        small[0] = False
        if small.any():
            specks[window] |= small[regions]
    return specks


def _holes_window(foreground: np.ndarray, smallest: float) -> _Window:
    """Where background may be a speck: about the foreground.

    The margin makes the strip of background along any side no speck, so that what
    touches it is none, as in the whole map.
    """
    rows, columns = _window(foreground, 0)
    sides = rows.stop - rows.start, columns.stop - columns.start
    return _window(foreground, math.ceil(smallest / max(1, min(sides))))


def _inside(outer: _Window, inner: _Window) -> _Window:
    """A window of a window, in the whole map."""
    rows, columns = (
        slice(a.start + b.start, a.start + b.stop)
        for a, b in zip(outer, inner, strict=True)
    )
    return rows, columns


def _window(
    mask: Bool[np.ndarray, "H W"] | UInt8[np.ndarray, "H W"], margin: int
) -> _Window:
    """Rows and columns of what is not 0, and `margin` more within the map."""
    left, top, width, height = cv2.boundingRect(mask.view(np.uint8))
    rows = slice(max(0, top - margin), top + height + margin)
    return rows, slice(max(0, left - margin), left + width + margin)
