"""The kinematic chain of a posed skeleton."""

import jax.numpy as jnp
import numpy as np

from dsr_jax.arrays import Array, Float
from dsr_jax.body import PARENTS
from dsr_jax.numerics import geometry_einsum


def world_rotations(pose: Float[Array, "*batch 24 3 3"]) -> Float[Array, "*batch 24 3 3"]:
    """Rotation of each joint's part in the axes of pose[0]'s parent frame."""
    rotations = [pose[..., 0, :, :]]
    for joint in range(1, len(PARENTS)):
        rotations.append(
            geometry_einsum(
                "...ab,...bc->...ac", rotations[PARENTS[joint]], pose[..., joint, :, :]
            )
        )
    return jnp.stack(rotations, axis=-3)


def joint_positions(
    rotations: Float[Array, "*batch 24 3 3"], rest_joints: Float[Array, "24 3"]
) -> Float[Array, "*batch 24 3"]:
    """Joints in metres, the pelvis at the origin."""
    parents = np.array(PARENTS[1:])
    bones = rest_joints[1:] - rest_joints[parents]
    steps = geometry_einsum("...jab,jb->...ja", rotations[..., parents, :, :], bones)
    positions = [jnp.zeros_like(steps[..., 0, :])]
    for joint, parent in enumerate(PARENTS[1:], start=1):
        positions.append(positions[parent] + steps[..., joint - 1, :])
    return jnp.stack(positions, axis=-2)
