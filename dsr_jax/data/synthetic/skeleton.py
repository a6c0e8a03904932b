"""The kinematic chain of a posed skeleton."""

import itertools

import jax.numpy as jnp
import numpy as np

from dsr_jax.arrays import Array, Float
from dsr_jax.body import PARENTS


def product(
    a: Float[Array, "*batch N M"], b: Float[Array, "*batch M K"]
) -> Float[Array, "*batch N K"]:
    """Matrix product as plain sums.

    For many 3 × 3 matrices the compiler fuses these into one loop; a dot of its own for
    each step of a chain compiles several times slower. Always in full precision.
    """
    return jnp.sum(a[..., :, :, None] * b[..., None, :, :], axis=-2)


def _levels() -> list[list[int]]:
    """Joints by their depth in the tree."""
    depth: list[int] = []
    for parent in PARENTS:
        depth.append(0 if parent < 0 else depth[parent] + 1)
    return [
        [joint for joint, d in enumerate(depth) if d == level]
        for level in range(max(depth) + 1)
    ]


_LEVELS = _levels()
_ORDER = np.argsort([joint for level in _LEVELS for joint in level])


def world_rotations(
    pose: Float[Array, "*batch 24 3 3"],
) -> Float[Array, "*batch 24 3 3"]:
    """Rotation of each joint's part in the axes that pose[0] leads to."""
    rotations = [pose[..., :1, :, :]]
    for above, level in itertools.pairwise(_LEVELS):
        parents = np.array([above.index(PARENTS[joint]) for joint in level])
        turned = rotations[-1][..., parents, :, :]
        rotations.append(product(turned, pose[..., np.array(level), :, :]))
    return jnp.concatenate(rotations, axis=-3)[..., _ORDER, :, :]


def joint_positions(
    rotations: Float[Array, "*batch 24 3 3"], rest_joints: Float[Array, "24 3"]
) -> Float[Array, "*batch 24 3"]:
    """Joints in metres, the pelvis at the origin."""
    parents = np.array(PARENTS[1:])
    bones = rest_joints[1:] - rest_joints[parents]
    turned = rotations[..., parents, :, :]
    steps = product(turned, jnp.broadcast_to(bones[..., None], (*turned.shape[:-1], 1)))
    positions = [jnp.zeros_like(steps[..., 0, :, 0])]
    for joint, parent in enumerate(PARENTS[1:]):
        positions.append(positions[parent] + steps[..., joint, :, 0])
    return jnp.stack(positions, axis=-2)
