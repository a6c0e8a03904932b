"""Named arrays from a pickle or an npz, and single arrays from npy, all untrusted."""

import io
import math
import pathlib
import zipfile
import zlib
from typing import Any

import numpy as np

from dsr_jax.body.inert_pickle import as_array, read_pickle, shaped
from dsr_jax.errors import UserError

_ZIP_START, _NPY_START = b"PK\x03\x04", b"\x93NUMPY"


def read_named_arrays(
    path: pathlib.Path, keys: tuple[str, ...]
) -> dict[str, np.ndarray]:
    """The arrays of some keys; pickle or npz is told by content, not by name.

    Raises:
      UserError: no such file, a file of another kind or truncated, a missing key, a
        value that is no array of numbers, a pickle that names forbidden things.
    """
    with _open(path) as stream:
        start = stream.read(len(_ZIP_START))
        stream.seek(0)
        if start == _ZIP_START:
            return _read_npz(stream, path, keys)
        content = read_pickle(stream, str(path))
    if not isinstance(content, dict):
        raise UserError(f"{path}: holds no dictionary of arrays: not an SMPL file")
    return {key: _array(path, key, _get(path, content, key)) for key in keys}


def read_npy(path: pathlib.Path) -> np.ndarray:
    """The numeric array of an npy file."""
    with _open(path) as stream:
        if stream.read(len(_NPY_START)) != _NPY_START:
            raise UserError(f"{path}: not an npy file")
        stream.seek(0)
        return _read_npy_member(stream, path, "array")


def _open(path: pathlib.Path) -> io.BufferedReader:
    if path.is_dir():
        raise UserError(f"{path}: is a folder; give the file in it")
    try:
        return path.open("rb")
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; check the path") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error


def _read_npz(
    stream: io.BufferedIOBase, path: pathlib.Path, keys: tuple[str, ...]
) -> dict[str, np.ndarray]:
    try:
        with zipfile.ZipFile(stream) as archive:
            members = {name.removesuffix(".npy"): name for name in archive.namelist()}
            arrays = {}
            for key in keys:
                member = io.BytesIO(archive.read(_get(path, members, key)))
                arrays[key] = _read_npy_member(member, path, key)
            return arrays
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError) as error:
        raise UserError(
            f"{path}: not a readable npz ({error}); it may be truncated: fetch it again"
        ) from error


def _read_npy_member(
    stream: io.BufferedIOBase, path: pathlib.Path, key: str
) -> np.ndarray:
    """One npy stream; an object array is a pickle and is read as such, inertly."""
    try:
        shape, fortran_order, dtype = _read_header(stream)
        if dtype.hasobject:
            return _array(path, key, read_pickle(stream, str(path)))
        size = math.prod(shape) * dtype.itemsize
        flat = np.frombuffer(stream.read(size), dtype)
        return _array(path, key, shaped(flat, shape, fortran_order))
    except (ValueError, OverflowError, MemoryError) as error:
        raise UserError(
            f"{path}: '{key}' is no complete npy array ({error}): fetch the file again"
        ) from error


def _read_header(stream: io.BufferedIOBase) -> tuple[tuple[int, ...], bool, np.dtype]:
    if np.lib.format.read_magic(stream) == (1, 0):
        return np.lib.format.read_array_header_1_0(stream)
    return np.lib.format.read_array_header_2_0(stream)


def _get(path: pathlib.Path, content: dict[str, Any], key: str) -> Any:
    if key not in content:
        found = ", ".join(sorted(str(name) for name in content)[:12]) or "nothing"
        raise UserError(f"{path}: lacks the key '{key}'; it holds {found}")
    return content[key]


def _array(path: pathlib.Path, key: str, value: Any) -> np.ndarray:
    # The file is untrusted, and a malformed record can fail in any way.
    try:
        return as_array(value)
    except Exception as error:
        raise UserError(f"{path}: '{key}' {_reason(error)}") from error


def _reason(error: Exception) -> str:
    if isinstance(error, ValueError) and str(error).startswith("holds "):
        return str(error)
    return " ".join(f"is malformed ({type(error).__name__}: {error})".split())
