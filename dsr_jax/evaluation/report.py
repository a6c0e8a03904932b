"""Evaluations as a table for people, and as JSON and columns for programs."""

import dataclasses
import io
import json
import pathlib
from typing import Any

import numpy as np

from dsr_jax.evaluation.evaluation import METRICS, Evaluation
from dsr_jax.files import write_bytes

MODEL, MEAN_BODY, PEOPLE = "model", "mean_body", "people"
TITLES = {
    "mpjpe": "MPJPE",
    "pa_mpjpe": "PA-MPJPE",
    "pve": "PVE, not aligned",
    "pve_pelvis": "PVE, pelvis-aligned",
    "pve_root": "PVE, root-aligned",
    "pck": "PCK at 150 mm, %",
    "auc": "AUC 0 to 150 mm, %",
}
_COLUMNS = {name: title.split(",")[0].split(" ")[0] for name, title in TITLES.items()}
_COLUMNS |= {"pve_pelvis": "PVE pelvis", "pve_root": "PVE root"}


def format_evaluation(result: Evaluation, baseline: Evaluation | None = None) -> str:
    """A table for people: protocol, means, the error of each joint and group."""
    lines = [*result.protocol.lines(), *_count_lines(result), ""]
    head = f"{'':22}{'model':>9}"
    lines.append(head if baseline is None else f"{head}{'mean body':>11}{'ratio':>8}")
    for name, title in TITLES.items():
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
    return "\n".join(lines + _group_lines(result))


def _count_lines(result: Evaluation) -> list[str]:
    """How many people, and everything that makes the number differ from others'."""
    lines = [f"measured      {result.count} people"]
    if result.left_out:
        reasons = ", ".join(f"{n} {why}" for why, n in result.left_out.items())
        lines.append(f"left out      {reasons}")
    for what, count in result.unchecked.items():
        lines.append(
            f"unchecked     the data set does not say the {what} of {count} people: "
            "they are taken to be the protocol's"
        )
    return lines


def _group_lines(result: Evaluation) -> list[str]:
    if not result.groups:
        return []
    names = [name for name in METRICS if getattr(result, name) is not None]
    width = max(22, *(len(name) + 2 for name in result.groups))
    head = "".join(f"{_COLUMNS[name]:>12}" for name in names)
    lines = ["", f"{result.protocol.group_by:{width}}{'people':>8}{head}"]
    for group, means in result.groups.items():
        values = "".join(f"{means[name]:12.1f}" for name in names)
        lines.append(f"{group:{width}}{means['count']:8.0f}{values}")
    every = [np.mean([g[name] for g in result.groups.values()]) for name in names]
    values = "".join(f"{mean:12.1f}" for mean in every)
    lines.append(f"{'mean of the rows':{width}}{'':8}{values}")
    return lines


def _ratio(value: float, mean: float) -> str:
    return f"{value / mean:.2f}" if mean > 0 else "-"


def write_evaluation(
    path: str | pathlib.Path, result: Evaluation, baseline: Evaluation | None = None
) -> None:
    """Writes the numbers and their protocol as JSON, and each person's beside it.

    The people of `a.json` are in `a_people.npz`: name, sequence, action, and the errors
    of the model. Both files are written whole or not at all.

    Raises:
      UserError: a file cannot be written.
    """
    path = pathlib.Path(path)
    people = path.with_name(f"{path.stem}_people.npz")
    record: dict[str, Any] = {MODEL: _record(result)}
    if baseline is not None:
        record[MEAN_BODY] = _record(baseline)
    record[PEOPLE] = people.name
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **result.people)
    write_bytes(people, buffer.getvalue())
    text = json.dumps(record, indent=2, allow_nan=False) + "\n"
    write_bytes(path, text.encode())


def _record(result: Evaluation) -> dict[str, Any]:
    # The people are large, and in a file of their own.
    slim = dataclasses.replace(result, people={})
    record = dataclasses.asdict(slim) | {"score": result.score}
    del record[PEOPLE]
    return record
