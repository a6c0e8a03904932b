"""3DPW as it is downloaded: `sequenceFiles/` and `imageFiles/`.

    sequenceFiles/{train,validation,test}/<sequence>.pkl     Python 2 pickles
    imageFiles/<sequence>/image_00000.jpg                    30 a second

A pickle holds, for P people and N photos: `poses` P × (N, 72), `betas` P × (10 or
more), `genders` P × "m" or "f", `poses2d` P × (N, 3, 18), `cam_poses` (N, 4, 4) from
the world to the camera, `campose_valid` P × (N). They go with the photos one to one:
photo i is `image_{i:05d}.jpg` (`img_frame_ids` belongs to the 60 Hz arrays, which are
not read). What is done with them is that of SPIN's and EFT's preprocessing:

- The body's first rotation, about the world, is turned by that photo's camera.
- The first 10 betas, of the body of that gender.
- The box surrounds the 2D joints of confidence above 0, its side 1.2 times their longer
  extent.
- Keypoints stand twice: as OpenPose's, which they are, with their confidence, and as
  ground-truth joints (all but the neck, whose definition differs), with confidence 1
  above 0.3.

A photo whose camera pose is not valid stays, marked with `valid` False; if that pose
is no rotation at all, without a body. The file says
nothing of where a pixel's centre lies, so 2D joints are taken as they are.
"""

from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from dsr_jax.arrays import Bool, Float
from dsr_jax.data.person_box import BOX_GROWTH
from dsr_jax.data.readers.joint_orders import (
    LIMBS_12,
    OPENPOSE_NAMES_18,
    openpose_rows_of_49,
    rows_of_49,
)
from dsr_jax.data.readers.photographed import PhotographedPeople, photographed_people
from dsr_jax.data.readers.screening import Leftovers, Screening
from dsr_jax.data.readers.table import PeopleTable, concatenate_tables, to_float32
from dsr_jax.data.readers.threedpw_file import SequenceFile, read_sequence
from dsr_jax.errors import UserError, nearest

SPLITS = ("train", "validation", "test")
# Limb joints that a training example needs, as in EFT's and VIBE's preprocessing; the
# test protocol takes every photo with a box.
TRAINING_LIMBS = 7
# EFT's: an OpenPose joint above it counts as ground truth.
_TRUSTED_CONFIDENCE = 0.3
# Beyond it a camera's matrix is no rotation that was rounded.
_ROTATION_TOLERANCE = 1e-2
# Radians.
_LARGEST_ANGLE = 1e4

_NECK = OPENPOSE_NAMES_18.index("neck")
_BUT_NECK = [i for i in range(18) if i != _NECK]
_KEYPOINT_ROWS = np.concatenate(
    [
        openpose_rows_of_49(OPENPOSE_NAMES_18),
        rows_of_49(OPENPOSE_NAMES_18[i] for i in _BUT_NECK),
    ]
)
_LIMBS = [OPENPOSE_NAMES_18.index(name) for name in LIMBS_12]


def open_3dpw(
    root: Path,
    split: str,
    labels: Path | None = None,
    broken: str = "stop",
    minimum_limbs: int | None = None,
) -> PhotographedPeople:
    """The people of a split, sequence by sequence, person by person.

    Args:
      root: the folder of `sequenceFiles` and `imageFiles`.
      split: "train", "validation" or "test".
      labels: folder of label maps, `imageFiles/<sequence>/image_00000.png` in it.
      broken: what a broken file or annotation does: "stop" or "skip".
      minimum_limbs: who shows fewer of the 12 limb joints with confidence above 0.3 is
        left out; None: 7 in training, 0 elsewhere.

    Raises:
      UserError: no such split, nobody in it, or something broken with "stop".
    """
    if split not in SPLITS:
        raise UserError(f"3dpw has no split '{split}': {nearest(split, SPLITS)}")
    if minimum_limbs is None:
        minimum_limbs = TRAINING_LIMBS if split == "train" else 0
    leftovers = Leftovers(broken)
    folder = root / "sequenceFiles" / split
    paths = sorted(folder.glob("*.pkl"))
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; unpack sequenceFiles.zip into it")
    if not paths:
        raise UserError(f"{folder}: holds no .pkl file; unpack sequenceFiles.zip again")
    screenings = []
    for path in paths:
        with leftovers.broken_file(path):
            table = _table(read_sequence(path))
            screenings.append(_screen(table, path, leftovers, minimum_limbs))
    return photographed_people(root, screenings, labels, leftovers)


def _screen(
    table: PeopleTable, path: Path, leftovers: Leftovers, minimum_limbs: int
) -> Screening:
    screening = Screening(table, path, leftovers)
    unseen = ~(table.keypoints_px[:, :18, 2] > 0).any(1)
    screening.leave_out(unseen, "no 2D joints, so no box")
    limbs = (table.keypoints_px[:, _LIMBS, 2] > _TRUSTED_CONFIDENCE).sum(1)
    screening.leave_out(
        limbs < minimum_limbs, f"fewer than {minimum_limbs} limb joints are seen"
    )
    lost = np.asarray(table.valid) & ~np.asarray(table.has_body)
    screening.broken(lost, "its camera pose counts as valid and is no rotation")
    screening.check()
    return screening


def _table(sequence: SequenceFile) -> PeopleTable:
    """Everybody of a sequence, person by person."""
    return concatenate_tables(
        [_person_table(sequence, number) for number in range(len(sequence.people))]
    )


def _person_table(sequence: SequenceFile, number: int) -> PeopleTable:
    """One person in all photos of a sequence."""
    own, name, photos = sequence.people[number], sequence.name, len(sequence.cameras)
    names = [f"imageFiles/{name}/image_{photo:05d}.jpg" for photo in range(photos)]
    pose, turned = camera_pose(own.pose, sequence.cameras[:, :3, :3])
    with np.errstate(all="ignore"):
        center, side = joints_box(own.poses2d)
    return PeopleTable(
        image_name=np.array(names),
        number=np.full(photos, number),
        box_center_px=center,
        box_side_px=side,
        keypoints_px=_keypoints(own.poses2d),
        keypoint_rows=_KEYPOINT_ROWS,
        pose=to_float32(pose).reshape(photos, 24, 3),
        betas=np.tile(to_float32(own.betas), (photos, 1)),
        has_body=turned,
        gender=np.full(photos, own.gender),
        # The file does not say who: a number in the sequence, as in EFT's files.
        subject=np.full(photos, f"{name}_{number}"),
        sequence=np.full(photos, name),
        frame=np.arange(photos),
        valid=own.camera_valid > 0,
    )


def camera_pose(
    pose: Float[np.ndarray, "N 72"], cameras: Float[np.ndarray, "N 3 3"]
) -> tuple[Float[np.ndarray, "N 72"], Bool[np.ndarray, "N"]]:
    """Turns the first rotation from the world's axes to the camera's.

    Returns:
      The poses, zeros where the camera is no rotation, and where it is one.
    """
    # Whatever a file that was not checked holds: what is not finite is found later.
    with np.errstate(all="ignore"):
        square = np.einsum("nij,nkj->nik", cameras, cameras)
        off = np.abs(square - np.eye(3)).max((1, 2))
        rotations = (off < _ROTATION_TOLERANCE) & (np.linalg.det(cameras) > 0)
    turned = np.where(rotations[:, None], pose, 0.0)
    # No pose, but damage, which SciPy fails on; NaN is found to be broken later.
    sound = (np.abs(pose) < _LARGEST_ANGLE).all(1)
    turned[rotations & ~sound] = np.nan
    good = rotations & sound
    if good.any():
        world = Rotation.from_rotvec(pose[good, :3])
        turned[good, :3] = (Rotation.from_matrix(cameras[good]) * world).as_rotvec()
    return turned, rotations


def joints_box(
    poses2d: Float[np.ndarray, "N 3 J"],
) -> tuple[Float[np.ndarray, "N 2"], Float[np.ndarray, "N"]]:
    """Centre and side of the square around the joints of confidence above 0."""
    seen = poses2d[:, 2:] > 0
    low = np.where(seen, poses2d[:, :2], np.inf).min(2)
    high = np.where(seen, poses2d[:, :2], -np.inf).max(2)
    nobody = ~seen.any((1, 2))
    low[nobody], high[nobody] = 0, 0
    return (low + high) / 2, BOX_GROWTH * (high - low).max(1)


def _keypoints(poses2d: Float[np.ndarray, "N 3 18"]) -> Float[np.ndarray, "N 35 3"]:
    detected = to_float32(poses2d.transpose(0, 2, 1))
    detected[..., 2] = np.clip(detected[..., 2], 0, 1)
    truth = detected[:, _BUT_NECK].copy()
    truth[..., 2] = truth[..., 2] > _TRUSTED_CONFIDENCE
    return np.concatenate([detected, truth], 1)
