"""Cleaning label maps: whose labels they are, which to trust, and which count."""

from dsr_jax.semantics.cleaning.chain import (
    Change,
    CleanedLabels,
    clean_labels,
    label_validity,
)
from dsr_jax.semantics.cleaning.enough_pixels import (
    MINIMAL_CLOTHING_LABELS,
    MINIMUM_LABEL_PIXELS,
    class_counts,
    minimal_clothing_mask,
    minimal_clothing_validity,
    minimum_pixels,
)
from dsr_jax.semantics.cleaning.keypoint_box import (
    KEYPOINT_CONFIDENCE,
    KEYPOINT_MARGIN_PX,
    clean_label_map,
)
from dsr_jax.semantics.cleaning.settings import (
    RELEASED_CLEANING,
    UNCLEANED,
    CleaningSettings,
)

__all__ = [
    "KEYPOINT_CONFIDENCE",
    "KEYPOINT_MARGIN_PX",
    "MINIMAL_CLOTHING_LABELS",
    "MINIMUM_LABEL_PIXELS",
    "RELEASED_CLEANING",
    "UNCLEANED",
    "Change",
    "CleanedLabels",
    "CleaningSettings",
    "class_counts",
    "clean_label_map",
    "clean_labels",
    "label_validity",
    "minimal_clothing_mask",
    "minimal_clothing_validity",
    "minimum_pixels",
]
