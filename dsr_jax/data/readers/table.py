"""Annotations of many people as columns, which take a tenth of the memory of objects.

Data sets have up to 300 000 people, and few of the 49 keypoints each: only those that
the data set has are kept, with `keypoint_rows` and `joint_rows` saying which they are.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from dsr_jax.arrays import Float, Integer, Shaped
from dsr_jax.data.person import NEUTRAL, UNKNOWN_FRAME, Person

_NO_ROWS = np.zeros(0, np.int64)


@dataclasses.dataclass(frozen=True)
class PeopleTable:
    """One row a person; columns that are None hold what `Person` has by default."""

    image_name: Shaped[np.ndarray, "N"]
    """Strings."""
    number: Integer[np.ndarray, "N"]
    """Which person of the photo, from 0; gives the name's `#2`."""
    box_center_px: Float[np.ndarray, "N 2"]
    box_side_px: Float[np.ndarray, "N"]
    keypoints_px: Float[np.ndarray, "N K 3"]
    keypoint_rows: Integer[np.ndarray, "K"]
    joints: Float[np.ndarray, "N J 4"] | None = None
    joint_rows: Integer[np.ndarray, "J"] = dataclasses.field(
        default_factory=lambda: _NO_ROWS
    )
    pose: Float[np.ndarray, "N 24 3"] | None = None
    betas: Float[np.ndarray, "N 10"] | None = None
    has_body: Shaped[np.ndarray, "N"] | None = None
    gender: Shaped[np.ndarray, "N"] | None = None
    subject: Shaped[np.ndarray, "N"] | None = None
    sequence: Shaped[np.ndarray, "N"] | None = None
    action: Shaped[np.ndarray, "N"] | None = None
    camera: Shaped[np.ndarray, "N"] | None = None
    frame: Integer[np.ndarray, "N"] | None = None
    valid: Shaped[np.ndarray, "N"] | None = None

    def __len__(self) -> int:
        return len(self.image_name)

    def columns(self) -> dict[str, np.ndarray]:
        """The columns that are there and have a row a person."""
        names = [field.name for field in dataclasses.fields(self)]
        given = {name: getattr(self, name) for name in names}
        rows = ("keypoint_rows", "joint_rows")
        return {n: c for n, c in given.items() if c is not None and n not in rows}

    def name(self, row: int | np.integer) -> str:
        """The person's name: the photo's, and `#2` for its second person."""
        number = int(self.number[row])
        return str(self.image_name[row]) + (f"#{number + 1}" if number else "")

    def keypoints_49(self, rows: Any) -> Float[np.ndarray, "*rows 49 3"]:
        """All 49 keypoints of a row, or of several."""
        return _spread(self.keypoints_px[rows], self.keypoint_rows, 49)

    def person(self, row: int | np.integer) -> Person:
        """A row as an object."""
        known: dict[str, Any] = {}
        if self.joints is not None:
            known["joints"] = _spread(self.joints[row], self.joint_rows, 24)
        if self.pose is not None and self.betas is not None:
            known["has_body"] = self.has_body is None or bool(self.has_body[row])
            if known["has_body"]:
                known |= {"pose": self.pose[row], "betas": self.betas[row]}
        return Person(
            name=self.name(row),
            image_name=str(self.image_name[row]),
            box_center_px=to_float32(self.box_center_px[row]),
            box_side_px=float(self.box_side_px[row]),
            keypoints_px=self.keypoints_49(row),
            gender=self._text("gender", row) or NEUTRAL,
            subject=self._text("subject", row),
            sequence=self._text("sequence", row),
            action=self._text("action", row),
            camera=self._text("camera", row),
            frame=UNKNOWN_FRAME if self.frame is None else int(self.frame[row]),
            valid=self.valid is None or bool(self.valid[row]),
            **known,
        )

    def _text(self, name: str, row: int | np.integer) -> str:
        column = getattr(self, name)
        return "" if column is None else str(column[row])


def to_float32(values: np.ndarray) -> np.ndarray:
    """A copy in single precision; numbers beyond it are infinite, to be found later."""
    with np.errstate(over="ignore"):
        return np.array(values, np.float32)


def concatenate_tables(tables: Sequence[PeopleTable]) -> PeopleTable:
    """All rows, one table after the other.

    Raises:
      ValueError: no tables, or tables with different columns.
    """
    if not tables or any(
        t.columns().keys() != tables[0].columns().keys()
        or not np.array_equal(t.keypoint_rows, tables[0].keypoint_rows)
        or not np.array_equal(t.joint_rows, tables[0].joint_rows)
        for t in tables
    ):
        raise ValueError("tables must exist and have the same columns")
    columns = {
        name: np.concatenate([table.columns()[name] for table in tables])
        for name in tables[0].columns()
    }
    return dataclasses.replace(tables[0], **columns)


def _spread(values: np.ndarray, rows: np.ndarray, count: int) -> np.ndarray:
    """Places (…, K, C) values at some rows of (…, count, C) zeros."""
    spread = np.zeros((*values.shape[:-2], count, values.shape[-1]), np.float32)
    spread[..., rows, :] = values
    return spread
