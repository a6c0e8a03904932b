"""The result: means of a predictor under a protocol, tables, and every person's row."""

import dataclasses

import numpy as np

from dsr_jax.evaluation.error_rows import Rows
from dsr_jax.evaluation.keypoint_scores import (
    AUC_THRESHOLDS_MM,
    PCK_THRESHOLD_MM,
    share_within,
)
from dsr_jax.evaluation.people import MeasuredPeople
from dsr_jax.evaluation.protocol import Protocol

# Selection of the best checkpoint, as the released DSR does.
PA_WEIGHT, MPJPE_WEIGHT = 1.5, 1.0

METRICS = ("mpjpe", "pa_mpjpe", "pve", "pve_pelvis", "pve_root", "pck", "auc")


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """Means of one predictor under one protocol; errors in mm, shares in percent."""

    protocol: Protocol
    count: int
    """People."""
    mpjpe: float
    pa_mpjpe: float
    pve: float | None
    """Per-vertex error with nothing aligned but the body's origin; None without a true
    body, as the next two."""
    pve_pelvis: float | None
    """Per-vertex error with SMPL's pelvis joints put together."""
    pve_root: float | None
    """Per-vertex error with the points put together that MPJPE aligns."""
    pck: float | None
    """Joints within 150 mm; None where the protocol does not ask, as the next."""
    auc: float | None
    """The mean of that share over thresholds from 0 to 150 mm."""
    joint_errors: dict[str, float]
    """MPJPE of each joint."""
    joint_pa_errors: dict[str, float]
    """PA-MPJPE of each joint."""
    groups: dict[str, dict[str, float]]
    """Means and "count" by action or sequence; empty if the protocol or the data set
    knows none."""
    left_out: dict[str, int]
    """People of the data set that were not measured, by reason."""
    unchecked: dict[str, int]
    """What the protocol asks for and the data set does not say, and of how many."""
    people: dict[str, np.ndarray]
    """Columns with a row a person: index, name, sequence, action, and the metrics."""

    @property
    def score(self) -> float:
        """The lower, the better the checkpoint."""
        return PA_WEIGHT * self.pa_mpjpe + MPJPE_WEIGHT * self.mpjpe

    def summary(self) -> dict[str, float]:
        """The means by name, those that the protocol has."""
        values = {name: getattr(self, name) for name in (*METRICS, "score")}
        return {name: value for name, value in values.items() if value is not None}


def summarize(
    protocol: Protocol, people: MeasuredPeople, rows: Rows, joint_names: list[str]
) -> Evaluation:
    """Means over people; `rows` are those of `people`, in the same order."""
    values = _person_values(protocol, rows)
    means = {name: float(column.mean()) for name, column in values.items()}
    table = {name: getattr(people, name) for name in ("index", "name")}
    table |= {"sequence": people.sequence, "action": people.action}
    return Evaluation(
        protocol=protocol,
        count=len(rows["index"]),
        joint_errors=_by_name(joint_names, rows["joints"]),
        joint_pa_errors=_by_name(joint_names, rows["pa_joints"]),
        groups=_groups(protocol, people, values),
        left_out=people.left_out,
        unchecked=people.unchecked,
        people=table | values,
        **{name: means.get(name) for name in METRICS},  # type: ignore[arg-type]
    )


def _person_values(protocol: Protocol, rows: Rows) -> Rows:
    """Each person's metrics, those that the protocol has."""
    joints = rows["joints"]
    values = {"mpjpe": joints.mean(-1), "pa_mpjpe": rows["pa_joints"].mean(-1)}
    values |= {n: rows[n] for n in METRICS if n in rows}
    if protocol.keypoint_scores:
        values["pck"] = share_within(joints, (PCK_THRESHOLD_MM,))
        values["auc"] = share_within(joints, AUC_THRESHOLDS_MM)
    return values


def _by_name(names: list[str], errors: np.ndarray) -> dict[str, float]:
    means = errors.mean(axis=0)
    return {name: float(value) for name, value in zip(names, means, strict=True)}


def _groups(
    protocol: Protocol, people: MeasuredPeople, values: Rows
) -> dict[str, dict[str, float]]:
    if not protocol.group_by:
        return {}
    names = getattr(people, protocol.group_by)
    groups = {}
    for name in np.unique(names[names != ""]):
        members = names == name
        means = {n: float(column[members].mean()) for n, column in values.items()}
        groups[str(name)] = {"count": int(members.sum())} | means
    return groups
