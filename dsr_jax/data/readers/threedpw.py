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
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from dsr_jax.arrays import Bool, Float
from dsr_jax.body.inert_pickle import as_array, read_pickle
from dsr_jax.data.person_box import BOX_GROWTH
from dsr_jax.data.readers.joint_orders import (
    LIMBS_12,
    OPENPOSE_NAMES_18,
    openpose_rows_of_49,
    rows_of_49,
)
from dsr_jax.data.readers.photographed import PhotographedPeople, photographed_people
from dsr_jax.data.readers.screening import Leftovers, Screening
from dsr_jax.data.readers.table import PeopleTable, concatenate_tables
from dsr_jax.errors import UserError, nearest

SPLITS = ("train", "validation", "test")
# Limb joints that a training example needs, as in EFT's and VIBE's preprocessing; the
# test protocol takes every photo with a box.
TRAINING_LIMBS = 7
# EFT's: an OpenPose joint above it counts as ground truth.
_TRUSTED_CONFIDENCE = 0.3
_BETAS = 10
# Of a camera's rotation; the data set's are within 1e-6.
_ROTATION_TOLERANCE = 1e-3

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
    if not paths:
        raise UserError(f"{folder}: holds no .pkl file; give the folder above it")
    screenings = []
    for path in paths:
        with leftovers.broken_file(path):
            table = _read_sequence(path)
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


def _read_sequence(path: Path) -> PeopleTable:
    """Everybody of a sequence file.

    Raises:
      UserError: not such a file, truncated, or with code in it.
    """
    try:
        with path.open("rb") as stream:
            content = read_pickle(stream, str(path))
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    # The file is untrusted, and a malformed record can fail in any way.
    try:
        return _table(content)
    except Exception as error:
        reason = " ".join(f"{error}".split())
        if not isinstance(error, ValueError):
            reason = f"a part is missing or spoilt ({type(error).__name__}: {reason})"
        raise UserError(
            f"{path}: not a sequence file of 3DPW: {reason}; fetch it again"
        ) from error


def _table(content: Any) -> PeopleTable:
    sequence = content["sequence"]
    if not isinstance(sequence, str):
        raise ValueError("'sequence' is no name")
    cameras = _shaped("cam_poses", content["cam_poses"], (None, 4, 4))
    photos = len(cameras)
    poses = _list("poses", content["poses"], None, (photos, 72))
    people = len(poses)
    if not people:
        raise ValueError("'poses' is empty")
    each = {
        "poses2d": (photos, 3, 18),
        "campose_valid": (photos,),
        "betas": (None,),
    }
    own = {k: _list(k, content[k], people, shape) for k, shape in each.items()}
    own["poses"] = poses
    genders = list(content["genders"])
    if len(genders) != people:
        raise ValueError(f"'genders' has {len(genders)} entries, not {people}")
    return concatenate_tables(
        [
            _person_table(
                sequence,
                number,
                genders[number],
                cameras,
                {key: values[number] for key, values in own.items()},
            )
            for number in range(people)
        ]
    )


def _person_table(
    sequence: str,
    number: int,
    gender: Any,
    cameras: Float[np.ndarray, "N 4 4"],
    own: dict[str, np.ndarray],
) -> PeopleTable:
    """One person in all photos of a sequence."""
    if not isinstance(gender, str):
        raise ValueError("'genders' holds no letters")
    if len(own["betas"]) < _BETAS:
        raise ValueError(f"'betas' has {len(own['betas'])} numbers, not {_BETAS}")
    photos = len(cameras)
    names = [f"imageFiles/{sequence}/image_{i:05d}.jpg" for i in range(photos)]
    valid = own["campose_valid"] > 0
    pose, turned = camera_pose(own["poses"], cameras[:, :3, :3])
    center, side = joints_box(own["poses2d"])
    return PeopleTable(
        image_name=np.array(names),
        number=np.full(photos, number),
        box_center_px=center,
        box_side_px=side,
        keypoints_px=_keypoints(own["poses2d"]),
        keypoint_rows=_KEYPOINT_ROWS,
        pose=pose.reshape(photos, 24, 3).astype(np.float32),
        betas=np.tile(own["betas"][:_BETAS].astype(np.float32), (photos, 1)),
        has_body=turned,
        gender=np.full(photos, gender),
        # The file does not say who: a number in the sequence, as in EFT's files.
        subject=np.full(photos, f"{sequence}_{number}"),
        sequence=np.full(photos, sequence),
        frame=np.arange(photos),
        valid=valid,
    )


def camera_pose(
    pose: Float[np.ndarray, "N 72"], cameras: Float[np.ndarray, "N 3 3"]
) -> tuple[Float[np.ndarray, "N 72"], Bool[np.ndarray, "N"]]:
    """Turns the first rotation from the world's axes to the camera's.

    Returns:
      The poses, zeros where the camera is no rotation, and where it is one.
    """
    with np.errstate(all="ignore"):
        square = np.einsum("nij,nkj->nik", cameras, cameras)
        off = np.abs(square - np.eye(3)).max((1, 2))
        rotations = (off < _ROTATION_TOLERANCE) & (np.linalg.det(cameras) > 0)
    turned = np.where(rotations[:, None], pose, 0.0)
    # A pose that is not finite stays so, to be found later.
    good = rotations & np.isfinite(pose).all(1)
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
    detected = poses2d.transpose(0, 2, 1).astype(np.float32)
    detected[..., 2] = np.clip(detected[..., 2], 0, 1)
    truth = detected[:, _BUT_NECK].copy()
    truth[..., 2] = truth[..., 2] > _TRUSTED_CONFIDENCE
    return np.concatenate([detected, truth], 1)


def _list(
    key: str, value: Any, count: int | None, shape: tuple[int | None, ...]
) -> list[np.ndarray]:
    """One array a person, whether they lie in a list or in one array.

    `count` is how many there must be; None for any number.
    """
    values = value if isinstance(value, list | tuple) else list(_array(key, value))
    if count not in (None, len(values)):
        raise ValueError(f"'{key}' has {len(values)} entries, not {count}")
    return [_shaped(key, item, shape) for item in values]


def _shaped(key: str, value: Any, shape: tuple[int | None, ...]) -> np.ndarray:
    """The array in double precision; None in `shape` is any number."""
    array = _array(key, value)
    fits = array.ndim == len(shape) and all(
        want in (None, size) for want, size in zip(shape, array.shape, strict=True)
    )
    if not fits:
        wanted = str(tuple("any" if n is None else n for n in shape))
        raise ValueError(f"'{key}' has the shape {array.shape}, not {wanted}")
    return array


def _array(key: str, value: Any) -> np.ndarray:
    try:
        return as_array(value).astype(np.float64)
    except ValueError as error:
        raise ValueError(f"'{key}' {error}") from error
