"""Losses: joints, body parameters, and the terms of semantic rendering."""

from dsr_jax.losses.dsr_c import (
    calibrated_nll_loss,
    clothing_nll_loss,
    clothing_validity,
    composite_probabilities,
    inside_nll_loss,
    sample_class_weights,
    tolerant_classes,
)
from dsr_jax.losses.dsr_mc import (
    minimal_clothing_loss,
    soft_distance_loss,
    soft_iou_loss,
)
from dsr_jax.losses.keypoint import (
    joint_3d_loss,
    joint_3d_validity,
    keypoint_2d_loss,
    keypoint_weights,
)
from dsr_jax.losses.objective import (
    TERMS,
    ObjectiveSettings,
    Term,
    dsr_terms,
    inactive_dsr_terms,
    standard_terms,
    term_validity,
    weighted_sum,
)
from dsr_jax.losses.parameter import betas_loss, camera_loss, pose_loss
from dsr_jax.losses.silhouette import person_mask, person_validity, silhouette_loss

__all__ = [
    "TERMS",
    "ObjectiveSettings",
    "Term",
    "betas_loss",
    "calibrated_nll_loss",
    "camera_loss",
    "clothing_nll_loss",
    "clothing_validity",
    "composite_probabilities",
    "dsr_terms",
    "inactive_dsr_terms",
    "inside_nll_loss",
    "joint_3d_loss",
    "joint_3d_validity",
    "keypoint_2d_loss",
    "keypoint_weights",
    "minimal_clothing_loss",
    "person_mask",
    "person_validity",
    "pose_loss",
    "sample_class_weights",
    "silhouette_loss",
    "soft_distance_loss",
    "soft_iou_loss",
    "standard_terms",
    "term_validity",
    "tolerant_classes",
    "weighted_sum",
]
