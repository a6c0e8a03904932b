"""Reads a sequence file of 3DPW: a Python 2 pickle, whose names are never looked up."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from dsr_jax.arrays import Float
from dsr_jax.body.inert_pickle import as_array, read_pickle
from dsr_jax.errors import UserError

BETAS = 10


@dataclasses.dataclass(frozen=True)
class SequencePerson:
    """One person of a sequence of N photos."""

    pose: Float[np.ndarray, "N 72"]
    """Axis-angle; the first rotation is about the world's axes."""
    betas: Float[np.ndarray, "10"]
    gender: str
    poses2d: Float[np.ndarray, "N 3 18"]
    """Rows of u, v and confidence."""
    camera_valid: Float[np.ndarray, "N"]
    """Above 0 where the camera's pose fits this person."""


@dataclasses.dataclass(frozen=True)
class SequenceFile:
    """What is used of a sequence file, in double precision."""

    name: str
    cameras: Float[np.ndarray, "N 4 4"]
    """From the world to the camera."""
    people: list[SequencePerson]


def read_sequence(path: Path) -> SequenceFile:
    """Reads a file; shapes are checked, and of values `campose_valid` alone.

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
        return _sequence(content)
    except Exception as error:
        reason = " ".join(f"{error}".split())
        if not isinstance(error, ValueError):
            reason = f"a part is missing or spoilt ({type(error).__name__}: {reason})"
        raise UserError(
            f"{path}: not a sequence file of 3DPW: {reason}; fetch it again"
        ) from error


def _sequence(content: Any) -> SequenceFile:
    name = content["sequence"]
    if not isinstance(name, str):
        raise ValueError("'sequence' is no name")
    cameras = _shaped("cam_poses", content["cam_poses"], (None, 4, 4))
    photos = len(cameras)
    poses = _list("poses", content["poses"], None, (photos, 72))
    people = len(poses)
    if not people:
        raise ValueError("'poses' is empty")
    betas = _list("betas", content["betas"], people, (None,))
    if min(len(numbers) for numbers in betas) < BETAS:
        raise ValueError(f"'betas' has fewer than {BETAS} numbers")
    genders = content["genders"]
    if len(genders) != people or not all(isinstance(g, str) for g in genders):
        raise ValueError(f"'genders' holds no letters of {people} people")
    valid = _list("campose_valid", content["campose_valid"], people, (photos,))
    if not all(np.isfinite(own).all() for own in valid):
        raise ValueError("'campose_valid' is not finite")
    columns = zip(
        poses,
        [numbers[:BETAS] for numbers in betas],
        genders,
        _list("poses2d", content["poses2d"], people, (photos, 3, 18)),
        valid,
        strict=True,
    )
    return SequenceFile(name, cameras, [SequencePerson(*own) for own in columns])


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
