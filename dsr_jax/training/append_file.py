"""A file that grows by whole records, or says why it cannot."""

import contextlib
import errno
import os
from pathlib import Path

from dsr_jax.files import cannot_write


class AppendFile:
    """Records are on their way to the disk when `append` returns: no buffer, no thread.

    A thread that meets a full disk has nobody to tell.
    """

    def __init__(self, path: Path):
        """Opens the file, or makes it.

        Raises:
          UserError: it cannot be opened for writing.
        """
        self._path = path
        try:
            self._file = open(path, "ab", buffering=0)  # noqa: SIM115
        except OSError as error:
            raise cannot_write(path, error) from error

    def append(self, record: bytes) -> None:
        """Adds a record, or nothing.

        Raises:
          UserError: the file is gone.
          EnvironmentFault: the disk is full or lost.
        """
        try:
            # What is written to a file that somebody has deleted is lost.
            if not self._path.exists():
                raise FileNotFoundError(errno.ENOENT, "it was deleted or moved")
            self._write(record)
        except OSError as error:
            raise cannot_write(self._path, error) from error

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def _write(self, record: bytes) -> None:
        before = os.fstat(self._file.fileno()).st_size
        rest = memoryview(record)
        try:
            while rest:
                # A disk that becomes full takes the beginning without a complaint.
                rest = rest[self._file.write(rest) :]
        except OSError:
            with contextlib.suppress(OSError):
                self._file.truncate(before)
            raise
