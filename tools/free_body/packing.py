"""Writes a body as small integers and sparse entries; `load_body` reads it."""

import dataclasses
import io
import os
import pathlib
import zipfile

import numpy as np

_INT16_MAX = 2**15 - 1
_UINT16_MAX = 2**16 - 1
_INFLUENCES = 4
# Zip entries carry a date; a fixed one makes equal bodies equal files.
_ZIP_DATE = (1980, 1, 1, 0, 0, 0)


@dataclasses.dataclass(frozen=True)
class Body:
    """Everything that an asset holds, in full precision."""

    template: np.ndarray
    shape_directions: np.ndarray
    skinning_weights: np.ndarray
    joint_regressor: np.ndarray
    faces: np.ndarray
    joints49: np.ndarray
    h36m17: np.ndarray
    provenance: str


def write_body(path: pathlib.Path, body: Body) -> None:
    """Writes the npz atomically; the same body always gives the same bytes."""
    bones = np.argsort(-body.skinning_weights, axis=1, kind="stable")[:, :_INFLUENCES]
    weights = np.take_along_axis(body.skinning_weights, bones, axis=1)
    arrays = {
        "provenance": np.array(body.provenance),
        **_fixed_point("template", body.template, None),
        **_fixed_point("shape_directions", body.shape_directions, (0, 1)),
        "bones": bones.astype(np.uint8),
        "bone_weights": np.round(weights * _UINT16_MAX).astype(np.uint16),
        "faces": body.faces.astype(np.uint16),
        **_sparse("joint_regressor", body.joint_regressor),
        **_sparse("joints49", body.joints49),
        **_sparse("h36m17", body.h36m17),
    }
    write_npz(path, arrays)


def _fixed_point(
    name: str, values: np.ndarray, axes: tuple[int, ...] | None
) -> dict[str, np.ndarray]:
    """Integers times a step: an error of half a step, at most 0.02 mm here."""
    step = np.abs(values).max(axis=axes) / _INT16_MAX
    return {name: np.round(values / step).astype(np.int16), f"{name}_step": step}


def _sparse(name: str, matrix: np.ndarray) -> dict[str, np.ndarray]:
    rows, columns = np.nonzero(matrix)
    return {
        f"{name}_row": rows.astype(np.uint8),
        f"{name}_column": columns.astype(np.uint16),
        f"{name}_value": matrix[rows, columns].astype(np.float32),
    }


def write_npz(path: pathlib.Path, arrays: dict[str, np.ndarray]) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with zipfile.ZipFile(temporary, "w") as archive:
        for name, array in arrays.items():
            stream = io.BytesIO()
            np.lib.format.write_array(stream, array, allow_pickle=False)
            entry = zipfile.ZipInfo(f"{name}.npy", date_time=_ZIP_DATE)
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, stream.getvalue(), compresslevel=9)
    os.replace(temporary, path)
