"""From body parameters to a posed mesh: SMPL's equations (Loper et al. 2015).

shaped = template + S β                                         shape blend, eq. 8
joints = regressor · shaped                                     eq. 10
posed  = shaped + P vec(R − I)                                  pose blend, eq. 9
vertex = Σ_j w_j (G_j · (vertex − joint_j) + posed joint_j)     skinning, eq. 2–4
"""

import itertools

import jax
import jax.numpy as jnp
import numpy as np

from dsr_jax.arrays import Array, Float
from dsr_jax.body.model import BodyMesh, BodyModel, BodyParams
from dsr_jax.numerics import geometry_einsum


def pose_body(model: BodyModel, params: BodyParams) -> BodyMesh:
    """Poses a body; any leading batch shape, differentiable in pose and betas.

    Args:
      model: see `load_body`.
      params: pose (*batch, 24, 3, 3) rotation matrices, betas (*batch, 10).

    Returns:
      Vertices (*batch, V, 3) and joints (*batch, 24, 3), metres, in the axes that
      pose[0] leads to, around the body model's own origin.

    Raises:
      ValueError: pose and betas of the wrong shape or of different batch shapes.
    """
    _check(model, params)
    with jax.named_scope("shape_blend"):
        shaped = _add_template(model.template, model.shape_directions, params.betas)
        joints = geometry_einsum("jv,...vc->...jc", model.joint_regressor, shaped)
    with jax.named_scope("pose_blend"):
        posed = shaped + _pose_displacements(model.pose_directions, params.pose)
    with jax.named_scope("kinematic_chain"):
        rotations, posed_joints = _forward_kinematics(
            params.pose, joints, model.parents
        )
    with jax.named_scope("skinning"):
        vertices = _skin(posed, joints, rotations, posed_joints, model.skinning_weights)
    return BodyMesh(vertices=vertices, joints=posed_joints)


def _check(model: BodyModel, params: BodyParams) -> None:
    joints, betas = len(model.parents), model.shape_directions.shape[-1]
    pose_shape, betas_shape = jnp.shape(params.pose), jnp.shape(params.betas)
    if pose_shape[-3:] != (joints, 3, 3):
        raise ValueError(f"pose must be (*batch, {joints}, 3, 3), got {pose_shape}")
    if betas_shape[-1:] != (betas,):
        raise ValueError(f"betas must be (*batch, {betas}), got {betas_shape}")
    if pose_shape[:-3] != betas_shape[:-1]:
        raise ValueError(
            f"pose {pose_shape} and betas {betas_shape} differ in their batch shape"
        )


def _add_template(
    template: Float[Array, "V 3"],
    directions: Float[Array, "V 3 S"],
    betas: Float[Array, "*batch S"],
) -> Float[Array, "*batch V 3"]:
    """The person in the rest pose."""
    displacement = geometry_einsum("vcs,...s->...vc", directions, betas)
    return jnp.broadcast_to(template, displacement.shape) + displacement


def _pose_displacements(
    directions: Float[Array, "V 3 P"], pose: Float[Array, "*batch J 3 3"]
) -> Float[Array, "*batch V 3"]:
    """Pose correctives: how skin bulges; zero for a body that has none."""
    batch = pose.shape[:-3]
    if directions.shape[-1] == 0:
        return jnp.zeros((*batch, directions.shape[0], 3), pose.dtype)
    bent = pose[..., 1:, :, :]
    feature = bent - jnp.broadcast_to(jnp.eye(3, dtype=pose.dtype), bent.shape)
    return geometry_einsum("vcp,...p->...vc", directions, feature.reshape(*batch, -1))


def _forward_kinematics(
    pose: Float[Array, "*batch J 3 3"],
    joints: Float[Array, "*batch J 3"],
    parents: tuple[int, ...],
) -> tuple[Float[Array, "*batch J 3 3"], Float[Array, "*batch J 3"]]:
    """World rotation and position of every joint, one depth of the tree at a time.

    Joints of equal depth share one product: nine small steps instead of 24.
    """
    levels = _tree_levels(parents)
    rotation, position = pose[..., levels[0], :, :], joints[..., levels[0], :]
    rotations, positions = [rotation], [position]
    for above, level in itertools.pairwise(levels):
        parent = np.array([parents[joint] for joint in level])
        in_level_above = np.array([above.index(p) for p in parent])
        offset = joints[..., level, :] - joints[..., parent, :]
        turned = rotation[..., in_level_above, :, :]
        position = position[..., in_level_above, :] + _apply(turned, offset)
        rotation = _product(turned, pose[..., level, :, :])
        rotations.append(rotation)
        positions.append(position)
    order = np.argsort(np.concatenate(levels))
    return (
        jnp.concatenate(rotations, axis=-3)[..., order, :, :],
        jnp.concatenate(positions, axis=-2)[..., order, :],
    )


def _tree_levels(parents: tuple[int, ...]) -> list[list[int]]:
    """Joints by their depth in the tree, the root first."""
    depth: list[int] = []
    for parent in parents:
        depth.append(0 if parent < 0 else depth[parent] + 1)
    return [
        [joint for joint, d in enumerate(depth) if d == level]
        for level in range(max(depth) + 1)
    ]


def _skin(
    posed: Float[Array, "*batch V 3"],
    joints: Float[Array, "*batch J 3"],
    rotations: Float[Array, "*batch J 3 3"],
    posed_joints: Float[Array, "*batch J 3"],
    weights: Float[Array, "V J"],
) -> Float[Array, "*batch V 3"]:
    """Linear blend skinning: each vertex goes through its mean 3 × 4 transform."""
    shift = posed_joints - _apply(rotations, joints)
    transforms = jnp.concatenate([rotations, shift[..., None]], axis=-1)
    blended = geometry_einsum("vj,...jab->...vab", weights, transforms)
    return _apply(blended[..., :3], posed) + blended[..., 3]


def _product(
    left: Float[Array, "*batch 3 3"], right: Float[Array, "*batch 3 3"]
) -> Float[Array, "*batch 3 3"]:
    """Product of small matrices, element by element.

    It fuses with its surroundings; as a batched `dot` of 3 × 3 matrices it does not,
    and XLA's CPU compiler (jax 0.10) fails on the one with two leading axes.
    """
    return jnp.sum(left[..., :, :, None] * right[..., None, :, :], axis=-2)


def _apply(
    matrix: Float[Array, "*batch 3 3"], vector: Float[Array, "*batch 3"]
) -> Float[Array, "*batch 3"]:
    return jnp.sum(matrix * vector[..., None, :], axis=-1)
