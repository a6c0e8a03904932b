"""Where a point of the body's surface is, in terms that garments are cut in.

Everything is read off the rest pose of the mean body: its skinning weights, its joints
and a few landmarks of its shape. Nothing depends on a vertex numbering, so any body
with SMPL's skeleton wears the same clothes.
"""

import dataclasses
import typing

import jax
import jax.numpy as jnp

from dsr_jax.arrays import Array, Float, Int
from dsr_jax.body import JOINT_NAMES, BodyModel
from dsr_jax.numerics import geometry_einsum, safe_normalize

# Cloth spans the hollows of the body: its normals are averaged this often over the
# neighbouring faces.
_SMOOTHING_STEPS = 6
# A point that follows the arm's bones by this much is on the arm.
_ARM_WEIGHT = 0.2
# The nose's tip is this fraction of the head's height below its top (anthropometry:
# the eyes are half-way, the nose's base two thirds down).
_NOSE_FROM_TOP = 0.63

_ARM_JOINTS = [
    i
    for i, name in enumerate(JOINT_NAMES)
    if name.endswith(("shoulder", "elbow", "wrist", "hand"))
]


@typing.no_type_check
@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Points:
    """Points of the surface, of any shape: vertices, or what each pixel sees.

    `x`, `y`, `z` metres in the rest pose, x to the person's left, y up, z forward.
    `arm` along the arm: 0 shoulder, 1 elbow, 2 wrist, 3 finger tips; below 0 elsewhere.
    `height` up the body: −3 sole, −2 ankle, −1 knee, 0 hip joint, 1 neck, 2 top.
    """

    x: Array
    y: Array
    z: Array
    arm: Array
    height: Array


@typing.no_type_check
@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Landmarks:
    """Where the parts of the rest pose are: scalars, metres."""

    chin_y: Array
    head_height: Array
    """From the chin to the top."""
    head_z: Array
    """The middle of the head from front to back."""
    nose_z: Array
    neck_y: Array
    """The base of the neck, where a collar lies."""
    neck_z: Array
    shoulder_x: Array
    crotch_y: Array


@typing.no_type_check
@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Surface:
    """A body model seen by a tailor."""

    points: Points
    """The vertices, (V,) each."""
    normals: Float[Array, "V 3"]
    """Outward, in the rest pose, smoothed."""
    cloth_normals: Float[Array, "V 3"]
    """The same, smoothed as cloth is."""
    landmarks: Landmarks
    levels: Int[Array, "R M"]
    """Vertices of the trunk and the legs nearest to each height of `LEVELS`."""


# Heights of the slices that skirts are wrapped around.
LEVELS = tuple(0.5 - 0.18 * i for i in range(14))
_VERTICES_A_LEVEL = 56


def survey(model: BodyModel) -> Surface:
    """Computes the surface coordinates of a body model; pure, cheap, traceable."""
    rest = model.template
    joints = geometry_einsum("jv,vc->jc", model.joint_regressor, rest)
    on_arm = jnp.sum(model.skinning_weights[:, jnp.array(_ARM_JOINTS)], axis=1)
    landmarks = _landmarks(rest, joints, on_arm)
    points = _points(rest, joints, on_arm, landmarks)
    normals = _vertex_normals(rest, model.faces)
    smooth = normals
    for _ in range(_SMOOTHING_STEPS):
        smooth = _smooth(smooth, model.faces)
    return Surface(points, normals, smooth, landmarks, _levels(points))


def _landmarks(rest: Array, joints: Array, on_arm: Array) -> Landmarks:
    """Read off the outline: the nose is the foremost point above the neck joint."""
    top = jnp.max(rest[:, 1])
    neck, shoulder = joints[JOINT_NAMES.index("neck")], _joint(joints, "left_shoulder")
    above = rest[:, 1] > neck[1] + 0.25 * (top - neck[1])
    nose = rest[jnp.argmax(jnp.where(above, rest[:, 2], -jnp.inf))]
    chin = top - (top - nose[1]) / _NOSE_FROM_TOP
    at_nose = rest[:, 1] > nose[1]
    back_z = jnp.min(jnp.where(at_nose, rest[:, 2], jnp.inf))
    neck_y = shoulder[1] + 0.45 * (chin - shoulder[1])
    at_neck = jnp.abs(rest[:, 1] - 0.5 * (neck_y + chin)) < 0.03
    neck_front = jnp.max(jnp.where(at_neck, rest[:, 2], -jnp.inf))
    neck_back = jnp.min(jnp.where(at_neck, rest[:, 2], jnp.inf))
    in_middle = (jnp.abs(rest[:, 0]) < 0.015) & (on_arm < _ARM_WEIGHT)
    return Landmarks(
        chin_y=chin,
        head_height=top - chin,
        head_z=0.5 * (nose[2] + back_z),
        nose_z=nose[2],
        neck_y=neck_y,
        neck_z=0.5 * (neck_front + neck_back),
        shoulder_x=shoulder[0],
        crotch_y=jnp.min(jnp.where(in_middle, rest[:, 1], jnp.inf)),
    )


def _joint(joints: Array, name: str) -> Array:
    return joints[JOINT_NAMES.index(name)]


def _points(rest: Array, joints: Array, on_arm: Array, marks: Landmarks) -> Points:
    x, y, z = rest[:, 0], rest[:, 1], rest[:, 2]
    beyond = jnp.abs(x)
    names = ("left_shoulder", "left_elbow", "left_wrist")
    knots = [_joint(joints, name)[0] for name in names]
    along = jnp.interp(
        beyond,
        jnp.stack([jnp.zeros_like(knots[0]), *knots, jnp.max(beyond)]),
        jnp.array([-1.0, 0.0, 1.0, 2.0, 3.0]),
    )
    arm = along - (1 - jnp.clip(on_arm / _ARM_WEIGHT, 0, 1))
    below = [_joint(joints, f"left_{name}")[1] for name in ("ankle", "knee", "hip")]
    top = marks.chin_y + marks.head_height
    height = jnp.interp(
        y,
        jnp.stack([jnp.min(y), *below, marks.neck_y, top]),
        jnp.array([-3.0, -2.0, -1.0, 0.0, 1.0, 2.0]),
    )
    return Points(x, y, z, arm, height)


def _vertex_normals(rest: Array, faces: Array) -> Array:
    corners = rest[faces]
    across = jnp.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    total = jnp.zeros_like(rest)
    for corner in range(3):
        total = total.at[faces[:, corner]].add(across)
    return safe_normalize(total)


def _smooth(normals: Array, faces: Array) -> Array:
    mean = jnp.sum(normals[faces], axis=1)
    total = jnp.zeros_like(normals)
    for corner in range(3):
        total = total.at[faces[:, corner]].add(mean)
    return safe_normalize(total)


def _levels(points: Points) -> Array:
    away = jnp.abs(points.height[None, :] - jnp.array(LEVELS)[:, None])
    away = jnp.where(points.arm[None, :] > -0.9, jnp.inf, away)
    _, nearest = jax.lax.top_k(-away, _VERTICES_A_LEVEL)
    return nearest
