"""Runs a protocol: errors of every example on the device, exact sums on the host."""

import dataclasses
import functools
from collections.abc import Callable, Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from dsr_jax.arrays import Array, Bool, Float
from dsr_jax.body import (
    BodyMesh,
    BodyModel,
    BodyParams,
    body_joints,
    mean_pose,
    pose_body,
)
from dsr_jax.data import Batch
from dsr_jax.errors import UserError
from dsr_jax.evaluation.alignment import center_on, similarity_align
from dsr_jax.evaluation.joint_errors import per_vertex_error, point_errors
from dsr_jax.evaluation.keypoint_scores import auc, pck
from dsr_jax.evaluation.protocols import Protocol

Predict = Callable[[Any], BodyParams]

# Selection of the best checkpoint, as the released DSR does.
PA_WEIGHT, MPJPE_WEIGHT = 1.5, 1.0

_PELVIS = 0


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """Means of one predictor under one protocol; errors in mm, shares in percent."""

    protocol: Protocol
    count: int
    """Images."""
    mpjpe: float
    pa_mpjpe: float
    pve: float | None
    """Per-vertex error with nothing aligned but the body's origin; None without a true
    body, as the next."""
    pve_pelvis: float | None
    """Per-vertex error with the pelvis joints put together."""
    pck: float | None
    """Joints within 150 mm; None where the protocol does not ask, as the next."""
    auc: float | None
    """The mean of that share over thresholds from 0 to 150 mm."""
    joint_errors: dict[str, float]
    """MPJPE of each joint."""
    joint_pa_errors: dict[str, float]
    """PA-MPJPE of each joint."""

    @property
    def score(self) -> float:
        """The lower, the better the checkpoint."""
        return PA_WEIGHT * self.pa_mpjpe + MPJPE_WEIGHT * self.mpjpe

    def summary(self) -> dict[str, float]:
        """The means by name, those that the protocol has."""
        names = ("mpjpe", "pa_mpjpe", "pve", "pve_pelvis", "pck", "auc", "score")
        values = {name: getattr(self, name) for name in names}
        return {name: value for name, value in values.items() if value is not None}


def evaluate(
    predict: Predict, body: BodyModel, batches: Iterable[Batch], protocol: Protocol
) -> Evaluation:
    """Means over all images whose truth is known.

    That is where `has_body` is set, and, if the truth is annotated joints, where all
    joints that are measured have a confidence: an example that only fills a batch up
    must have neither.

    Args:
      predict: images (B, H, W, 3) uint8 → pose and betas of B bodies.
      body: of the predictions, and of the truth where that is a body.
      batches: of any sizes; a repeated size is compiled once.
      protocol: what is measured.

    Raises:
      UserError: no image has a truth, a prediction is not finite, or the body lacks the
        protocol's joint set.
    """
    sums: dict[str, np.ndarray] = {}
    count = 0
    for batch in batches:
        params = predict(batch.image)
        errors = jax.device_get(_example_errors(body, params, batch, protocol))
        known = errors.pop("known")
        count += int(known.sum())
        for name, values in errors.items():
            total = np.asarray(values, np.float64)[known].sum(axis=0)
            sums[name] = np.asarray(sums.get(name, 0) + total)
    if count == 0:
        truth = "'pose' and 'shape'" if protocol.true_body else "3D joints, 'S'"
        raise UserError(
            f"protocol '{protocol.name}': no image has a truth; give a data set with "
            f"{truth}"
        )
    if not all(np.isfinite(total).all() for total in sums.values()):
        raise UserError(
            f"protocol '{protocol.name}': predictions or truth are not finite; check "
            "the checkpoint's weights and the data set's annotations"
        )
    return _evaluation(body, protocol, count, sums)


def _evaluation(
    body: BodyModel, protocol: Protocol, count: int, sums: dict[str, np.ndarray]
) -> Evaluation:
    """Turns sums over images into means with names."""
    means = {name: total / count for name, total in sums.items()}
    all_names = body.joint_sets[protocol.joint_set].names
    names = [all_names[joint] for joint in protocol.joints]
    return Evaluation(
        protocol=protocol,
        count=count,
        mpjpe=float(means["joints"].mean()),
        pa_mpjpe=float(means["pa_joints"].mean()),
        joint_errors=_by_name(names, means["joints"]),
        joint_pa_errors=_by_name(names, means["pa_joints"]),
        **{
            name: float(means[name]) if name in means else None
            for name in ("pve", "pve_pelvis", "pck", "auc")
        },
    )


def _by_name(names: list[str], values: np.ndarray) -> dict[str, float]:
    return {name: float(value) for name, value in zip(names, values, strict=True)}


@functools.partial(jax.jit, static_argnames="protocol")
def _example_errors(
    body: BodyModel, params: BodyParams, batch: Batch, protocol: Protocol
) -> dict[str, Array]:
    """Errors in mm: of each joint (B, J), and means (B,); `known` says which count."""
    predicted = pose_body(body, params)
    joints = _mesh_joints(body, predicted, protocol)
    if protocol.true_body:
        truth = BodyParams(jnp.asarray(batch.pose), jnp.asarray(batch.betas))
        target = pose_body(body, truth)
        true_joints = _mesh_joints(body, target, protocol)
        known = jnp.asarray(batch.has_body) > 0
        errors = _vertex_errors(predicted, target)
    else:
        true_joints, known = _annotated_joints(jnp.asarray(batch.joints), protocol)
        errors = {}
    errors["known"] = known
    errors["joints"] = point_errors(joints, true_joints)
    aligned = similarity_align(joints, true_joints)
    errors["pa_joints"] = point_errors(aligned, true_joints)
    if protocol.keypoint_scores:
        errors["pck"], errors["auc"] = (
            pck(joints, true_joints),
            auc(joints, true_joints),
        )
    return errors


def _mesh_joints(
    body: BodyModel, mesh: BodyMesh, protocol: Protocol
) -> Float[Array, "B J 3"]:
    """The protocol's joints of a mesh, its root at the origin."""
    joints = center_on(body_joints(body, mesh, protocol.joint_set), protocol.root)
    return joints[:, np.array(protocol.joints)]


def _annotated_joints(
    joints: Float[Array, "B 24 4"], protocol: Protocol
) -> tuple[Float[Array, "B J 3"], Bool[Array, "B"]]:
    """The protocol's joints of the annotation, and where all of them are there."""
    chosen, root = np.array(protocol.annotated_joints), protocol.annotated_root
    needed = joints[:, np.union1d(chosen, root), 3]
    return center_on(joints[..., :3], root)[:, chosen], jnp.all(needed > 0, axis=-1)


def _vertex_errors(predicted: BodyMesh, target: BodyMesh) -> dict[str, Array]:
    pelvises = predicted.joints[:, _PELVIS], target.joints[:, _PELVIS]
    return {
        "pve": per_vertex_error(predicted.vertices, target.vertices),
        "pve_pelvis": per_vertex_error(predicted.vertices, target.vertices, *pelvises),
    }


def predict_mean_body(
    pose: Float[Array, "24 3 3"] | None = None, betas: Float[Array, "10"] | None = None
) -> Predict:
    """The baseline that ignores the image: one body, upright and facing the camera."""
    one_pose = mean_pose() if pose is None else pose
    one_betas = jnp.zeros(10) if betas is None else betas

    def predict(images: Any) -> BodyParams:
        count = images.shape[0]
        return BodyParams(
            jnp.broadcast_to(one_pose, (count, 24, 3, 3)),
            jnp.broadcast_to(one_betas, (count, 10)),
        )

    return predict
