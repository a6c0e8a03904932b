"""What a body model holds, what varies from person to person, and what comes out.

Containers only. jax transformations rebuild them with leaves that are not arrays
(axis numbers, shapes, placeholders), so their fields are not checked at run time;
`pose_body` and `body_joints` check what they are given.
"""

import dataclasses
import typing

import jax

from dsr_jax.arrays import Array, Float, Int


@typing.no_type_check
@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class JointSet:
    """J named points, each a fixed combination of a mesh's joints and vertices."""

    from_joints: Float[Array, "J 24"]
    from_vertices: Float[Array, "J V"]
    names: tuple[str, ...] = dataclasses.field(metadata={"static": True})


@typing.no_type_check
@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class BodyModel:
    """An SMPL-like body: shape and pose blend shapes, then linear blend skinning.

    Body axes: x to the person's left, y up, z forward, in the rest pose (a T). Metres.
    """

    template: Float[Array, "V 3"]
    """Vertices of the mean person in the rest pose, metres."""

    shape_directions: Float[Array, "V 3 10"]
    """Displacement per unit of each beta, metres."""

    pose_directions: Float[Array, "V 3 P"]
    """Displacement per unit of each entry of (R − I) of joints 1 to 23, row by row,
    metres; P = 207, or 0 for a body without pose correctives."""

    skinning_weights: Float[Array, "V 24"]
    """How much each vertex follows each joint; rows sum to 1."""

    joint_regressor: Float[Array, "24 V"]
    """Rest-pose joints from rest-pose vertices; rows sum to 1."""

    faces: Int[Array, "F 3"]
    """Vertex indices, counter-clockwise seen from outside; int32."""

    joint_sets: dict[str, JointSet]
    """Evaluation joints and keypoints by name; see `dsr_jax.body.keypoints`."""

    name: str = dataclasses.field(metadata={"static": True})
    """`free`, `free-lite`, or the path of the file it came from."""

    parents: tuple[int, ...] = dataclasses.field(metadata={"static": True})
    """Parent of each joint, −1 for the root; a parent comes before its children."""


@typing.no_type_check
@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class BodyParams:
    """One person, or a batch: how it stands and who it is."""

    pose: Float[Array, "*batch 24 3 3"]
    """Rotation of each joint relative to its parent; pose[0] turns body axes into
    camera axes."""

    betas: Float[Array, "*batch 10"]
    """Shape coefficients, in standard deviations."""


@typing.no_type_check
@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class BodyMesh:
    """A posed body in camera axes, not yet translated, metres."""

    vertices: Float[Array, "*batch V 3"]
    joints: Float[Array, "*batch 24 3"]
