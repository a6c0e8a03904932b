"""Evaluations read back from the files that `write_evaluation` wrote."""

import dataclasses
import json
import pathlib
import zipfile
from typing import Any

import numpy as np

from dsr_jax.errors import UserError
from dsr_jax.evaluation.evaluation import METRICS
from dsr_jax.evaluation.report import MODEL, PEOPLE
from dsr_jax.files import read_bytes


@dataclasses.dataclass(frozen=True)
class SavedEvaluation:
    """What `write_evaluation` wrote."""

    path: pathlib.Path
    protocol: dict[str, Any]
    means: dict[str, float]
    people: dict[str, np.ndarray]


def read_evaluation(path: str | pathlib.Path) -> SavedEvaluation:
    """Reads a JSON file of `write_evaluation` and the people beside it.

    Raises:
      UserError: a file is missing, damaged, or of another evaluation.
    """
    path = pathlib.Path(path)
    try:
        record = json.loads(read_bytes(path, "evaluation"))
        protocol, people = dict(record[MODEL]["protocol"]), str(record[PEOPLE])
        given = {name: record[MODEL][name] for name in METRICS}
        means = {n: float(mean) for n, mean in given.items() if mean is not None}
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{path}: not an evaluation of this version; make it again with eval.py"
        ) from error
    # A name and no path: a file from elsewhere may not point anywhere.
    columns = _read_columns(path.with_name(pathlib.PurePath(people).name))
    for name, mean in means.items():
        column = columns.get(name)
        if column is None or not np.isclose(column.mean(), mean, rtol=1e-9):
            raise UserError(
                f"{path}: {people} is of another evaluation; make both again with "
                "eval.py"
            )
    return SavedEvaluation(path, protocol, means, columns)


def _read_columns(path: pathlib.Path) -> dict[str, np.ndarray]:
    try:
        # No code is run: object arrays are refused.
        with np.load(path, allow_pickle=False) as archive:
            columns = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(
            f"{path}: the people of this evaluation cannot be read; copy the file that "
            "eval.py wrote beside the JSON file"
        ) from error
    counts = {len(column) for column in columns.values() if column.ndim == 1}
    needed = {"name", "sequence", "mpjpe", "pa_mpjpe"}
    if len(counts) != 1 or not needed <= set(columns):
        raise UserError(f"{path}: not the people of an evaluation; make it again")
    return columns
