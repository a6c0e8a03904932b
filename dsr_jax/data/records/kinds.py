"""Which data set, in words that travel to other processes and machines."""

import dataclasses
from pathlib import Path

from dsr_jax.data.label_files import STOP
from dsr_jax.data.people_files import ANNOTATIONS_FILE, IMAGES_FOLDER, LABELS_FOLDER
from dsr_jax.data.person import PeopleSource
from dsr_jax.data.spin_source import SpinSource
from dsr_jax.errors import UserError

SYNTHETIC = "synthetic"
SPIN = "spin"
KINDS = (SPIN, "eft", "coco", "3dpw", "mpi-inf-3dhp", "h36m", SYNTHETIC)


@dataclasses.dataclass(frozen=True)
class DataSet:
    """A data set in files."""

    kind: str
    """One of `KINDS`."""
    root: str
    split: str = ""
    labels: str = ""
    """Folder of label maps; "" for none, or for the data set's own."""
    broken: str = STOP
    options: tuple[tuple[str, str], ...] = ()
    """Of the reader, by name."""

    def open(self) -> PeopleSource:
        """Reads the annotations; photos are read when they are asked for.

        Raises:
          UserError: they cannot be used.
        """
        if self.kind == SYNTHETIC:
            return _written_people(Path(self.root), self.labels)
        if self.kind == SPIN:
            return _spin(self.root, self.labels, dict(self.options))
        from dsr_jax.data.readers import open_people

        return open_people(
            self.kind,
            self.root,
            self.split,
            labels=self.labels or None,
            broken=self.broken,
            **dict(self.options),
        )


def _written_people(root: Path, labels: str) -> PeopleSource:
    """What `tools/write_synthetic.py` writes."""
    own = root / LABELS_FOLDER
    found = labels or (own if own.is_dir() else None)
    return SpinSource(root / ANNOTATIONS_FILE, root / IMAGES_FOLDER, found)


def _spin(root: str, labels: str, options: dict[str, str]) -> PeopleSource:
    unknown = set(options) - {"annotations"}
    if unknown or "annotations" not in options:
        raise UserError(
            "command line: --kind spin takes --option annotations=FILE.npz, and --root "
            "is the folder of photos"
        )
    return SpinSource(options["annotations"], root, labels or None)
