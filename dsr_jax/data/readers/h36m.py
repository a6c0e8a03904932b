"""Human3.6M as its site gives it, its videos cut into frames.

    S9/MyPoseFeatures/D3_Positions_mono/Directions 1.54138969.cdf     32 × 3 mm
    S9/MyPoseFeatures/D2_Positions/Directions 1.54138969.cdf          32 × 2 px
    S9/MySegmentsMat/ground_truth_bb/Directions 1.54138969.mat        boxes, MATLAB 7.3
    images/S9_Directions_1.54138969_000001.jpg                        cut from Videos

As in SPIN's preprocessing: every fifth frame from the first, 17 joints about the pelvis
in the camera's axes, and the square around the mask of the person's box, its side 0.9
times the mask's longer one. SPIN leaves out the 2D joints of the test subjects; here
they are taken wherever their folder is. SMPL's parameters are not in the download.

A mask is made of pixels, so the centre of its box is known: the mean of its first and
last column and row. (SPIN's is half a pixel farther right and below.) The files do not
say where a pixel's centre lies for 2D joints: they are taken as they are. Frame i of a
video is `…_{i + 1:06d}.jpg`. (SPIN drops the first frame of the test videos, so that
its photos are one frame, 20 ms, later than their annotation.)
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from dsr_jax.arrays import Float
from dsr_jax.data.readers.joint_orders import H36M_COLUMNS
from dsr_jax.data.readers.motion_capture import (
    root_centred_metres,
    rows_of,
    used_keypoints,
)
from dsr_jax.data.readers.photographed import PhotographedPeople, photographed_people
from dsr_jax.data.readers.raw_files import hdf5_mat, read_cdf
from dsr_jax.data.readers.screening import Leftovers, Screening
from dsr_jax.data.readers.table import PeopleTable
from dsr_jax.errors import UserError, nearest

FRONTAL_CAMERA = "60457274"
SUBJECTS = {
    "train": ("S1", "S5", "S6", "S7", "S8"),
    "p1": ("S9", "S11"),
    "p2": ("S9", "S11"),
}
STEP = 5
IMAGES_FOLDER = "images"
# Of SPIN: the mask is the annotators' generous box.
_MASK_GROWTH = 0.9
# Positions of all joints of a subject together, no recording of an action.
_NO_ACTION = "_ALL"


def open_h36m(
    root: Path,
    split: str,
    labels: Path | None = None,
    broken: str = "stop",
    subjects: Sequence[str] | None = None,
    cameras: Sequence[str] | None = None,
    step: int = STEP,
) -> PhotographedPeople:
    """The people of a split, subject by subject, recording by recording.

    Every fifth mask is read at opening, which takes minutes: write records of it.

    Args:
      root: the folder of `S1` to `S11` and `images`.
      split: "train" (S1, S5 to S8), or S9 and S11 as "p1", all four cameras, or "p2",
        the frontal camera 60457274.
      labels: folder of label maps, `images/S9_Directions_1.….png` in it.
      broken: what a broken file or annotation does: "stop" or "skip".
      subjects: others than the split's.
      cameras: others than the split's.
      step: every how many frames.

    Raises:
      UserError: no such split, nobody in it, a package is missing, or something broken
        with "stop".
    """
    if split not in SUBJECTS:
        raise UserError(f"h36m has no split '{split}': {nearest(split, SUBJECTS)}")
    if step < 1:
        raise UserError(f"h36m: 'step' is {step}, but counts frames from 1")
    if cameras is None and split == "p2":
        cameras = (FRONTAL_CAMERA,)
    leftovers = Leftovers(broken)
    paths = [
        path
        for subject in subjects or SUBJECTS[split]
        for path in _recordings(root, subject)
        if cameras is None or path.stem.rpartition(".")[2] in cameras
    ]
    if not paths:
        raise UserError(f"{root}: has no recording of the cameras {cameras}")
    screenings = []
    for path in tqdm(paths, unit="recording", disable=None):
        with leftovers.broken_file(path):
            screenings.append(_recording(root, path, step, leftovers))
    return photographed_people(root, screenings, labels, leftovers)


def recording_name(path: Path) -> tuple[str, str]:
    """Action ("Directions 1" as Directions_1) and camera of a recording's file.

    Raises:
      UserError: the file has another name.
    """
    action, _, camera = path.stem.rpartition(".")
    if not action or not camera.isdigit():
        raise UserError(f"{path}: not named like 'Directions 1.54138969{path.suffix}'")
    return action.replace(" ", "_"), camera


def photo_name(subject: str, action: str, camera: str, frame: int) -> str:
    """Of a frame counted from 0, relative to the root."""
    return f"{IMAGES_FOLDER}/{subject}_{action}.{camera}_{frame + 1:06d}.jpg"


def _recordings(root: Path, subject: str) -> list[Path]:
    folder = root / subject / "MyPoseFeatures" / "D3_Positions_mono"
    paths = sorted(folder.glob("*.cdf"))
    if not paths:
        raise UserError(
            f"{folder}: holds no .cdf file; unpack Poses_D3_Positions_mono_{subject}"
        )
    return [path for path in paths if not path.name.startswith(_NO_ACTION)]


def _recording(root: Path, path: Path, step: int, leftovers: Leftovers) -> Screening:
    action, camera = recording_name(path)
    subject = path.relative_to(root).parts[0]
    millimetres = read_cdf(path, 96).reshape(-1, 32, 3)
    frames = np.arange(0, len(millimetres), step)
    count = len(frames)
    center, side, empty = _mask_boxes(_mask_file(path), frames)
    same = {
        "subject": subject,
        "sequence": f"{subject}_{action}",
        "action": action.partition("_")[0],
        "camera": camera,
    }
    table = PeopleTable(
        image_name=np.array(
            [photo_name(subject, action, camera, int(f)) for f in frames]
        ),
        number=np.zeros(count, np.int64),
        box_center_px=center,
        box_side_px=side,
        keypoints_px=_keypoints(path, len(millimetres))[frames],
        joints=root_centred_metres(millimetres[frames], H36M_COLUMNS),
        frame=frames,
        **rows_of(H36M_COLUMNS),
        **{key: np.full(count, value) for key, value in same.items()},
    )
    screening = Screening(table, path, leftovers)
    screening.broken(empty, "its mask is missing or empty")
    screening.check()
    return screening


def _keypoints(path: Path, frames: int) -> Float[np.ndarray, "N 17 3"]:
    """The 2D joints of a recording; zeros if the subject's are not there."""
    folder = path.parents[1] / "D2_Positions"
    if not folder.is_dir():
        return np.zeros((frames, len(H36M_COLUMNS), 3), np.float32)
    pixels = read_cdf(folder / path.name, 64).reshape(-1, 32, 2)
    if len(pixels) != frames:
        raise UserError(
            f"{folder / path.name}: has {len(pixels)} frames, but {path} has {frames}"
        )
    return used_keypoints(pixels, H36M_COLUMNS)


def _mask_file(path: Path) -> Path:
    folder = path.parents[2] / "MySegmentsMat" / "ground_truth_bb"
    return folder / f"{path.stem}.mat"


def _mask_boxes(
    path: Path, frames: np.ndarray
) -> tuple[Float[np.ndarray, "N 2"], Float[np.ndarray, "N"], np.ndarray]:
    """Centre and side of the square around each mask, and which masks are no use."""
    center, side = np.zeros((len(frames), 2)), np.zeros(len(frames))
    empty = np.ones(len(frames), bool)
    with hdf5_mat(path) as file:
        masks = np.asarray(file["Masks"]).ravel()
        for row, frame in enumerate(frames):
            if frame >= len(masks):
                break
            # HDF5 has MATLAB's axes reversed: columns of the photo come first.
            mask = np.asarray(file[masks[frame]]) == 1
            u, v = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
            if len(u):
                center[row] = (u[0] + u[-1]) / 2, (v[0] + v[-1]) / 2
                side[row] = _MASK_GROWTH * max(u[-1] - u[0] + 1, v[-1] - v[0] + 1)
                empty[row] = False
    return center, side, empty
