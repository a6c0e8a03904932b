"""Reads SMPL's own files: the official pickles, with or without chumpy, and npz.

The keys are those of `basicModel_neutral_lbs_10_207_0_v1.0.0.pkl` and of
`SMPL_{NEUTRAL,MALE,FEMALE}.{pkl,npz}`. Nothing in a file is executed.
"""

import pathlib

import jax.numpy as jnp
import numpy as np

from dsr_jax.arrays import Array
from dsr_jax.body.array_file import read_named_arrays
from dsr_jax.body.model import BodyModel
from dsr_jax.body.skeleton import PARENTS
from dsr_jax.errors import UserError

_JOINTS = len(PARENTS)
_BETAS = 10
# Each key's shape; a letter is any size, the same wherever the letter stands.
_LAYOUT: dict[str, tuple[int | str, ...]] = {
    "v_template": ("V", 3),
    "shapedirs": ("V", 3, "S"),
    "posedirs": ("V", 3, 9 * (_JOINTS - 1)),
    "weights": ("V", _JOINTS),
    "J_regressor": (_JOINTS, "V"),
    "kintree_table": (2, _JOINTS),
    "f": ("F", 3),
}
# The root has no parent: the official files keep −1 in a uint32.
_NO_PARENT = 2**32 - 1
# Official weights and regressors sum to 1 within 1e-5; another file's must, roughly.
_SUM_TOLERANCE = 1e-3


def load_smpl_file(path: pathlib.Path) -> BodyModel:
    """The body in an SMPL file, in float32 and without joint sets.

    Raises:
      UserError: a file that cannot be read, lacks a key, holds a key of the wrong
        shape or with impossible values, or names anything that could run code.
    """
    arrays = read_named_arrays(path, tuple(_LAYOUT))
    _check_shapes(path, arrays)
    _check_numbers(path, arrays)
    _check_tree(path, arrays["kintree_table"])
    return BodyModel(
        template=_float32(arrays["v_template"]),
        shape_directions=_float32(arrays["shapedirs"][..., :_BETAS]),
        pose_directions=_float32(arrays["posedirs"]),
        skinning_weights=_float32(arrays["weights"]),
        joint_regressor=_float32(arrays["J_regressor"]),
        faces=jnp.asarray(arrays["f"].astype(np.int32)),
        joint_sets={},
        name=str(path),
        parents=PARENTS,
    )


def _float32(array: np.ndarray) -> Array:
    return jnp.asarray(np.ascontiguousarray(array, np.float32))


def _check_shapes(path: pathlib.Path, arrays: dict[str, np.ndarray]) -> None:
    sizes: dict[str, int] = {}
    for key, layout in _LAYOUT.items():
        shape = arrays[key].shape
        fits = len(shape) == len(layout) and all(
            size == (sizes.setdefault(want, size) if isinstance(want, str) else want)
            for size, want in zip(shape, layout, strict=True)
        )
        if not fits:
            known = tuple(sizes.get(w, w) if isinstance(w, str) else w for w in layout)
            raise UserError(
                f"{path}: '{key}' has the shape {shape}, SMPL's is "
                f"({', '.join(map(str, known))}); use an SMPL file with {_JOINTS} "
                "joints (not SMPL+H or SMPL-X)"
            )
    if sizes["S"] < _BETAS:
        raise UserError(
            f"{path}: 'shapedirs' has {sizes['S']} shape components, at least {_BETAS} "
            "are needed"
        )


def _check_numbers(path: pathlib.Path, arrays: dict[str, np.ndarray]) -> None:
    for key, array in arrays.items():
        if not np.all(np.isfinite(array)):
            raise UserError(f"{path}: '{key}' holds values that are not finite")
    for key in ("weights", "J_regressor"):
        if np.abs(arrays[key].sum(1) - 1).max() > _SUM_TOLERANCE:
            raise UserError(f"{path}: the rows of '{key}' do not sum to 1")
    faces, count = arrays["f"], len(arrays["v_template"])
    if faces.size == 0 or faces.dtype.kind not in "iu":
        raise UserError(f"{path}: 'f' holds no vertex indices")
    if faces.min() < 0 or faces.max() >= count:
        raise UserError(f"{path}: 'f' names vertices outside 0 to {count - 1}")


def _check_tree(path: pathlib.Path, kintree_table: np.ndarray) -> None:
    parents = kintree_table[0].astype(np.int64)
    parents = np.where(parents == _NO_PARENT, -1, parents)
    in_order = np.array_equal(kintree_table[1], np.arange(_JOINTS))
    if not in_order or not np.array_equal(parents, PARENTS):
        raise UserError(
            f"{path}: 'kintree_table' is not SMPL's tree of {_JOINTS} joints"
        )
