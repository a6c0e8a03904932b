"""Training and evaluation data: batches, files, crops and augmentation."""

from dsr_jax.data.batch import Batch

__all__ = ["Batch"]
