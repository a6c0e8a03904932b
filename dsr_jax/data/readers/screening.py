"""Who of a data set is used, and why the others are not.

Two kinds of people are left out: those that the data set's own rules or a setting
exclude (a crowd, nobody's joints seen), who are counted; and those whose annotation is
broken, who are counted, too, or stop the opening.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from dsr_jax.data.label_files import BROKEN, STOP
from dsr_jax.data.person import GENDERS, Skipped
from dsr_jax.data.photo_folder import printable, stays_in_folder
from dsr_jax.data.readers.raw_files import MissingPackageError
from dsr_jax.data.readers.table import PeopleTable
from dsr_jax.errors import UserError, nearest

# Beyond all photos: numbers that are no pixels.
_LARGEST_PX = 100_000
_FINITE = ("keypoints_px", "joints", "pose", "betas")


class Leftovers:
    """What was left out of a data set so far."""

    def __init__(self, broken: str):
        """`broken` is "stop" or "skip": what a broken annotation does.

        Raises:
          UserError: another word.
        """
        if broken not in BROKEN:
            raise UserError(f"broken '{broken}' is unknown: {nearest(broken, BROKEN)}")
        self._stop = broken == STOP
        self._skipped: list[Skipped] = []

    @property
    def skipped(self) -> tuple[Skipped, ...]:
        """In the order of the data set."""
        return tuple(self._skipped)

    def leave_out(self, what: str, reason: str) -> None:
        """Counts what a rule excludes."""
        self._skipped.append(Skipped(printable(what), reason))

    def broken(self, file: str | Path, what: str, reason: str) -> None:
        """Counts what cannot be used.

        Raises:
          UserError: broken things are to stop.
        """
        if self._stop:
            place = str(file) if what == str(file) else f"{file}: {printable(what)}"
            raise UserError(
                f"{place}: {reason}; correct it, or leave such out with broken='skip'"
            )
        self._skipped.append(Skipped(printable(what), reason))

    @contextmanager
    def broken_file(self, path: Path) -> Iterator[None]:
        """Counts the file if the block fails; `reason` is its line without the path.

        Raises:
          UserError: that of the block, if broken things are to stop or a package is
            missing.
        """
        try:
            yield
        except UserError as error:
            if self._stop or isinstance(error, MissingPackageError):
                raise
            reason = str(error).removeprefix(f"{path}:").strip()
            self._skipped.append(Skipped(str(path), reason))


class Screening:
    """Which rows of the table of one file stay."""

    def __init__(self, table: PeopleTable, file: str | Path, leftovers: Leftovers):
        """Everybody stays at first."""
        self.table, self.kept = table, np.ones(len(table), bool)
        self._file, self._leftovers = file, leftovers

    def leave_out(self, which: Any, reason: str) -> None:
        """Lets the rows of a mask go by a rule."""
        for row in np.flatnonzero(which & self.kept):
            self._leftovers.leave_out(self.table.name(row), reason)
        self.kept &= ~which

    def broken(self, which: Any, reason: str) -> None:
        """Lets broken rows go.

        Raises:
          UserError: there is one, and broken things are to stop.
        """
        for row in np.flatnonzero(which & self.kept):
            self._leftovers.broken(self._file, self.table.name(row), reason)
        self.kept &= ~which

    def check(self) -> None:
        """What must hold for everybody who stays.

        Numbers that are not finite are set to 0 in the rows that leave, whose
        keypoints may still be asked for as those of others.

        Raises:
          UserError: a row is broken, and broken things are to stop.
        """
        table = self.table
        names = [stays_in_folder(str(name)) for name in table.image_name]
        self.broken(
            ~np.array(names, bool),
            "the photo's name leads out of its folder or is no file's name",
        )
        for name in _FINITE:
            column = getattr(table, name)
            if column is not None:
                axes = tuple(range(1, column.ndim))
                infinite = ~np.isfinite(column).all(axes)
                self.broken(infinite, f"its '{name}' is not finite")
                column[infinite] = 0
        box = np.column_stack([table.box_center_px, table.box_side_px])
        self.broken(~np.isfinite(box).all(1), "its box is not finite")
        self.broken(~(table.box_side_px > 0), "its box has no size")
        far = np.abs(box).max(1, initial=0) > _LARGEST_PX
        self.broken(far, f"its box reaches beyond {_LARGEST_PX} pixels")
        if table.gender is not None:
            unknown = ~np.isin(table.gender, GENDERS)
            self.broken(unknown, f"its gender is not one of {', '.join(GENDERS)}")
