"""What a training step sees of the data, from files and from synthetic people alike."""

import dataclasses
import typing

import jax
import numpy as np

from dsr_jax.arrays import Array, Float, UInt8


# JAX rebuilds it with whatever a tree map returns: shapes, shardings, None.
@typing.no_type_check
@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Batch:
    """B examples: square crops with one person each, and what is known about them.

    A field that an example has no annotation for holds zeros of the right shape, and
    its confidence or `has_…` weight is 0.
    """

    image: UInt8[Array | np.ndarray, "B H W 3"]
    """RGB."""
    labels: UInt8[Array | np.ndarray, "B H W"]
    """Clothing labels of the CIHP taxonomy."""
    has_labels: Float[Array | np.ndarray, "B"]
    """1 where `labels` is an annotation, else 0."""
    keypoints_ndc: Float[Array | np.ndarray, "B 49 3"]
    """x right, y up in the crop's NDC, confidence in [0, 1]; OpenPose 25 + gt 24."""
    joints: Float[Array | np.ndarray, "B 24 4"]
    """Metres, camera axes, confidence; the last 24 of the 49."""
    pose: Float[Array | np.ndarray, "B 24 3 3"]
    """Rotation matrices; the first turns the body to the camera's axes."""
    betas: Float[Array | np.ndarray, "B 10"]
    """Shape coefficients."""
    has_body: Float[Array | np.ndarray, "B"]
    """1 where `pose` and `betas` are annotations, else 0."""
    camera: Float[Array | np.ndarray, "B 3"]
    """The true weak camera [s, tx, ty] where it is known (synthetic people), else 0."""
