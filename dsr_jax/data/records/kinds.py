"""Which data set, in words that travel to other processes and machines."""

import ast
import dataclasses
from pathlib import Path
from typing import Any

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
            if self.options:
                raise UserError(
                    f"command line: '{SYNTHETIC}' takes no --option "
                    f"{self.options[0][0]}; leave it out"
                )
            return _written_people(Path(self.root), self.labels)
        # Here: whoever reads records alone does not wait for the readers of data sets.
        from dsr_jax.data.readers import open_people

        is_spin = self.kind == SPIN
        options = {name: _value(text) for name, text in self.options}
        try:
            return open_people(
                self.kind,
                self.root,
                # An npz file is a split, and is used as a whole or corrected.
                "" if is_spin else self.split,
                labels=self.labels or None,
                broken=STOP if is_spin else self.broken,
                **options,
            )
        except (TypeError, ValueError) as error:
            if not options:
                raise
            raise UserError(
                f"command line: an --option of '{self.kind}' has a wrong value: {error}"
            ) from error


def _value(text: str) -> Any:
    """A number or a tuple if it reads like one in Python, and else the text."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def _written_people(root: Path, labels: str) -> PeopleSource:
    """What `tools/write_synthetic.py` writes."""
    own = root / LABELS_FOLDER
    found = labels or (own if own.is_dir() else None)
    return SpinSource(root / ANNOTATIONS_FILE, root / IMAGES_FOLDER, found)
