"""The label maps of a data set: read, cleaned, and counted where they are no use."""

import collections
import dataclasses
import re
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
from tqdm import tqdm

from dsr_jax.arrays import Float, UInt8
from dsr_jax.errors import nearest
from dsr_jax.semantics import (
    TAXONOMIES,
    BrokenLabelMap,
    CleaningSettings,
    clean_labels,
    read_label_map,
    taxonomy_by_name,
)

STOP, SKIP = "stop", "skip"
BROKEN = (STOP, SKIP)


@dataclasses.dataclass(frozen=True)
class LabelFileSettings:
    """How label maps are read."""

    taxonomy: str = "cihp"
    """What the files hold: one of `dsr_jax.semantics.TAXONOMIES`."""
    broken: str = STOP
    """What a file that cannot be used does: "stop" ends with one line; with "skip" the
    example trains without labels and is counted."""

    def __post_init__(self) -> None:
        for name, known in (("taxonomy", TAXONOMIES), ("broken", BROKEN)):
            value = getattr(self, name)
            if value not in known:
                raise ValueError(
                    f"{name} '{value}' is unknown: {nearest(value, known)}"
                )


class LabelTally:
    """Which label maps were not used, and why; shared by the threads that read them.

    A file counts once, however often it is drawn.
    """

    def __init__(self, tell: Callable[[str], None] | None = None):
        """`tell` is given one line for each broken file; by default standard error."""
        self._tell = _to_standard_error if tell is None else tell
        self._lock = threading.Lock()
        self._broken: dict[Path, str] = {}
        self._refused: dict[tuple[Path, int], str] = {}

    def add_broken(self, path: Path, error: BrokenLabelMap) -> None:
        """Counts a file that cannot be read, and names it if it is new."""
        with self._lock:
            new = path not in self._broken
            self._broken[path] = error.reason
        if new:
            self._tell(f"warning: skipped: {error}")

    def add_refused(self, path: Path, row: int, reason: str) -> None:
        """Counts a map that cleaning refused for the person of a row."""
        with self._lock:
            self._refused[path, row] = reason

    def counts(self) -> dict[str, float]:
        """For the metrics: files and people so far."""
        with self._lock:
            return {
                "data/broken_label_maps": float(len(self._broken)),
                "data/refused_label_maps": float(len(self._refused)),
            }

    def lines(self) -> list[str]:
        """How many were not used for each reason, the most frequent first."""
        with self._lock:
            broken = collections.Counter(self._broken.values())
            # Numbers differ from map to map, reasons do not.
            refused = collections.Counter(
                re.sub(r"[0-9.]+", "N", reason) for reason in self._refused.values()
            )
        return [
            f"{count} label map(s) {what}: {reason}"
            for what, counter in (("broken", broken), ("refused", refused))
            for reason, count in counter.most_common()
        ]


@dataclasses.dataclass(frozen=True)
class LabelFiles:
    """Gives the clean labels of a person, or none."""

    files: LabelFileSettings
    cleaning: CleaningSettings
    tally: LabelTally

    def read(
        self,
        path: Path,
        row: int,
        image_size: tuple[int, int],
        keypoints_px: Float[np.ndarray, "N 3"],
        person_px: float,
        others_px: Float[np.ndarray, "P N 3"] | None = None,
    ) -> UInt8[np.ndarray, "H W"] | None:
        """Reads and cleans the label map of a photo for one of its people.

        Args:
          path: the label map.
          row: number of the person in the annotations, for the tally.
          image_size: (H, W) of the photo.
          keypoints_px: the person's, in pixels of the photo.
          person_px: side of the person's box.
          others_px: keypoints of other people of the photo.

        Returns:
          CIHP labels and `VOID`; None if there is no file, if it was refused, or if it
          is broken and `broken` is "skip".

        Raises:
          BrokenLabelMap: it cannot be used and `broken` is "stop".
        """
        if not path.exists():
            return None
        taxonomy = taxonomy_by_name(self.files.taxonomy)
        try:
            labels = read_label_map(path, image_size, taxonomy, void=True)
        except BrokenLabelMap as error:
            if self.files.broken == STOP:
                raise
            self.tally.add_broken(path, error)
            return None
        cleaned = clean_labels(
            labels, keypoints_px, self.cleaning, person_px, others_px
        )
        if cleaned.refused is not None:
            self.tally.add_refused(path, row, cleaned.refused)
            return None
        return cleaned.labels


def _to_standard_error(line: str) -> None:
    # Above a progress bar, if there is one, which a plain print would tear.
    tqdm.write(line, file=sys.stderr)
