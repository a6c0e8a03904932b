"""Writes batches of people, synthetic ones say, as a data set that `folder` reads."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from dsr_jax.arrays import Float
from dsr_jax.data.batch import Batch
from dsr_jax.data.crop import BOX_PIXELS_PER_SCALE
from dsr_jax.data.image_file import write_image
from dsr_jax.data.spin_npz import (
    SpinAnnotations,
    concatenate_annotations,
    write_spin_npz,
)
from dsr_jax.errors import UserError
from dsr_jax.semantics import write_label_map

IMAGES_FOLDER = "images"
LABELS_FOLDER = "labels"
ANNOTATIONS_FILE = "annotations.npz"


def write_people(
    folder: str | Path, batches: Iterable[Batch], suffix: str = ".png"
) -> int:
    """Writes `images/`, `labels/` and, when all is there, `annotations.npz`.

    Each crop becomes a photo of its own whose box is the whole image. Label maps are
    written for examples with `has_labels`. The known camera has no place in SPIN's
    format and is left out.

    Args:
      folder: made if it does not exist.
      batches: square crops.
      suffix: ".png" keeps the pixels exactly; ".jpg" is smaller.

    Returns:
      The number of people.

    Raises:
      UserError: the folder cannot be written to.
      ValueError: no batch, or crops that are not square.
    """
    folder = Path(folder)
    for name in (IMAGES_FOLDER, LABELS_FOLDER):
        make_folder(folder / name)
    parts, count = [], 0
    for batch in batches:
        parts.append(_write_batch(folder, batch, count, suffix))
        count += len(parts[-1])
    write_spin_npz(folder / ANNOTATIONS_FILE, concatenate_annotations(parts))
    return count


def make_folder(folder: str | Path) -> Path:
    """Makes a folder and those above it, unless they exist.

    Raises:
      UserError: a file is in the way, or no permission.
    """
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"{folder}: cannot make this folder: {error.strerror}; give another"
        ) from error
    return Path(folder)


def _write_batch(
    folder: Path, batch: Batch, start: int, suffix: str
) -> SpinAnnotations:
    images, labels = np.asarray(batch.image), np.asarray(batch.labels)
    count, height, width = labels.shape
    if height != width:
        raise ValueError(f"crops must be square, not {width} x {height}")
    stems = [f"{start + i:06d}" for i in range(count)]
    for i, stem in enumerate(stems):
        write_image(folder / IMAGES_FOLDER / f"{stem}{suffix}", images[i])
        if batch.has_labels[i]:
            write_label_map(folder / LABELS_FOLDER / f"{stem}.png", labels[i])
    keypoints = _keypoints_px(np.asarray(batch.keypoints_ndc), width)
    rotations = np.asarray(batch.pose).reshape(-1, 3, 3)
    known = np.repeat(np.asarray(batch.has_body) > 0, 24)
    axis_angle = np.zeros((count * 24, 3), np.float32)
    axis_angle[known] = Rotation.from_matrix(rotations[known]).as_rotvec()
    return SpinAnnotations(
        imgname=np.array([f"{stem}{suffix}" for stem in stems]),
        center=np.full((count, 2), (width - 1) / 2, np.float32),
        scale=np.full(count, width / BOX_PIXELS_PER_SCALE, np.float32),
        openpose=keypoints[:, :25],
        part=keypoints[:, 25:],
        S=np.asarray(batch.joints),
        pose=axis_angle.reshape(count, 72),
        shape=np.asarray(batch.betas),
        has_smpl=np.asarray(batch.has_body),
    )


def _keypoints_px(
    keypoints_ndc: Float[np.ndarray, "B 49 3"], side: int
) -> Float[np.ndarray, "B 49 3"]:
    """Inverse of the crop's NDC: u = (x·R + R - 1)/2, v = (R - 1 - y·R)/2."""
    x, y, confidence = np.moveaxis(keypoints_ndc, -1, 0)
    return np.stack(
        [(x * side + side - 1) / 2, (side - 1 - y * side) / 2, confidence], -1
    ).astype(np.float32)
