"""3DPW in small: its folders, its pickles' keys, types and odd cases.

After the readme of the data set and the public code that reads it.
"""

import dataclasses

import numpy as np

from tests.data.miniatures.photo import write_photo
from tests.data.miniatures.python2_pickle import python2_pickle

PHOTO_SIZE = (48, 36)
"""(H, W): portrait, as the data set's 1920 x 1080 turned."""


@dataclasses.dataclass(frozen=True)
class Sequence:
    """What to make of one recording."""

    name: str = "courtyard_small_00"
    split: str = "test"
    people: int = 1
    frames: int = 4
    betas: int = 10
    """Length of `betas`; some of the data set's have 300."""
    invalid: tuple[tuple[int, int], ...] = ()
    """(person, frame) without a camera pose."""
    unseen: tuple[tuple[int, int], ...] = ()
    """(person, frame) of whom no 2D joint was detected: zeros."""
    photos: bool = True


def write_3dpw(root, sequences, rng):
    """Writes `sequenceFiles/` and `imageFiles/`; returns name → what was pickled."""
    contents = {}
    for sequence in sequences:
        content = sequence_content(sequence, rng)
        folder = root / "sequenceFiles" / sequence.split
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{sequence.name}.pkl").write_bytes(python2_pickle(content))
        for frame in range(sequence.frames if sequence.photos else 0):
            path = root / "imageFiles" / sequence.name / f"image_{frame:05d}.jpg"
            write_photo(path, rng, PHOTO_SIZE)
        contents[sequence.name] = content
    return contents


def sequence_content(sequence, rng):
    """The dictionary of a sequence file, with every key that the data set has."""
    people, frames = range(sequence.people), sequence.frames
    valid = [np.ones(frames, int) for _ in people]
    for person, frame in sequence.invalid:
        valid[person][frame] = 0
    poses2d = [_poses2d(frames, rng) for _ in people]
    for person, frame in sequence.unseen:
        poses2d[person][frame] = 0
    return {
        "sequence": sequence.name,
        "betas": [rng.normal(0, 0.5, sequence.betas) for _ in people],
        "betas_clothed": [rng.normal(0, 0.5, 10) for _ in people],
        "poses": [rng.normal(0, 0.3, (frames, 72)) for _ in people],
        "trans": [rng.normal(0, 1, (frames, 3)) for _ in people],
        "poses_60Hz": [rng.normal(0, 0.3, (2 * frames, 72)) for _ in people],
        "trans_60Hz": [rng.normal(0, 1, (2 * frames, 3)) for _ in people],
        "jointPositions": [rng.normal(0, 1, (frames, 72)) for _ in people],
        "v_template_clothed": [rng.normal(0, 1, (12, 3)) for _ in people],
        "texture_maps": [],
        "genders": ["m" if person % 2 == 0 else "f" for person in people],
        "poses2d": poses2d,
        "img_frame_ids": 2 * np.arange(frames),
        "cam_poses": np.array([_camera_pose(rng) for _ in range(frames)]),
        "campose_valid": valid,
        "cam_intrinsics": np.array([[50.0, 0, 18], [0, 50, 24], [0, 0, 1]]),
    }


def _poses2d(frames, rng):
    """(N, 3, 18): rows of u, v and confidence in OpenPose's order for COCO."""
    height, width = PHOTO_SIZE
    poses2d = rng.uniform(0.05, 1, (frames, 3, 18))
    poses2d[:, 0] = rng.uniform(0, width - 1, (frames, 18))
    poses2d[:, 1] = rng.uniform(0, height - 1, (frames, 18))
    # Joints that were not detected are zeros, confidence included.
    poses2d[np.broadcast_to(rng.random((frames, 1, 18)) < 0.2, poses2d.shape)] = 0
    return poses2d


def _camera_pose(rng):
    """World → camera, 4 x 4."""
    rotation, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    rotation[:, 0] *= np.linalg.det(rotation)
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = rotation, rng.normal(size=3)
    return pose
