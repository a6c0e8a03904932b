"""A `PeopleSource` over a table of annotations and a folder of photos."""

import collections
import re
from pathlib import Path

import numpy as np

from dsr_jax.arrays import Float
from dsr_jax.data.person import Person, Skipped
from dsr_jax.data.photo_files import PhotoFiles
from dsr_jax.data.readers.screening import Leftovers, Screening
from dsr_jax.data.readers.table import PeopleTable, concatenate_tables
from dsr_jax.errors import UserError


class PhotographedPeople:
    """People of a data set by number; read only, so safe to share by threads."""

    def __init__(
        self,
        everyone: PeopleTable,
        kept: np.ndarray,
        files: PhotoFiles,
        skipped: tuple[Skipped, ...] = (),
    ):
        """Takes annotations that were checked.

        Args:
          everyone: annotated people, used or not: those who are not still show up as
            `others` of the same photo.
          kept: rows of those who are used.
          files: where photos and label maps are.
          skipped: what was left out, and why.
        """
        self._everyone, self._kept, self._files = everyone, kept, files
        self.skipped = skipped
        """What was left out at opening, and why."""
        _, self._photo = np.unique(everyone.image_name, return_inverse=True)
        self._by_photo = np.argsort(self._photo, kind="stable")
        counts = np.bincount(self._photo)
        self._ends = np.cumsum(counts)

    def __len__(self) -> int:
        return len(self._kept)

    def person(self, index: int) -> Person:
        """The annotation; no photo is read."""
        return self._everyone.person(int(self._kept[index]))

    def others(self, index: int) -> Float[np.ndarray, "P 49 3"]:
        """Keypoints of the other annotated people of the same photo, pixels."""
        row = int(self._kept[index])
        photo = self._photo[row]
        first = self._ends[photo - 1] if photo else 0
        rows = self._by_photo[first : self._ends[photo]]
        keypoints = self._everyone.keypoints_49(rows[rows != row])
        return keypoints[(keypoints[..., 2] > 0).any(1)]

    def image(self, index: int) -> bytes:
        """The photo's file as it is on disk.

        Raises:
          UserError: it is missing or cannot be read.
        """
        return self._files.photo(self._image_name(index))

    def label_map(self, index: int) -> bytes | None:
        """The clothing label map's file as it is; None if there is none.

        Raises:
          UserError: it is there and cannot be read.
        """
        return self._files.label_map(self._image_name(index))

    def _image_name(self, index: int) -> str:
        return str(self._everyone.image_name[self._kept[index]])


def photographed_people(
    root: Path, screenings: list[Screening], files: PhotoFiles, leftovers: Leftovers
) -> PhotographedPeople:
    """The source of what the screening of a data set's files left.

    Args:
      root: names the data set in errors.
      screenings: one for every file, already checked.
      files: where photos and label maps are.
      leftovers: what was left out so far; photos that are missing are added.

    Raises:
      UserError: a photo is missing and broken things are to stop, nobody is left, or
        no photo has a label map.
    """
    if not any(len(screening.table) for screening in screenings):
        raise UserError(_nobody(root, leftovers))
    everyone = concatenate_tables([s.table for s in screenings])
    kept = np.concatenate([s.kept for s in screenings])
    whole = Screening(everyone, root, leftovers)
    whole.kept = kept
    whole.broken(_repeated(everyone, kept), "the same person is annotated twice")
    names = everyone.image_name
    missing = files.missing(str(name) for name in np.unique(names[whole.kept]))
    if missing:
        gone = np.isin(names, list(missing))
        more = f", like {len(missing) - 1} more" if len(missing) > 1 else ""
        whole.broken(gone, f"its photo is missing{more} in {files.photos}")
    if not whole.kept.any():
        raise UserError(_nobody(root, leftovers))
    files.require_labels(map(str, names[whole.kept]))
    return PhotographedPeople(
        everyone, np.flatnonzero(whole.kept), files, leftovers.skipped
    )


def _repeated(table: PeopleTable, kept: np.ndarray) -> np.ndarray:
    """Rows whose name an earlier row that is kept has already."""
    seen: set[str] = set()
    repeated = np.zeros(len(table), bool)
    for row in np.flatnonzero(kept):
        name = table.name(row)
        repeated[row] = name in seen
        seen.add(name)
    return repeated


def skipped_lines(skipped: tuple[Skipped, ...]) -> list[str]:
    """How many were left out for each reason, the most frequent first."""
    # Numbers differ from case to case, reasons do not.
    reasons = collections.Counter(re.sub(r"\d+", "N", s.reason) for s in skipped)
    return [f"{count} left out: {reason}" for reason, count in reasons.most_common()]


def _nobody(root: Path, leftovers: Leftovers) -> str:
    lines = skipped_lines(leftovers.skipped)
    why = f" ({lines[0]})" if lines else ""
    return f"{root}: holds nobody who can be used{why}; check the path and the split"
