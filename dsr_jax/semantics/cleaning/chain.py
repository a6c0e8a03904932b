"""The cleaning chain: from a parser's label map to labels that a loss may trust.

    others    labels of other people become background       `others.remove_others`
    specks    regions of a few pixels go to what is around   `specks.remove_specks`
    refusal   maps that cannot be the person's are refused   `refusal.reason_to_refuse`
    validity  labels and classes with too few pixels do not count

Everything is NumPy and OpenCV, so that data-loading threads can run it.
"""

import dataclasses

import numpy as np

from dsr_jax.arrays import Bool, Float, UInt8
from dsr_jax.semantics.cleaning.enough_pixels import (
    MINIMAL_CLOTHING_LABELS,
    REFERENCE_SIDE,
    minimum_pixels,
    value_counts,
)
from dsr_jax.semantics.cleaning.others import remove_others
from dsr_jax.semantics.cleaning.refusal import reason_to_refuse
from dsr_jax.semantics.cleaning.settings import NONE, CleaningSettings
from dsr_jax.semantics.cleaning.specks import remove_specks
from dsr_jax.semantics.grouping import CLOTHING_4, Grouping
from dsr_jax.semantics.taxonomy import CIHP, NUM_LABELS


@dataclasses.dataclass(frozen=True, eq=False)
class Change:
    """What one step of the chain did."""

    step: str
    """ "others" or "specks"."""
    where: Bool[np.ndarray, "H W"]
    """The pixels whose label it changed."""

    @property
    def pixels(self) -> int:
        """How many they are."""
        return int(np.count_nonzero(self.where))


@dataclasses.dataclass(frozen=True, eq=False)
class CleanedLabels:
    """What the chain made of one label map."""

    labels: UInt8[np.ndarray, "H W"]
    refused: str | None
    """Why the map cannot be the person's ("shows nobody"); None if it can."""
    changes: tuple[Change, ...]
    """In the order of the steps."""
    mc_valid: Bool[np.ndarray, "5"]
    """Which of `MINIMAL_CLOTHING_LABELS` count for DSR-MC; none if refused."""
    class_valid: Bool[np.ndarray, "C"]
    """Which classes of DSR-C have enough pixels; none if refused."""
    class_weights: Float[np.ndarray, "C"]
    """Of DSR-C's classes, 0 to 1; 0 if refused."""


def clean_labels(
    labels: UInt8[np.ndarray, "H W"],
    keypoints_px: Float[np.ndarray, "N 3"] | None,
    settings: CleaningSettings,
    person_px: float | None = None,
    others_px: Float[np.ndarray, "P N 3"] | None = None,
    grouping: Grouping = CLOTHING_4,
) -> CleanedLabels:
    """Runs the chain on one label map.

    Args:
      labels: CIHP labels and `VOID`, of a whole photo or of a crop.
      keypoints_px: the person's, u and v in pixels of `labels` and a confidence; N is
        49, 25 or 24, see `skeleton`, or any other number of plain points. If None, or
        if no keypoint counts, nothing says which labels are the person's, and the
        steps that need to know are left out.
      settings: of the chain.
      person_px: side of the person's box in pixels of `labels`; by default `labels` is
        the crop of that box.
      others_px: keypoints of other people of the photo, as `keypoints_px`.
      grouping: DSR-C's classes.

    Returns:
      New labels of the same size, and what became of them. With `labels` a crop, the
      validity and the weights are those that the training step finds in it.
    """
    height, width = labels.shape
    area = float(height * width) if person_px is None else person_px**2
    side = area**0.5
    unit = side / REFERENCE_SIDE
    located = _located(keypoints_px, settings.keypoint_confidence)
    own = labels
    if located is not None and settings.others != NONE:
        own = remove_others(labels, located, settings, side, others_px)
    clean = remove_specks(own, settings.speck_px * unit**2)
    refused = None
    if settings.refuse:
        refused = reason_to_refuse(clean, located, settings, side)
    changes = Change("others", labels != own), Change("specks", own != clean)
    mc_valid, class_valid, class_weights = label_validity(clean, area, grouping)
    trusted = refused is None
    return CleanedLabels(
        clean,
        refused,
        changes,
        mc_valid & trusted,
        class_valid & trusted,
        class_weights * np.float32(trusted),
    )


def label_validity(
    labels: UInt8[np.ndarray, "H W"], area: float, grouping: Grouping = CLOTHING_4
) -> tuple[Bool[np.ndarray, "5"], Bool[np.ndarray, "C"], Float[np.ndarray, "C"]]:
    """`CleanedLabels.mc_valid`, `class_valid` and `class_weights` of clean labels.

    The same rules as `minimal_clothing_validity`, `clothing_validity` and
    `sample_class_weights` (of `dsr_jax.losses`) follow in the training step.

    Args:
      labels: CIHP labels and `VOID`.
      area: pixels of the crop that the labels are, or will become.
      grouping: DSR-C's classes.
    """
    enough = minimum_pixels(area, 1)
    counts = value_counts(labels)[:NUM_LABELS]
    mc_counts = counts[[CIHP.index(name) for name in MINIMAL_CLOTHING_LABELS]]
    class_counts = counts @ grouping.matrix().astype(np.int64)
    valid = class_counts >= enough
    smallest = class_counts[valid].min(initial=labels.size)
    weights = np.where(valid, smallest / np.maximum(class_counts, 1), 0)
    return mc_counts > enough, valid, weights.astype(np.float32)


def _located(
    keypoints_px: Float[np.ndarray, "N 3"] | None, confidence: float
) -> Float[np.ndarray, "N 3"] | None:
    """The keypoints, if any counts."""
    if keypoints_px is None or not np.any(keypoints_px[:, 2] > confidence):
        return None
    return keypoints_px
