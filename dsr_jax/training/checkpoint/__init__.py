"""Checkpoints of a run: written behind its back, whole or not at all, and verified."""

from dsr_jax.training.checkpoint.checkpoints import SCORE, Checkpoints, Restored
from dsr_jax.training.checkpoint.folder import CHECKPOINTS, has_checkpoint
from dsr_jax.training.checkpoint.retention import Retention

__all__ = [
    "CHECKPOINTS",
    "SCORE",
    "Checkpoints",
    "Restored",
    "Retention",
    "has_checkpoint",
]
