"""MPI-INF-3DHP as it is downloaded, its videos cut into frames.

    S1/Seq1/annot.mat                                       to S8/Seq2, MATLAB 5
    S1/Seq1/imageFrames/video_0/frame_000001.jpg            one for each camera
    mpi_inf_3dhp_test_set/TS1/annot_data.mat                to TS6, MATLAB 7.3
    mpi_inf_3dhp_test_set/TS1/imageSequence/img_000001.jpg

`annot2` and `annot3` of the training set are cells of 14 cameras, each with a row of
28 × 2 pixels or 28 × 3 millimetres (camera axes) for every frame; those of the test set
hold 17 joints, `univ_annot3` for a body of common height, and `valid_frame`. As SPIN
does: 8 of the cameras, `annot3` in training and `univ_annot3` in tests, 17 joints about
the pelvis, the box around them grown by 1.2, and nobody of whom a joint lies outside
the photo.

Frame i of a video is `frame_{i + 1:06d}.jpg`, and every tenth is used, from the first.
(SPIN takes every tenth of the frames it keeps, over the videos of all recordings, in
the order in which the file system lists them, so that its choice is not repeatable.)
Test frames that are not valid stay, marked with `valid` False. The files do not say
where a pixel's centre lies: 2D joints are taken as they are. `camera.calibration` is
not needed: the joints are in the camera's axes already.
"""

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dsr_jax.data.image_file import BrokenImage, read_image
from dsr_jax.data.person_box import BOX_GROWTH
from dsr_jax.data.readers.joint_orders import MPI_TEST_COLUMNS, MPI_TRAIN_COLUMNS
from dsr_jax.data.readers.motion_capture import (
    inside,
    keypoint_box,
    root_centred_metres,
    rows_of,
    used_keypoints,
)
from dsr_jax.data.readers.photographed import PhotographedPeople, photographed_people
from dsr_jax.data.readers.raw_files import hdf5_mat, read_mat_cells
from dsr_jax.data.readers.screening import Leftovers, Screening
from dsr_jax.data.readers.table import PeopleTable
from dsr_jax.errors import UserError, nearest

SPLITS = ("train", "test")
# Chest-high, knee-high and two that look down: the set "vnect" of the data set's tools.
CAMERAS = (0, 1, 2, 4, 5, 6, 7, 8)
TRAINING_STEP = 10
TEST_FOLDER = "mpi_inf_3dhp_test_set"
# (H, W) of all training videos.
TRAINING_SIZE = (2048, 2048)
_OUTSIDE = "a joint lies outside the photo"


def open_mpi_inf_3dhp(
    root: Path,
    split: str,
    labels: Path | None = None,
    broken: str = "stop",
    cameras: Sequence[int] = CAMERAS,
    step: int | None = None,
) -> PhotographedPeople:
    """The people of a split, recording by recording, camera by camera.

    Args:
      root: the folder of `S1` to `S8` and `mpi_inf_3dhp_test_set`; recordings that are
        not there are not read.
      split: "train" or "test".
      labels: folder of label maps, `S1/Seq1/imageFrames/….png` in it.
      broken: what a broken file or annotation does: "stop" or "skip".
      cameras: which of the 14 of the training set.
      step: every how many frames; None: 10 in training, 1 in tests.

    Raises:
      UserError: no such split, nobody in it, or something broken with "stop".
    """
    if split not in SPLITS:
        raise UserError(
            f"mpi-inf-3dhp has no split '{split}': {nearest(split, SPLITS)}"
        )
    if step is not None and step < 1:
        raise UserError(f"mpi-inf-3dhp: 'step' is {step}, but counts frames from 1")
    leftovers = Leftovers(broken)
    if split == "train":
        screenings = _train(root, cameras, step or TRAINING_STEP, leftovers)
    else:
        screenings = _test(root, step or 1, leftovers)
    return photographed_people(root, screenings, labels, leftovers)


def _train(
    root: Path, cameras: Sequence[int], step: int, leftovers: Leftovers
) -> list[Screening]:
    screenings = []
    for path in _annotation_files(root, "S[1-8]/Seq[12]/annot.mat"):
        with leftovers.broken_file(path):
            annot2, annot3 = read_mat_cells(path, ("annot2", "annot3"))
            folder = path.parent.relative_to(root)
            for camera in cameras:
                table = _train_table(path, folder, camera, annot2, annot3, step)
                screening = Screening(table, path, leftovers)
                screening.leave_out(
                    ~inside(table.keypoints_px, TRAINING_SIZE), _OUTSIDE
                )
                screening.check()
                screenings.append(screening)
    return screenings


def _train_table(
    path: Path,
    folder: Path,
    camera: int,
    annot2: list[np.ndarray],
    annot3: list[np.ndarray],
    step: int,
) -> PeopleTable:
    """Every tenth frame of one camera."""
    if not 0 <= camera < min(len(annot2), len(annot3)):
        raise UserError(f"{path}: has no camera {camera}; it has {len(annot2)}")
    pixels, millimetres = annot2[camera], annot3[camera]
    frames = len(pixels)
    for key, array, width in (("annot2", pixels, 56), ("annot3", millimetres, 84)):
        if array.shape != (frames, width) or array.dtype.kind not in "fiu":
            raise UserError(
                f"{path}: '{key}' of camera {camera} has the shape {array.shape}, not "
                f"({frames}, {width}) numbers; fetch the file again"
            )
    used = np.arange(0, frames, step)
    photos = f"{folder.as_posix()}/imageFrames/video_{camera}"
    return _table(
        [f"{photos}/frame_{frame + 1:06d}.jpg" for frame in used],
        used,
        pixels[used].reshape(-1, 28, 2).astype(np.float64),
        millimetres[used].reshape(-1, 28, 3).astype(np.float64),
        MPI_TRAIN_COLUMNS,
        subject=folder.parts[0],
        sequence="/".join(folder.parts),
        camera=str(camera),
    )


def _test(root: Path, step: int, leftovers: Leftovers) -> list[Screening]:
    screenings = []
    for path in _annotation_files(root, f"{TEST_FOLDER}/TS[1-6]/annot_data.mat"):
        with leftovers.broken_file(path):
            table = _test_table(root, path, step)
            size = _photo_size(root, table)
            screening = Screening(table, path, leftovers)
            screening.leave_out(~inside(table.keypoints_px, size), _OUTSIDE)
            screening.check()
            screenings.append(screening)
    return screenings


def _test_table(root: Path, path: Path, step: int) -> PeopleTable:
    arrays = {}
    with hdf5_mat(path) as file:
        for key in ("annot2", "univ_annot3", "valid_frame"):
            arrays[key] = np.asarray(file[key], np.float64)
    frames = arrays["valid_frame"].size
    for key, axes in (("annot2", 2), ("univ_annot3", 3)):
        if arrays[key].shape != (frames, 1, 17, axes):
            raise UserError(
                f"{path}: '{key}' has the shape {arrays[key].shape}, not "
                f"({frames}, 1, 17, {axes}); fetch the file again"
            )
    used = np.arange(0, frames, step)
    folder = path.parent.relative_to(root).as_posix()
    return _table(
        [f"{folder}/imageSequence/img_{frame + 1:06d}.jpg" for frame in used],
        used,
        arrays["annot2"][used, 0],
        arrays["univ_annot3"][used, 0],
        MPI_TEST_COLUMNS,
        valid=arrays["valid_frame"].ravel()[used] > 0,
        subject=path.parent.name,
        sequence=path.parent.name,
        camera="",
    )


def _table(
    photos: list[str],
    frames: np.ndarray,
    pixels: np.ndarray,
    millimetres: np.ndarray,
    columns: dict[str, int],
    valid: np.ndarray | None = None,
    **same: Any,
) -> PeopleTable:
    keypoints = used_keypoints(pixels, columns)
    center, side = keypoint_box(keypoints, BOX_GROWTH)
    count = len(photos)
    return PeopleTable(
        image_name=np.array(photos, str),
        number=np.zeros(count, np.int64),
        box_center_px=center,
        box_side_px=side,
        keypoints_px=keypoints,
        joints=root_centred_metres(millimetres, columns),
        frame=frames,
        valid=np.ones(count, bool) if valid is None else valid,
        **rows_of(columns),
        **{key: np.full(count, value) for key, value in same.items()},
    )


def _annotation_files(root: Path, pattern: str) -> list[Path]:
    paths = sorted(root.glob(pattern))
    if not paths:
        raise UserError(f"{root}: holds no {pattern}; give the folder above them")
    return paths


def _photo_size(root: Path, table: PeopleTable) -> tuple[int, int]:
    """(H, W) of a test recording: of its first photo that can be read."""
    for name in table.image_name:
        if (root / str(name)).is_file():
            with contextlib.suppress(BrokenImage):
                height, width, _ = read_image(root / str(name)).shape
                return height, width
    raise UserError(
        f"{root / str(table.image_name[0])}: cannot be read, nor can any later photo "
        "of this recording; unpack the photos"
    )
