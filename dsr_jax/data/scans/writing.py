"""Writes scans in the layout of `reading`, synthetic people among them."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from dsr_jax.arrays import ArrayLike, Float, UInt8
from dsr_jax.body import BodyModel, BodyParams, pose_body
from dsr_jax.camera import (
    CROP_SIZE,
    FOCAL_LENGTH,
    centred_intrinsics,
    weak_camera_translation,
)
from dsr_jax.data.batch import Batch
from dsr_jax.data.people_files import make_folder
from dsr_jax.data.scans.reading import CAMERAS_FILE, FIT_FILE, LABELS_FOLDER
from dsr_jax.files import write_bytes
from dsr_jax.semantics import write_label_map


def write_scan(
    folder: str | Path,
    fit: Mapping[str, ArrayLike],
    cameras: Mapping[str, ArrayLike],
    labels: Mapping[str, UInt8[np.ndarray, "_ _"]],
) -> None:
    """Writes one scan; `fit.npz` comes last, so that a scan with a fit is whole.

    Args:
      folder: made if it does not exist.
      fit: the arrays of `fit.npz`.
      cameras: the arrays of `cameras.npz`; `names` is added.
      labels: label maps by their file names, in the order of the cameras.

    Raises:
      UserError: the folder cannot be written to.
    """
    folder = Path(folder)
    make_folder(folder / LABELS_FOLDER)
    for name, label_map in labels.items():
        write_label_map(folder / LABELS_FOLDER / name, label_map)
    named = {"names": np.array(list(labels), np.str_), **cameras}
    for file, arrays in ((CAMERAS_FILE, named), (FIT_FILE, fit)):
        buffer = io.BytesIO()
        plain: dict[str, Any] = {key: np.asarray(arrays[key]) for key in arrays}
        np.savez(buffer, **plain)
        write_bytes(folder / file, buffer.getvalue())


def write_synthetic_scans(
    folder: str | Path,
    people: Batch,
    views: int,
    model: BodyModel,
    start: int = 0,
    count: int | None = None,
) -> None:
    """Writes synthetic people as scans `000000`, `000001`, …, each with its views.

    The world is the camera of a person's first view.

    Args:
      folder: made if it does not exist.
      people: from `synthetic_views`, the views of a person next to each other.
      views: of each person.
      model: the body they were made of.
      start: the number of the first.
      count: how many are written; all by default.
    """
    people = jax.device_get(people)
    total = len(people.labels) // views
    for person in range(total if count is None else count):
        chosen = np.arange(views) + person * views
        root = np.asarray(people.pose[chosen, 0], np.float64)
        maps = np.asarray(people.labels[chosen])
        labels = {f"{i:02d}.png": label_map for i, label_map in enumerate(maps)}
        betas = np.asarray(people.betas[chosen[0]])
        fit = {"pose": people.pose[chosen[0]], "betas": betas}
        camera, side = people.camera[chosen], people.labels.shape[-1]
        cameras = _cameras(root, _pelvis(model, betas), np.asarray(camera), side)
        write_scan(Path(folder) / f"{start + person:06d}", fit, cameras, labels)


def _cameras(
    root: Float[np.ndarray, "N 3 3"],
    pelvis: Float[np.ndarray, "3"],
    camera: Float[np.ndarray, "N 3"],
    side: int,
) -> dict[str, np.ndarray]:
    """K, R, t and the image size of the views, from root rotations and weak cameras.

    The body turns about its pelvis j: a view has the points A_v (X − j) + j with
    A_v = (root of view v)·(root of view 0)ᵀ.
    """
    rotation = root @ root[0].T
    distance = np.asarray(weak_camera_translation(jnp.asarray(camera)), np.float64)
    size = (side, side)
    return {
        "K": np.asarray(centred_intrinsics(FOCAL_LENGTH * side / CROP_SIZE, size)),
        "R": rotation.astype(np.float32),
        "t": (distance + pelvis - rotation @ pelvis).astype(np.float32),
        "image_size": np.array(size),
    }


def _pelvis(model: BodyModel, betas: np.ndarray) -> Float[np.ndarray, "3"]:
    """Joint 0, which no rotation moves."""
    rest = BodyParams(pose=jnp.tile(jnp.eye(3), (24, 1, 1)), betas=jnp.asarray(betas))
    return np.asarray(pose_body(model, rest).joints[0], np.float64)
