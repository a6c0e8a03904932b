"""The points that are compared: joints and vertices, predicted and true, in float64."""

import dataclasses
import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from dsr_jax.arrays import Array, Float
from dsr_jax.body import (
    JOINT_NAMES,
    BodyModel,
    BodyParams,
    body_joints,
    joint_set_of,
    pose_body,
)
from dsr_jax.data import Batch
from dsr_jax.data.person import FEMALE, MALE, NEUTRAL
from dsr_jax.errors import UserError
from dsr_jax.evaluation.people import MeasuredPeople
from dsr_jax.evaluation.protocol import ANNOTATION, SMPL24, Protocol

_PELVIS = 0
_KEYS = {MALE: "body.male", FEMALE: "body.female"}


@dataclasses.dataclass(frozen=True)
class Bodies:
    """The body of the predictions, and those of true bodies with a gender."""

    neutral: BodyModel
    male: BodyModel | None = None
    female: BodyModel | None = None

    def of(self, gender: str, protocol: Protocol) -> BodyModel:
        """The body that a person's truth is posed with.

        Raises:
          UserError: there is none of this gender, or it has another mesh than the
            predictions.
        """
        if protocol.gender != ANNOTATION or gender == NEUTRAL:
            return self.neutral
        body = {MALE: self.male, FEMALE: self.female}[gender]
        if body is None:
            raise UserError(
                f"protocol '{protocol.name}': needs the body of gender '{gender}'; set "
                f"the config key '{_KEYS[gender]}' to its SMPL file"
            )
        vertices, own = len(body.template), len(self.neutral.template)
        if vertices != own:
            raise UserError(
                f"config key '{_KEYS[gender]}': {body.name} has {vertices} vertices, "
                f"and {self.neutral.name}, the body of the predictions, {own}; give "
                "bodies of one mesh"
            )
        return body


@dataclasses.dataclass(frozen=True)
class Points:
    """B people in metres, nothing aligned."""

    joints: Float[np.ndarray, "B J 3"]
    """Those that the protocol measures."""
    root: Float[np.ndarray, "B 3"]
    """The point that the protocol aligns."""
    vertices: Float[np.ndarray, "B V 3"] | None = None
    """None where the truth is no body, as the next."""
    pelvis: Float[np.ndarray, "B 3"] | None = None
    """SMPL's first joint."""

    def rows(self, rows: np.ndarray) -> "Points":
        """Some of the people, by a mask or numbers."""
        return Points(
            joints=self.joints[rows],
            root=self.root[rows],
            vertices=None if self.vertices is None else self.vertices[rows],
            pelvis=None if self.pelvis is None else self.pelvis[rows],
        )

    def finite(self) -> np.ndarray:
        """(B,) whose points are all finite."""
        parts = [self.joints, self.root, self.vertices, self.pelvis]
        finite = np.ones(len(self.joints), bool)
        for part in parts:
            if part is not None:
                finite &= np.isfinite(part).all(axis=tuple(range(1, part.ndim)))
        return finite


def joint_names(body: BodyModel, protocol: Protocol) -> list[str]:
    """Names of the joints that the protocol measures.

    Raises:
      UserError: the body lacks the joint set.
    """
    if protocol.joint_set == SMPL24:
        return [JOINT_NAMES[joint] for joint in protocol.joints]
    names = joint_set_of(body, protocol.joint_set).names
    return [names[joint] for joint in protocol.joints]


def check_bodies(bodies: Bodies, people: MeasuredPeople, protocol: Protocol) -> None:
    """Finds what is missing before anything is read.

    Raises:
      UserError: a body that a person needs, or its joint set.
    """
    joint_names(bodies.neutral, protocol)
    if protocol.true_body:
        genders = [str(gender) for gender in np.unique(people.gender)]
        _check_genders(bodies, genders, protocol)
        for gender in genders:
            joint_names(bodies.of(gender, protocol), protocol)


def _check_genders(bodies: Bodies, genders: list[str], protocol: Protocol) -> None:
    """Names all bodies that are missing at once."""
    given = {MALE: bodies.male, FEMALE: bodies.female}
    missing = [g for g in genders if g in given and given[g] is None]
    if protocol.gender == ANNOTATION and len(missing) > 1:
        keys = " and ".join(f"'{_KEYS[gender]}'" for gender in missing)
        raise UserError(
            f"protocol '{protocol.name}': needs the bodies of both genders; set the "
            f"config keys {keys} to their SMPL files"
        )


def predicted_points(body: BodyModel, params: BodyParams, protocol: Protocol) -> Points:
    """Poses predicted bodies in float32, with every product in full precision.

    Computed where the prediction lies; the body must lie there, too, or be uncommitted.
    """
    joints, vertices, pelvis = jax.device_get(
        _posed(body, params, protocol.joint_set, protocol.true_body)
    )
    return _points(joints, vertices, pelvis, protocol)


def true_points(
    bodies: Bodies,
    batch: Batch,
    gender: np.ndarray,
    protocol: Protocol,
    place: Callable[[BodyParams], BodyParams] = lambda params: params,
) -> Points:
    """The truth of a batch, whose people have these genders; `place` says where."""
    if not protocol.true_body:
        joints = np.asarray(batch.joints, np.float64)[..., :3]
        root = joints[:, list(protocol.annotated_root)].mean(axis=1)
        return Points(joints[:, list(protocol.annotated_joints)], root)
    params = place(BodyParams(jnp.asarray(batch.pose), jnp.asarray(batch.betas)))
    of_gender = {
        one: predicted_points(bodies.of(str(one), protocol), params, protocol)
        for one in np.unique(gender)
    }
    first, *others = of_gender.items()
    result = first[1]
    for one, points in others:
        result = _where(gender == one, points, result)
    return result


@functools.partial(jax.jit, static_argnames=("joint_set", "with_vertices"))
def _posed(
    body: BodyModel, params: BodyParams, joint_set: str, with_vertices: bool
) -> tuple[Array, Array | None, Array | None]:
    mesh = pose_body(body, params)
    skeleton = joint_set == SMPL24
    joints = mesh.joints if skeleton else body_joints(body, mesh, joint_set)
    if not with_vertices:
        return joints, None, None
    return joints, mesh.vertices, mesh.joints[:, _PELVIS]


def _points(
    joints: np.ndarray,
    vertices: np.ndarray | None,
    pelvis: np.ndarray | None,
    protocol: Protocol,
) -> Points:
    all_joints = np.asarray(joints, np.float64)
    return Points(
        joints=all_joints[:, list(protocol.joints)],
        root=all_joints[:, list(protocol.root)].mean(axis=1),
        vertices=None if vertices is None else np.asarray(vertices, np.float64),
        pelvis=None if pelvis is None else np.asarray(pelvis, np.float64),
    )


def _where(mask: np.ndarray, first: Points, second: Points) -> Points:
    """Row by row, `first` where the mask is set."""
    chosen = {}
    for field in dataclasses.fields(Points):
        one, other = getattr(first, field.name), getattr(second, field.name)
        rows = mask.reshape(-1, *[1] * (one.ndim - 1))
        chosen[field.name] = np.where(rows, one, other)
    return Points(**chosen)
