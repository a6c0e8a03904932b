"""The mean body and camera from which the regressor's iterations start."""

import dataclasses
import os
import typing
import zipfile
from collections.abc import Mapping
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from dsr_jax.arrays import Array, Float
from dsr_jax.errors import UserError

JOINT_COUNT = 24
SHAPE_COUNT = 10

# Written by tools/bake_mean_parameters.py.
_DEFAULT_FILE = Path(__file__).parent / "assets" / "mean.npz"


# JAX rebuilds it with whatever a tree map returns: shapes, shardings, None.
@typing.no_type_check
@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class MeanParameters:
    """One body and one camera."""

    rotation_6d: Float[Array, "24 6"]
    """Joint rotations, the first one to camera axes; see `dsr_jax.rotations`."""
    betas: Float[Array, "10"]
    """Shape coefficients."""
    camera: Float[Array, "3"]
    """Weak-perspective camera [s, tx, ty] of the crop."""


def default_mean_parameters() -> MeanParameters:
    """The mean pose of common activities and the mean shape, facing the camera.

    Upright in camera axes, whose y points down, is half a turn about x. The camera sees
    all of the body, as that of SPIN's `smpl_mean_params.npz` does.
    """
    return load_mean_parameters(_DEFAULT_FILE)


def load_mean_parameters(path: str | os.PathLike[str]) -> MeanParameters:
    """Reads `smpl_mean_params.npz`: `pose` (144,) as 6D, `shape` (10,), `cam` (3,).

    Raises:
      UserError: the file is missing, is not an npz, or lacks one of the arrays.
    """
    arrays = _load_arrays(path)
    return MeanParameters(
        rotation_6d=_read(arrays, "pose", (JOINT_COUNT, 6), path),
        betas=_read(arrays, "shape", (SHAPE_COUNT,), path),
        camera=_read(arrays, "cam", (3,), path),
    )


def _load_arrays(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """All arrays of an npz file, by name."""
    if not os.path.isfile(path):
        raise UserError(f"{path}: no such file; give a smpl_mean_params.npz")
    try:
        # `np.load` would open a lone array or a pickle as well.
        with zipfile.ZipFile(path):
            pass
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise UserError(
            f"{path}: not a readable npz ({error}); give a smpl_mean_params.npz"
        ) from error


def _read(
    arrays: Mapping[str, np.ndarray],
    name: str,
    shape: tuple[int, ...],
    path: str | os.PathLike[str],
) -> Array:
    """One array of the file in float32, whatever singleton axes it carries."""
    if name not in arrays:
        raise UserError(
            f"{path}: lacks the array {name!r} (it has {sorted(arrays)}); "
            "give a smpl_mean_params.npz"
        )
    values = np.asarray(arrays[name])
    if values.size != np.prod(shape) or values.dtype.kind != "f":
        raise UserError(
            f"{path}: array {name!r} is {values.dtype} of shape {values.shape}, "
            f"expected {np.prod(shape)} floats"
        )
    if not np.isfinite(values).all():
        raise UserError(f"{path}: array {name!r} holds NaN or infinity")
    return jnp.asarray(values.reshape(shape), jnp.float32)
