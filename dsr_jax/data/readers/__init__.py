"""Readers of data sets as they are downloaded: people, photos and label maps."""

from dsr_jax.data.readers.coco import open_coco
from dsr_jax.data.readers.eft import open_eft
from dsr_jax.data.readers.h36m import open_h36m
from dsr_jax.data.readers.mpi_inf_3dhp import open_mpi_inf_3dhp
from dsr_jax.data.readers.opening import KINDS, open_people
from dsr_jax.data.readers.photographed import PhotographedPeople, skipped_lines
from dsr_jax.data.readers.threedpw import open_3dpw

__all__ = [
    "KINDS",
    "PhotographedPeople",
    "open_3dpw",
    "open_coco",
    "open_eft",
    "open_h36m",
    "open_mpi_inf_3dhp",
    "open_people",
    "skipped_lines",
]
