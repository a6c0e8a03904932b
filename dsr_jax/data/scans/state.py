"""A count of scans that can be stopped at any moment and goes on to the same bits."""

import glob
import io
import time
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dsr_jax.arrays import Float
from dsr_jax.body import BodyModel
from dsr_jax.errors import UserError
from dsr_jax.files import read_bytes, write_bytes
from dsr_jax.semantics import CIHP, NUM_LABELS, Taxonomy

_SECONDS_BETWEEN_SAVES = 30.0
_REMEDY = "delete this file to count from the start"


def count_files(output: Path, host: int, hosts: int) -> list[Path]:
    """The files of a host's unfinished count beside `output`: its own, then others'.

    The first host takes over those of hosts that are no longer there.
    """
    own = output.with_suffix(f".counts-{host}.npz" if host else ".counts.npz")
    if host:
        return [own]
    pattern = f"{glob.escape(output.stem)}.counts-*.npz"
    numbers = {
        int(number): path
        for path in output.parent.glob(pattern)
        if (number := path.stem.rpartition("-")[2]).isdecimal()
    }
    return [own, *(numbers[number] for number in sorted(numbers) if number >= hosts)]


class ScanCount:
    """The votes of the scans that are done, kept in a file while others are left.

    Attributes:
      counts: (V, 20) votes, float64.
      done: names of the scans in `counts`, in the order in which they were added.
      refused: what was wrong with the broken scans that were skipped. They are not
        kept: whoever counts on looks at them again.
    """

    def __init__(
        self,
        path: Path,
        folders: Sequence[Path],
        model: BodyModel,
        taxonomy: Taxonomy = CIHP,
    ):
        """Goes on from the file if there is one.

        Args:
          path: of the file.
          folders: of all scans, in order.
          model: the body.
          taxonomy: what the label maps hold.

        Raises:
          UserError: the file is damaged, or of another body, other scans or another
            taxonomy.
        """
        self._path, self._folders, self._taxonomy = path, tuple(folders), taxonomy.name
        self.counts: Float[np.ndarray, "V L"]
        self.counts = np.zeros((len(model.template), NUM_LABELS))
        self.done: tuple[str, ...] = ()
        self.refused: list[UserError] = []
        if path.exists():
            self._load()
        self._saved: tuple[str, ...] = self.done
        self._saved_at = time.monotonic()

    def left(self) -> list[Path]:
        """The folders that are not counted yet."""
        done = set(self.done)
        return [folder for folder in self._folders if folder.name not in done]

    def add(
        self,
        folder: Path,
        counts: Float[np.ndarray, "V L"] | UserError,
        skip_broken: bool = False,
    ) -> None:
        """Adds a scan, or remembers what is wrong with it; saves now and then.

        Raises:
          UserError: the scan is broken and is not to be skipped.
        """
        if not isinstance(counts, UserError):
            self.counts = self.counts + counts
            self.done = (*self.done, folder.name)
        elif skip_broken:
            self.refused.append(counts)
        else:
            raise UserError(f"{counts}; or leave such scans out: --broken skip")
        if time.monotonic() - self._saved_at > _SECONDS_BETWEEN_SAVES:
            self.save()

    def save(self) -> None:
        """Writes the file in one step, unless it holds all already."""
        if self.done != self._saved:
            buffer = io.BytesIO()
            np.savez(
                buffer,
                counts=self.counts,
                done=np.array(self.done, np.str_),
                taxonomy=np.array(self._taxonomy),
            )
            write_bytes(self._path, buffer.getvalue())
        self._saved, self._saved_at = self.done, time.monotonic()

    def remove_file(self) -> None:
        """Ends the count; new scans would be counted from the start."""
        self._path.unlink(missing_ok=True)

    def _load(self) -> None:
        data = io.BytesIO(read_bytes(self._path, "unfinished count"))
        try:
            with np.load(data, allow_pickle=False) as stored:
                read = [stored[key] for key in ("counts", "done", "taxonomy")]
                if not all(isinstance(array, np.ndarray) for array in read):
                    raise ValueError("a zip of other files")
                counts, names, taxonomy = read
                done = np.atleast_1d(names).tolist()
        except (ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile) as error:
            raise UserError(
                f"{self._path}: this unfinished count is damaged; {_REMEDY}"
            ) from error
        if counts.shape != self.counts.shape:
            raise UserError(
                f"{self._path}: counts {len(counts)} vertices, but the body has "
                f"{len(self.counts)}; {_REMEDY}"
            )
        if str(taxonomy) != self._taxonomy:
            raise UserError(
                f"{self._path}: an unfinished count of '{taxonomy}' labels, not of "
                f"'{self._taxonomy}'; {_REMEDY}"
            )
        gone = sorted(set(done) - {folder.name for folder in self._folders})
        if gone:
            raise UserError(
                f"{self._path}: an unfinished count of other scans: '{gone[0]}' is not "
                f"here; {_REMEDY}"
            )
        self.counts, self.done = counts, tuple(done)
