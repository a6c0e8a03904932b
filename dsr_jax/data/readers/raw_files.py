"""MATLAB's and NASA's files: matrices, cells and HDF5 of .mat, variables of .cdf.

Nothing in them is executed. h5py and cdflib are only needed for those who read the raw
files, and are imported here.
"""

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import scipy.io

from dsr_jax.arrays import Float
from dsr_jax.errors import UserError

INSTALL = "pip install -e '.[raw]'"


class MissingPackageError(UserError):
    """What is missing is no fault of the file, so that it never counts as broken."""


def read_mat_cells(path: Path, keys: tuple[str, ...]) -> list[list[np.ndarray]]:
    """The cell arrays of a .mat file of version 5, each as a list of matrices.

    Raises:
      UserError: no such file, another format, truncated, or a key is missing.
    """
    with _readable(path, "MATLAB 5 file"):
        content = scipy.io.loadmat(str(path), variable_names=list(keys))
        return [_cells(path, key, content) for key in keys]


def _cells(path: Path, key: str, content: dict[str, Any]) -> list[np.ndarray]:
    if key not in content:
        raise UserError(f"{path}: lacks '{key}'; fetch the file again")
    array = content[key]
    if array.dtype != object:
        raise UserError(f"{path}: '{key}' is no cell array; fetch the file again")
    return list(array.ravel())


@contextmanager
def hdf5_mat(path: Path) -> Iterator[Any]:
    """An open .mat file of version 7.3, which is HDF5, as h5py's `File`.

    Axes come in the reverse of MATLAB's order. What goes wrong in the block, because a
    key is missing or a block damaged, is the file's fault.

    Raises:
      MissingPackageError: h5py is not installed.
      UserError: the file cannot be used.
    """
    h5py = _package("h5py", path)
    with _readable(path, "MATLAB 7.3 (HDF5) file"), h5py.File(path, "r") as file:
        yield file


def read_cdf(path: Path, columns: int) -> Float[np.ndarray, "N C"]:
    """Human3.6M's variable `Pose`, a row a frame.

    Raises:
      MissingPackageError: cdflib is not installed.
      UserError: the file cannot be used.
    """
    cdflib = _package("cdflib", path)
    with _readable(path, "CDF file"):
        pose = np.asarray(cdflib.CDF(path).varget("Pose"), np.float64)
    if pose.size == 0 or pose.shape[-1] != columns:
        raise UserError(
            f"{path}: 'Pose' has the shape {pose.shape}, not (1, frames, {columns})"
        )
    return pose.reshape(-1, columns)


def _package(name: str, path: Path) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise MissingPackageError(
            f"{path}: reading it needs the package {name}: {INSTALL}"
        ) from error


@contextmanager
def _readable(path: Path, what: str) -> Iterator[None]:
    """Turns what a damaged file does to its reader into one line."""
    if not path.is_file():
        raise UserError(f"{path}: no such file; check the data set's paths")
    # The file is untrusted, and a malformed one can fail in any way.
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise UserError(
            f"{path}: not a readable {what} ({reason:.120}); fetch it again"
        ) from error
