"""Specks: regions of one label too small to be a part of a person."""

import cv2
import numpy as np

from dsr_jax.arrays import Bool, UInt8


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
    _, region = cv2.distanceTransformWithLabels(
        specks.astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    label_of = np.zeros(int(region.max()) + 1, np.uint8)
    label_of[region[~specks]] = labels[~specks]
    return np.where(specks, label_of[region], labels)


def small_regions(
    labels: UInt8[np.ndarray, "H W"], smallest: float
) -> Bool[np.ndarray, "H W"]:
    """Where a connected region of one label has fewer than `smallest` pixels."""
    specks = np.zeros(labels.shape, bool)
    for label in np.flatnonzero(np.bincount(labels.ravel(), minlength=256)):
        mask = (labels == label).astype(np.uint8)
        left, top, width, height = cv2.boundingRect(mask)
        window = slice(top, top + height), slice(left, left + width)
        _, regions, statistics, _ = cv2.connectedComponentsWithStats(mask[window])
        small = statistics[:, cv2.CC_STAT_AREA] < smallest
        # Component 0 is what does not have the label.
        small[0] = False
        specks[window] |= small[regions]
    return specks
