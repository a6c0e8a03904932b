"""A `PeopleSource` over a table of annotations and a folder of photos."""

import collections
import os
import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from dsr_jax.arrays import Bool, Float, Integer
from dsr_jax.data.person import Person, Skipped
from dsr_jax.data.photo_folder import PhotoFolder
from dsr_jax.data.readers.screening import Leftovers, Screening
from dsr_jax.data.readers.table import PeopleTable, concatenate_tables
from dsr_jax.errors import UserError


class PhotographedPeople(PhotoFolder):
    """People of a data set by number; read only, so safe to share by threads."""

    def __init__(
        self,
        everyone: PeopleTable,
        kept: Integer[np.ndarray, "N"],
        images: Path,
        labels: Path | None = None,
        skipped: tuple[Skipped, ...] = (),
    ):
        """Takes annotations that were checked.

        Args:
          everyone: annotated people, used or not: those who are not still show up as
            `others` of the same photo.
          kept: rows of those who are used.
          images: the folder that photos' names are relative to.
          labels: the folder of label maps.
          skipped: what was left out, and why.

        Raises:
          UserError: a folder that does not exist, or no photo with a label map.
        """
        super().__init__([str(n) for n in everyone.image_name[kept]], images, labels)
        self.skipped = skipped
        """What was left out at opening, and why."""
        self._everyone, self._kept = everyone, kept
        _, self._photo_of_row = np.unique(everyone.image_name, return_inverse=True)
        # Rows of photo p: _rows_by_photo[_first[p] : _first[p + 1]].
        self._rows_by_photo = np.argsort(self._photo_of_row, kind="stable")
        self._first = np.append(0, np.cumsum(np.bincount(self._photo_of_row)))

    def person(self, index: int) -> Person:
        """The annotation; no photo is read."""
        return self._everyone.person(int(self._kept[index]))

    def person_name(self, index: int) -> str:
        """The photo's name, with `#2` for its second annotated person."""
        return self._everyone.name(int(self._kept[index]))

    def others(self, index: int) -> Float[np.ndarray, "P 49 3"]:
        """Keypoints of the other annotated people of the same photo, pixels."""
        row = self._kept[index]
        photo = self._photo_of_row[row]
        rows = self._rows_by_photo[self._first[photo] : self._first[photo + 1]]
        keypoints = self._everyone.keypoints_49(rows[rows != row])
        return keypoints[(keypoints[..., 2] > 0).any(1)]


def photographed_people(
    root: Path, screenings: list[Screening], labels: Path | None, leftovers: Leftovers
) -> PhotographedPeople:
    """The source of what the screening of a data set's files left.

    Args:
      root: the folder that photos' names are relative to.
      screenings: one for every file, already checked.
      labels: the folder of label maps.
      leftovers: what was left out so far; people without a photo are added.

    Raises:
      UserError: a photo is missing and broken things are to stop, nobody is left, or
        no photo has a label map.
    """
    if not any(screening.kept.any() for screening in screenings):
        raise UserError(_nobody(root, leftovers))
    whole = Screening(
        concatenate_tables([s.table for s in screenings]), root, leftovers
    )
    whole.kept = np.concatenate([s.kept for s in screenings])
    repeated = _repeated(whole.table, whole.kept)
    whole.broken(repeated, "the same person is annotated twice")
    names = whole.table.image_name
    missing = _missing(root, (str(n) for n in np.unique(names[whole.kept])))
    if missing:
        more = f", and {len(missing) - 1} more" if len(missing) > 1 else ""
        whole.broken(np.isin(names, list(missing)), f"its photo is missing{more}")
    if not whole.kept.any():
        raise UserError(_nobody(root, leftovers))
    return PhotographedPeople(
        whole.table, np.flatnonzero(whole.kept), root, labels, leftovers.skipped
    )


def skipped_lines(skipped: Iterable[Skipped]) -> list[str]:
    """How many were left out for each reason, the most frequent first."""
    # Numbers differ from case to case, reasons do not.
    reasons = collections.Counter(re.sub(r"\b\d+\b", "N", s.reason) for s in skipped)
    return [f"{count} left out: {reason}" for reason, count in reasons.most_common()]


def _repeated(table: PeopleTable, kept: Bool[np.ndarray, "N"]) -> Bool[np.ndarray, "N"]:
    """Rows whose name an earlier row that is kept has already."""
    seen: set[str] = set()
    repeated = np.zeros(len(table), bool)
    for row in np.flatnonzero(kept):
        name = table.name(int(row))
        repeated[row] = name in seen
        seen.add(name)
    return repeated


def _missing(root: Path, names: Iterable[str]) -> set[str]:
    """Those photos that are not there; every folder is listed once.

    Asking for each file by itself takes minutes on a network disk.
    """
    listed: dict[str, set[str]] = {}
    missing = set()
    for name in names:
        folder, _, file = name.rpartition("/")
        if folder not in listed:
            listed[folder] = _files(root / folder)
        if file not in listed[folder]:
            missing.add(name)
    return missing


def _files(folder: Path) -> set[str]:
    try:
        return set(os.listdir(folder))
    except (OSError, ValueError):  # no such folder, or no folder's name
        return set()


def _nobody(root: Path, leftovers: Leftovers) -> str:
    lines = skipped_lines(leftovers.skipped)
    why = f" ({lines[0]})" if lines else ""
    return f"{root}: holds nobody who can be used{why}; check the path and the split"
