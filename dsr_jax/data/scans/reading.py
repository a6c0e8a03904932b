"""Reads scans: fitted bodies, cameras and label maps, one folder a scan.

    scans/
      anna-01/             one person in one pose; any name, any number of them
        fit.npz            the body, in metres, in any axes ("world"):
                             vertices (V, 3); or
                             pose (72,) axis-angle or (24, 3, 3), betas (10,) and, if it
                             is not at the origin, translation (3,)
        cameras.npz        N views:
                             names (N,): the label map of each in labels/
                             and either K, R, t, image_size: full perspective
                             or camera (N, 3): weak cameras [s, tx, ty] of square images
                             and, if the axes are not the camera's, R
        labels/front.png   label maps, see `dsr_jax.semantics.read_label_map`

R (N, 3, 3) and t (N, 3) in metres lead from world to camera axes (x right, y down, z
away), X_cam = R X + t. K (N, 3, 3) is in pixels, the centre of the top-left pixel at
(0, 0), and `image_size` (N, 2) is the (height, width) that it belongs to. What all
views share may be given once, without N. A weak camera is `dsr_jax.camera.weak`'s.
"""

import dataclasses
import io
import zipfile
import zlib
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from dsr_jax.arrays import Array, Float
from dsr_jax.body import BodyModel, BodyParams, pose_body
from dsr_jax.camera import weak_camera_translation
from dsr_jax.errors import UserError
from dsr_jax.files import read_bytes
from dsr_jax.rotations import axis_angle_to_matrix

FIT_FILE, CAMERAS_FILE, LABELS_FOLDER = "fit.npz", "cameras.npz", "labels"
# A rotation given in float32, or with five digits in a text file, is nearer than this.
_ROTATION_TOLERANCE = 1e-3


@dataclasses.dataclass(frozen=True)
class ScanView:
    """One camera before a scan, and its label map."""

    label_path: Path
    rotation: Float[np.ndarray, "3 3"]
    """From the fit's axes to the camera's."""
    translation: Float[np.ndarray, "3"]
    """In camera axes, metres; a weak camera's distance included."""
    intrinsics: Float[np.ndarray, "3 3"] | None
    """In pixels; None for a weak camera, whose image is square."""
    image_size: tuple[int, int] | None
    """(H, W) that the intrinsics belong to; None for a weak camera."""


@dataclasses.dataclass(frozen=True)
class Scan:
    """One fitted body and its views."""

    name: str
    vertices: Float[np.ndarray, "V 3"]
    """Metres, in the fit's own axes."""
    views: tuple[ScanView, ...]


def find_scans(folder: str | Path) -> list[Path]:
    """The folders of all scans, by name.

    Raises:
      UserError: no such folder, or no folder with a fit or cameras in it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"{folder}: there is no such folder of scans; check the path")
    inside = (path for path in sorted(folder.iterdir()) if path.is_dir())
    marks = (FIT_FILE, CAMERAS_FILE)
    scans = [path for path in inside if any((path / mark).exists() for mark in marks)]
    if not scans:
        raise UserError(
            f"{folder}: holds no scan; each is a folder with {FIT_FILE}, "
            f"{CAMERAS_FILE} and {LABELS_FOLDER}/"
        )
    return scans


def read_scan(folder: str | Path, model: BodyModel) -> Scan:
    """Reads the fit and the cameras of one scan; its label maps are only looked for.

    Raises:
      UserError: a file or key that is missing, or not what the layout says; a fit of
        another body.
    """
    folder = Path(folder)
    return Scan(folder.name, _read_vertices(folder, model), _read_views(folder))


def _read_vertices(folder: Path, model: BodyModel) -> np.ndarray:
    path = folder / FIT_FILE
    arrays = _read_npz(path, "fit")
    if "vertices" in arrays:
        count = len(model.template)
        found = arrays["vertices"].shape
        if found != (count, 3):
            raise UserError(
                f"{path}: 'vertices' has shape {found}, but body {model.name} needs "
                f"({count}, 3); give the body that was fitted"
            )
        return _finite(path, arrays, "vertices")
    if "pose" not in arrays:
        raise UserError(f"{path}: lacks 'vertices', or 'pose' and 'betas'; add them")
    pose = _pose(path, arrays)
    betas = _shaped(path, arrays, "betas", (model.shape_directions.shape[-1],))
    vertices = np.asarray(_posed(model, jnp.asarray(pose), jnp.asarray(betas)))
    if "translation" in arrays:
        vertices = vertices + _shaped(path, arrays, "translation", (3,))
    return vertices


def _pose(path: Path, arrays: dict[str, np.ndarray]) -> np.ndarray:
    """Rotation matrices (24, 3, 3)."""
    if arrays["pose"].size == 72:
        vectors = _finite(path, arrays, "pose").reshape(24, 3)
        return np.asarray(axis_angle_to_matrix(jnp.asarray(vectors)))
    matrices = _shaped(path, arrays, "pose", (24, 3, 3))
    _check_rotations(path, "pose", matrices)
    return matrices


@jax.jit
def _posed(model: BodyModel, pose: Array, betas: Array) -> Array:
    return pose_body(model, BodyParams(pose=pose, betas=betas)).vertices


def _read_views(folder: Path) -> tuple[ScanView, ...]:
    path = folder / CAMERAS_FILE
    arrays = _read_npz(path, "camera file")
    names = _names(path, arrays)
    count = len(names)
    intrinsics: list[np.ndarray | None] = [None] * count
    sizes: list[tuple[int, int] | None] = [None] * count
    if "camera" in arrays:
        camera = _shaped(path, arrays, "camera", (count, 3))
        if camera[:, 0].min() <= 0:
            raise UserError(f"{path}: 'camera' has a scale s <= 0; give [s, tx, ty]")
        rotation = _per_view(path, arrays, "R", count, (3, 3), np.eye(3))
        translation = np.asarray(weak_camera_translation(jnp.asarray(camera)))
    else:
        rotation = _per_view(path, arrays, "R", count, (3, 3))
        translation = _per_view(path, arrays, "t", count, (3,))
        intrinsics = list(_per_view(path, arrays, "K", count, (3, 3)))
        pairs = _per_view(path, arrays, "image_size", count, (2,))
        sizes = [(int(height), int(width)) for height, width in pairs]
    _check_rotations(path, "R", rotation)
    paths = [folder / LABELS_FOLDER / name for name in names]
    for label_path in paths:
        if not label_path.is_file():
            raise UserError(f"{label_path}: no such label map, but {path} names it")
    parts = zip(paths, rotation, translation, intrinsics, sizes, strict=True)
    return tuple(ScanView(*part) for part in parts)


def _names(path: Path, arrays: dict[str, np.ndarray]) -> list[str]:
    """File names of the label maps."""
    names = arrays.get("names", np.zeros(0))
    if names.ndim != 1 or names.dtype.kind != "U" or not len(names):
        raise UserError(
            f"{path}: 'names' must list the file name of each view's label map, "
            "such as np.array(['front.png', 'back.png'])"
        )
    for name in names:
        if Path(str(name)).name != str(name):
            raise UserError(
                f"{path}: 'names' holds '{name}': give names of files in "
                f"{LABELS_FOLDER}/, without folders"
            )
    return [str(name) for name in names]


def _per_view(
    path: Path,
    arrays: dict[str, np.ndarray],
    key: str,
    count: int,
    shape: tuple[int, ...],
    default: np.ndarray | None = None,
) -> np.ndarray:
    """An array (count, *shape), which the file may hold once for all views."""
    if key not in arrays and default is not None:
        return np.broadcast_to(default.astype(np.float32), (count, *shape))
    if key not in arrays:
        raise UserError(
            f"{path}: lacks '{key}'; give K, R, t and image_size, or weak cameras as "
            "'camera'"
        )
    if arrays[key].shape == shape:
        return np.broadcast_to(_finite(path, arrays, key), (count, *shape))
    return _shaped(path, arrays, key, (count, *shape))


def _shaped(
    path: Path, arrays: dict[str, np.ndarray], key: str, shape: tuple[int, ...]
) -> np.ndarray:
    if key not in arrays:
        raise UserError(f"{path}: lacks '{key}' of shape {shape}; add it")
    if arrays[key].shape != shape:
        raise UserError(
            f"{path}: '{key}' has shape {arrays[key].shape}, not {shape}; correct it"
        )
    return _finite(path, arrays, key)


def _finite(path: Path, arrays: dict[str, np.ndarray], key: str) -> np.ndarray:
    values = arrays[key]
    if values.dtype.kind not in "fiu" or not np.isfinite(values).all():
        raise UserError(
            f"{path}: '{key}' holds values that are not finite numbers; correct it"
        )
    return values.astype(np.float32)


def _check_rotations(path: Path, key: str, matrices: np.ndarray) -> None:
    """Refuses reflections and scaled axes, which would swap or shrink the body."""
    products = matrices @ np.swapaxes(matrices, -1, -2)
    orthonormal = np.abs(products - np.eye(3)).max() < _ROTATION_TOLERANCE
    if not orthonormal or np.linalg.det(matrices).min() < 0:
        raise UserError(
            f"{path}: '{key}' holds a matrix that is no rotation; its rows must be "
            "orthonormal and its determinant 1"
        )


def _read_npz(path: Path, what: str) -> dict[str, np.ndarray]:
    """All arrays of a file; nothing pickled is opened."""
    data = io.BytesIO(read_bytes(path, what))
    try:
        content = np.load(data, allow_pickle=False)
        if isinstance(content, np.ndarray):
            raise ValueError("a bare array")
        arrays = dict(content)
        if not all(isinstance(array, np.ndarray) for array in arrays.values()):
            raise ValueError("a zip of other files")
        return arrays
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise UserError(
            f"{path}: this {what} is damaged, or not a .npz of plain arrays; write it "
            "again"
        ) from error
