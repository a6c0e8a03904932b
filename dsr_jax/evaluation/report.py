"""Evaluations as a table for people and as JSON for programs."""

import dataclasses
import json
import pathlib
from typing import Any

from dsr_jax.evaluation.evaluator import Evaluation
from dsr_jax.files import write_bytes

_TITLES = {
    "mpjpe": "MPJPE",
    "pa_mpjpe": "PA-MPJPE",
    "pve": "PVE, not aligned",
    "pve_pelvis": "PVE, pelvis-aligned",
    "pck": "PCK at 150 mm, %",
    "auc": "AUC 0 to 150 mm, %",
}


def format_evaluation(result: Evaluation, baseline: Evaluation | None = None) -> str:
    """A table for people: protocol, means, and the error of each joint."""
    lines = [*result.protocol.lines(), f"images        {result.count}", ""]
    head = f"{'':22}{'model':>9}"
    lines.append(head if baseline is None else f"{head}{'mean body':>11}{'ratio':>8}")
    for name, title in _TITLES.items():
        value = getattr(result, name)
        if value is None:
            continue
        line = f"{title:22}{value:9.1f}"
        if baseline is not None:
            mean = getattr(baseline, name)
            line += f"{mean:11.1f}{_ratio(value, mean):>8}"
        lines.append(line)
    lines += ["", f"{'joint':22}{'MPJPE':>9}{'PA-MPJPE':>11}"]
    for name, value in result.joint_errors.items():
        lines.append(f"{name:22}{value:9.1f}{result.joint_pa_errors[name]:11.1f}")
    return "\n".join(lines)


def _ratio(value: float, mean: float) -> str:
    return f"{value / mean:.2f}" if mean > 0 else "-"


def write_evaluation(
    path: str | pathlib.Path, result: Evaluation, baseline: Evaluation | None = None
) -> None:
    """Writes the numbers and their protocol as JSON, whole or not at all.

    Raises:
      UserError: the file cannot be written.
    """
    record = {"model": _record(result)}
    if baseline is not None:
        record["mean_body"] = _record(baseline)
    text = json.dumps(record, indent=2, allow_nan=False) + "\n"
    write_bytes(path, text.encode())


def _record(result: Evaluation) -> dict[str, Any]:
    return dataclasses.asdict(result) | {"score": result.score}
