"""The annotation files of SPIN: one `.npz` with a row for every person.

    imgname   (N,)        path of the photo, relative to the folder of images
    center    (N, 2)      box centre, px          scale     (N,)   box side / 200 px
    part      (N, 24, 3)  ground-truth keypoints, px and confidence
    openpose  (N, 25, 3)  OpenPose BODY_25 keypoints, px and confidence
    S         (N, 24, 4)  3D joints, metres, camera axes, and confidence
    pose      (N, 72)     SMPL axis-angle; the first three turn to the camera axes
    shape     (N, 10)     SMPL shape coefficients
    has_smpl  (N,)        1 where pose and shape are annotations
    gender    (N,)        'm' or 'f'
    maskname, partname  (N,)  silhouettes and body parts; carried along, not used here

Only the first three are necessary. Arrays of other names are left alone.
"""

import dataclasses
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dsr_jax.errors import UserError
from dsr_jax.files import write_bytes
from dsr_jax.npz_file import read_npz

# Shape of one row of every numeric array.
_ROW_SHAPES: dict[str, tuple[int, ...]] = {
    "center": (2,),
    "scale": (),
    "part": (24, 3),
    "openpose": (25, 3),
    "S": (24, 4),
    "pose": (72,),
    "shape": (10,),
    "has_smpl": (),
}
_TEXT = ("imgname", "gender", "maskname", "partname")
_NECESSARY = ("imgname", "center", "scale")
# A box of 100 000 px, beyond all photos.
_LARGEST_SCALE = 500


@dataclasses.dataclass(frozen=True)
class SpinAnnotations:
    """The arrays of the file, float32; None where the file has no such array."""

    imgname: np.ndarray
    center: np.ndarray
    scale: np.ndarray
    part: np.ndarray | None = None
    openpose: np.ndarray | None = None
    S: np.ndarray | None = None
    pose: np.ndarray | None = None
    shape: np.ndarray | None = None
    has_smpl: np.ndarray | None = None
    gender: np.ndarray | None = None
    maskname: np.ndarray | None = None
    partname: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.imgname)

    def given(self) -> dict[str, np.ndarray]:
        """The arrays that are there."""
        names = [field.name for field in dataclasses.fields(self)]
        return {n: getattr(self, n) for n in names if getattr(self, n) is not None}


def read_spin_npz(path: str | Path) -> SpinAnnotations:
    """Reads an annotation file; code in it is never run.

    Raises:
      UserError: the file is missing, truncated or no npz; an array that is necessary
        is missing; an array holds Python objects, text for numbers, values that are not
        finite, or has a wrong shape; a scale is not positive or not one; a name is
        empty.
    """
    arrays = read_npz(
        path, "annotation file or folder of records", (*_TEXT, *_ROW_SHAPES)
    )
    for name in _NECESSARY:
        if name not in arrays:
            raise UserError(f"{path}: lacks the array '{name}'; add it")
    count = len(arrays["imgname"]) if arrays["imgname"].ndim == 1 else -1
    checked = {}
    for name, array in arrays.items():
        shape = (count, *_ROW_SHAPES.get(name, ()))
        # Some of the field's files store (N, 1) for (N,).
        if array.shape == (*shape, 1):
            array = array[..., 0]
        if array.shape != shape:
            wanted = str(shape).replace(f"({count}", "(N", 1)
            raise UserError(
                f"{path}: the array '{name}' has shape {array.shape}, but "
                f"{wanted} is expected for the {max(count, 0)} names in 'imgname'"
            )
        checked[name] = _converted(path, name, array)
    if np.any(checked["scale"] <= 0):
        row = int(np.argmax(checked["scale"] <= 0))
        raise UserError(
            f"{path}: 'scale' is not positive in row {row}; correct the box"
        )
    if np.any(checked["scale"] > _LARGEST_SCALE):
        row = int(np.argmax(checked["scale"] > _LARGEST_SCALE))
        raise UserError(
            f"{path}: 'scale' is {checked['scale'][row]:g} in row {row}, more than "
            f"{_LARGEST_SCALE}: it is the box's side in pixels / 200; correct the box"
        )
    nameless = np.char.strip(checked["imgname"], "./") == ""
    if np.any(nameless):
        row = int(np.argmax(nameless))
        raise UserError(f"{path}: 'imgname' names no file in row {row}; name the photo")
    return SpinAnnotations(**checked)


def write_spin_npz(path: str | Path, annotations: SpinAnnotations) -> None:
    """Writes the arrays that are there; the file appears whole.

    Raises:
      UserError: the folder is missing or cannot be written to.
    """
    buffer = io.BytesIO()
    arrays: dict[str, Any] = annotations.given()
    np.savez(buffer, **arrays)
    write_bytes(path, buffer.getvalue())


def concatenate_annotations(parts: Sequence[SpinAnnotations]) -> SpinAnnotations:
    """All rows, one part after the other.

    Raises:
      ValueError: no parts, or parts with different arrays.
    """
    if not parts or any(p.given().keys() != parts[0].given().keys() for p in parts):
        raise ValueError("parts must exist and have the same arrays")
    return SpinAnnotations(
        **{n: np.concatenate([p.given()[n] for p in parts]) for n in parts[0].given()}
    )


def _converted(path: str | Path, name: str, array: np.ndarray) -> np.ndarray:
    if name in _TEXT:
        if array.dtype.kind == "S":
            try:
                return np.char.decode(array, "utf-8")
            except UnicodeDecodeError as error:
                raise UserError(
                    f"{path}: the array '{name}' holds bytes that are no UTF-8; save "
                    "it as strings"
                ) from error
        if array.dtype.kind == "U":
            return array
        raise UserError(f"{path}: the array '{name}' must hold strings")
    if array.dtype.kind not in "fiub":
        raise UserError(f"{path}: the array '{name}' must hold numbers")
    values = array.astype(np.float32)
    if not np.isfinite(values).all():
        row = int(np.argwhere(~np.isfinite(values))[0][0])
        raise UserError(f"{path}: '{name}' is not finite in row {row}; correct it")
    return values
