"""The arrays of an untrusted `.npz`, or one line that says what is wrong with it."""

import io
import zipfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from dsr_jax.errors import UserError
from dsr_jax.files import read_bytes


def read_npz(
    path: str | Path, what: str, names: Iterable[str] | None = None
) -> dict[str, np.ndarray]:
    """Reads arrays; code in the file is never run.

    Args:
      path: the file.
      what: names the kind of file in the error of one that cannot be read.
      names: which arrays are read if they are there; None for all.

    Raises:
      UserError: no such file, no npz, damage, or an array of Python objects.
    """
    content = io.BytesIO(read_bytes(path, what))
    if not zipfile.is_zipfile(content):
        raise UserError(f"{path}: truncated or not an npz file; copy it again")
    content.seek(0)
    try:
        # It closes nothing but the bytes in memory.
        archive = np.load(content, allow_pickle=False)
        wanted = archive.files if names is None else names
        return {n: _array(archive, path, n) for n in wanted if n in archive}
    except UserError:
        raise
    # Damage raises nearly anything: BadZipFile, NotImplementedError, ValueError, …
    except Exception as error:
        raise UserError(
            f"{path}: truncated or not an npz file; copy it again"
        ) from error


def _array(archive: np.lib.npyio.NpzFile, path: str | Path, name: str) -> np.ndarray:
    try:
        array = archive[name]
    # zipfile, zlib, tokenize and NumPy each have errors of their own.
    except Exception as error:
        if isinstance(error, ValueError) and "allow_pickle" in str(error):
            raise UserError(
                f"{path}: the array '{name}' holds Python objects, which are not "
                "loaded; save it as numbers or strings"
            ) from error
        raise UserError(
            f"{path}: the array '{name}' is damaged; copy the file again"
        ) from error
    if not isinstance(array, np.ndarray):
        raise UserError(
            f"{path}: '{name}' is no array; write the file with numpy.savez"
        )
    return array
