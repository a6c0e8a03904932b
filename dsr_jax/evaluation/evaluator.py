"""Runs a protocol: errors of every example on the device, exact sums on the host."""

import dataclasses
import functools
import json
import os
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from dsr_jax.arrays import Array, Float
from dsr_jax.body import BodyModel, BodyParams, body_joints, mean_pose, pose_body
from dsr_jax.data import Batch
from dsr_jax.errors import UserError
from dsr_jax.evaluation.alignment import center_on, similarity_align
from dsr_jax.evaluation.joint_errors import per_vertex_error, point_errors
from dsr_jax.evaluation.protocols import Protocol

Predict = Callable[[Any], BodyParams]

# Selection of the best checkpoint, as the released DSR does.
PA_WEIGHT, MPJPE_WEIGHT = 1.5, 1.0


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """Mean errors of one predictor under one protocol, millimetres."""

    protocol: Protocol
    count: int
    """Images."""
    mpjpe: float
    pa_mpjpe: float
    pve: float
    """Per-vertex error with nothing aligned but the body's origin."""
    pve_pelvis: float
    """Per-vertex error with the pelvis joints put together."""
    joint_errors: dict[str, float]
    """MPJPE of each joint."""
    joint_pa_errors: dict[str, float]
    """PA-MPJPE of each joint."""

    @property
    def score(self) -> float:
        """The lower, the better the checkpoint."""
        return PA_WEIGHT * self.pa_mpjpe + MPJPE_WEIGHT * self.mpjpe

    def summary(self) -> dict[str, float]:
        """The means by name."""
        names = ("mpjpe", "pa_mpjpe", "pve", "pve_pelvis", "score")
        return {name: getattr(self, name) for name in names}


def evaluate(
    predict: Predict, body: BodyModel, batches: Iterable[Batch], protocol: Protocol
) -> Evaluation:
    """Means over all images that have a true body.

    Args:
      predict: images (B, H, W, 3) uint8 → pose and betas of B bodies.
      body: of the predictions and of the truth.
      batches: of any sizes; a repeated size is compiled once.
      protocol: what is measured.

    Raises:
      UserError: no image has a true body.
    """
    sums: dict[str, np.ndarray] = {}
    count = 0
    for batch in batches:
        params = predict(batch.image)
        truth = BodyParams(jnp.asarray(batch.pose), jnp.asarray(batch.betas))
        errors = jax.device_get(_example_errors(body, params, truth, protocol))
        valid = np.asarray(batch.has_body) > 0
        count += int(valid.sum())
        for name, values in errors.items():
            total = np.asarray(values, np.float64)[valid].sum(axis=0)
            sums[name] = sums.get(name, 0) + total
    if count == 0:
        raise UserError(
            f"protocol '{protocol.name}': no image has a true body; give a data set "
            "with 'pose' and 'shape'"
        )
    names = [body.joint_sets[protocol.joint_set].names[j] for j in protocol.joints]
    means = {name: total / count for name, total in sums.items()}
    return Evaluation(
        protocol=protocol,
        count=count,
        mpjpe=float(means["joints"].mean()),
        pa_mpjpe=float(means["pa_joints"].mean()),
        pve=float(means["pve"]),
        pve_pelvis=float(means["pve_pelvis"]),
        joint_errors=_by_name(names, means["joints"]),
        joint_pa_errors=_by_name(names, means["pa_joints"]),
    )


@functools.partial(jax.jit, static_argnames="protocol")
def _example_errors(
    body: BodyModel, params: BodyParams, truth: BodyParams, protocol: Protocol
) -> dict[str, Float[Array, "..."]]:
    """Errors in mm: of each joint (B, J), and mean over vertices (B,)."""
    predicted, target = pose_body(body, params), pose_body(body, truth)
    chosen = np.array(protocol.joints)
    sets = [body_joints(body, mesh, protocol.joint_set) for mesh in (predicted, target)]
    joints, true_joints = (center_on(s, protocol.root)[:, chosen] for s in sets)
    roots = predicted.joints[:, 0], target.joints[:, 0]
    return {
        "joints": point_errors(joints, true_joints),
        "pa_joints": point_errors(similarity_align(joints, true_joints), true_joints),
        "pve": per_vertex_error(predicted.vertices, target.vertices),
        "pve_pelvis": per_vertex_error(predicted.vertices, target.vertices, *roots),
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


def format_evaluation(result: Evaluation, baseline: Evaluation | None = None) -> str:
    """A table for people: protocol, means, and the error of each joint."""
    lines = [*result.protocol.lines(), f"images        {result.count}", ""]
    head = f"{'':22}{'model':>9}"
    lines.append(head if baseline is None else f"{head}{'mean body':>11}{'ratio':>8}")
    titles = {
        "mpjpe": "MPJPE",
        "pa_mpjpe": "PA-MPJPE",
        "pve": "PVE, not aligned",
        "pve_pelvis": "PVE, pelvis-aligned",
    }
    for name, title in titles.items():
        value = getattr(result, name)
        line = f"{title:22}{value:9.1f}"
        if baseline is not None:
            mean = getattr(baseline, name)
            line += f"{mean:11.1f}{value / mean:8.2f}"
        lines.append(line)
    lines += ["", f"{'joint':22}{'MPJPE':>9}{'PA-MPJPE':>11}"]
    for name, value in result.joint_errors.items():
        lines.append(f"{name:22}{value:9.1f}{result.joint_pa_errors[name]:11.1f}")
    return "\n".join(lines)


def write_evaluation(
    path: str | Path, result: Evaluation, baseline: Evaluation | None = None
) -> None:
    """Writes the numbers and their protocol as JSON, whole or not at all.

    Raises:
      UserError: the file cannot be written.
    """
    record = {"model": _record(result)}
    if baseline is not None:
        record["mean_body"] = _record(baseline)
    path = Path(path)
    try:
        handle, draft = tempfile.mkstemp(dir=path.parent, suffix=".json")
        with os.fdopen(handle, "w") as file:
            json.dump(record, file, indent=2)
        os.replace(draft, path)
    except OSError as error:
        raise UserError(
            f"{path}: cannot be written ({error.strerror}); choose another folder"
        ) from error


def _record(result: Evaluation) -> dict[str, Any]:
    return dataclasses.asdict(result) | {"score": result.score}


def _by_name(names: list[str], values: np.ndarray) -> dict[str, float]:
    return {name: float(value) for name, value in zip(names, values, strict=True)}
