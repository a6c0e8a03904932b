"""The 24-joint kinematic tree of SMPL, and left-right mirroring of poses.

Joint order, parents and the flip permutation are those of the published SMPL model
(Loper et al., "SMPL: A Skinned Multi-Person Linear Model", 2015). Left and right are
the person's own.
"""

import jax.numpy as jnp
import numpy as np

from dsr_jax.arrays import Array, Float

JOINT_NAMES = (
    "pelvis",
    "left_hip",
    "right_hip",
    "spine1",
    "left_knee",
    "right_knee",
    "spine2",
    "left_ankle",
    "right_ankle",
    "spine3",
    "left_foot",
    "right_foot",
    "neck",
    "left_collar",
    "right_collar",
    "head",
    "left_shoulder",
    "right_shoulder",
    "left_elbow",
    "right_elbow",
    "left_wrist",
    "right_wrist",
    "left_hand",
    "right_hand",
)

# Index of each joint's parent; the root has none.
PARENTS = (
    *(-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8),
    *(9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21),
)


def flip_by_name(names: tuple[str, ...]) -> tuple[int, ...]:
    """Permutation that swaps the names `left_…` and `right_…`, wherever that stands."""
    return tuple(names.index(_other_side(name)) for name in names)


def _other_side(name: str) -> str:
    if "left_" in name:
        return name.replace("left_", "right_")
    return name.replace("right_", "left_")


# Joint i of the mirrored person is joint JOINT_FLIP[i] of the person.
JOINT_FLIP = np.array(flip_by_name(JOINT_NAMES))


def mirror_pose(pose: Float[Array, "*batch 24 3 3"]) -> Float[Array, "*batch 24 3 3"]:
    """The pose of the person seen in a mirror: R → M R M with M = diag(−1, 1, 1).

    In axis-angle terms: joints are permuted by `JOINT_FLIP` and y and z change sign.
    Holds for the global orientation too, when the image is mirrored left to right.
    """
    signs = jnp.array([-1, 1, 1], pose.dtype)
    pattern = jnp.broadcast_to(signs[:, None] * signs[None, :], pose.shape)
    return pose[..., JOINT_FLIP, :, :] * pattern


def mean_pose() -> Float[Array, "24 3 3"]:
    """Rest pose, upright and facing the camera: identities, but pose[0] = Rx(π).

    Rx(π) takes the body axes (y up, z forward) to the camera axes (y down, z away).
    """
    facing_camera = jnp.diag(jnp.array([1.0, -1.0, -1.0]))
    return jnp.tile(jnp.eye(3), (24, 1, 1)).at[0].set(facing_camera)
