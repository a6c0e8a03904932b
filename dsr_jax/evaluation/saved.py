"""Evaluations read back from the files that `write_evaluation` wrote."""

import dataclasses
import json
import pathlib
from typing import Any

import numpy as np

from dsr_jax.errors import UserError
from dsr_jax.evaluation.evaluation import METRICS
from dsr_jax.evaluation.report import MODEL, PEOPLE
from dsr_jax.files import read_bytes
from dsr_jax.npz_file import read_npz

_TEXT = ("name", "sequence")
_NECESSARY = (*_TEXT, "mpjpe", "pa_mpjpe")


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
        # A name and no path: a file from elsewhere may not point anywhere.
        beside = path.with_name(pathlib.PurePath(people).name)
        if not {"name", "dataset", "split"} <= protocol.keys():
            raise KeyError("the protocol's name, data set or split")
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise UserError(
            f"{path}: not an evaluation of this version; make it again with eval.py"
        ) from error
    columns = _read_columns(beside)
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
        columns = read_npz(path, "file of people")
    except UserError as error:
        raise UserError(
            f"{path}: the people of this evaluation cannot be read; copy the file that "
            "eval.py wrote beside the JSON file"
        ) from error
    used = {name: columns.get(name, np.array(0)) for name in _NECESSARY}
    used |= {name: columns[name] for name in METRICS if name in columns}
    fits = all(
        column.ndim == 1 and column.dtype.kind in ("U" if name in _TEXT else "fiu")
        for name, column in used.items()
    )
    if not fits or len({len(column) for column in used.values()}) != 1:
        raise UserError(f"{path}: not the people of an evaluation; make it again")
    return columns
