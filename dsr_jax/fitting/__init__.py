"""Fitting bodies to images by gradient descent: the losses as a tool of their own."""

from dsr_jax.fitting.descent import FitSettings, fit_bodies
from dsr_jax.fitting.exemplar import ExemplarSettings, fine_tune
from dsr_jax.fitting.pose_prior import PosePrior, learn_pose_prior, pose_prior_loss
from dsr_jax.fitting.start import start_at_keypoints

__all__ = [
    "ExemplarSettings",
    "FitSettings",
    "PosePrior",
    "fine_tune",
    "fit_bodies",
    "learn_pose_prior",
    "pose_prior_loss",
    "start_at_keypoints",
]
