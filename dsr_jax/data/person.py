"""One annotated person of one photo, whatever data set it comes from.

Readers of data sets give these, record files keep them, crops are cut from them.
"""

import dataclasses
from collections.abc import Callable
from typing import Protocol, runtime_checkable

import numpy as np

from dsr_jax.arrays import Float

NEUTRAL, MALE, FEMALE = "n", "m", "f"
GENDERS = (NEUTRAL, MALE, FEMALE)
UNKNOWN_FRAME = -1


_SHAPES: dict[str, tuple[int, ...]] = {
    "box_center_px": (2,),
    "keypoints_px": (49, 3),
    "joints": (24, 4),
    "pose": (24, 3),
    "betas": (10,),
}


def _zeros(name: str) -> Callable[[], np.ndarray]:
    """What stands for an annotation that is not there."""
    return lambda: np.zeros(_SHAPES[name], np.float32)


@dataclasses.dataclass(frozen=True)
class Person:
    """What is known about a person but the pixels.

    What a data set does not annotate holds zeros, with confidence or `has_body` 0.

    Raises:
      ValueError: a wrong shape, a value that is not finite, an unknown gender, no name,
        or a box without a size.
    """

    name: str
    """Unique in its data set: the photo's name, and `#2` for its second person."""
    image_name: str
    """The photo's path, relative to the folder of photos, with forward slashes."""
    box_center_px: Float[np.ndarray, "2"]
    """Pixels of the photo; the centre of the top-left pixel is (0, 0)."""
    box_side_px: float
    """Side of the square box, pixels; 200 times the `scale` of SPIN's files."""
    keypoints_px: Float[np.ndarray, "49 3"] = dataclasses.field(
        default_factory=_zeros("keypoints_px")
    )
    """u, v, confidence in [0, 1]; OpenPose 25 + gt 24."""
    joints: Float[np.ndarray, "24 4"] = dataclasses.field(
        default_factory=_zeros("joints")
    )
    """Metres, camera axes (x right, y down, z away), confidence; gt 24."""
    pose: Float[np.ndarray, "24 3"] = dataclasses.field(default_factory=_zeros("pose"))
    """Axis-angle, radians; the first turns the body to the camera's axes."""
    betas: Float[np.ndarray, "10"] = dataclasses.field(default_factory=_zeros("betas"))
    """Shape coefficients of the body of that gender."""
    has_body: bool = False
    """Whether `pose` and `betas` are annotations."""
    gender: str = NEUTRAL
    """Of the body that `betas` belong to: "n", "m" or "f"."""
    subject: str = ""
    """Who it is: Human3.6M's S9; "" where the data set does not say, as all below."""
    sequence: str = ""
    """The recording."""
    action: str = ""
    """What is being done."""
    camera: str = ""
    """Which of several cameras: Human3.6M's 60457274."""
    frame: int = UNKNOWN_FRAME
    """Number in the recording, from 0; -1 where the data set does not say."""
    valid: bool = True
    """False where the data set marks the annotation as unreliable: 3DPW's frames
    without a camera pose, MPI-INF-3DHP's invalid test frames."""

    def __post_init__(self) -> None:
        if not self.name or not self.image_name.strip("./"):
            raise ValueError("a person needs a name and the name of a photo")
        for name, shape in _SHAPES.items():
            value = np.asarray(getattr(self, name))
            if value.shape != shape:
                raise ValueError(f"'{name}' has shape {value.shape}, not {shape}")
            if not np.isfinite(value).all():
                raise ValueError(f"'{name}' is not finite")
        if not (np.isfinite(self.box_side_px) and self.box_side_px > 0):
            raise ValueError(f"'box_side_px' is {self.box_side_px}, not positive")
        if self.gender not in GENDERS:
            raise ValueError(f"'gender' is {self.gender!r}, not one of {GENDERS}")


@dataclasses.dataclass(frozen=True)
class StoredFile:
    """A photo or a label map as it is stored, not decoded."""

    name: str
    """Where it is, for errors: a path, or a record's name."""
    data: bytes


@runtime_checkable
class PeopleSource(Protocol):
    """The people of a data set, by number; may be used from several threads.

    It can be pickled, so that worker processes have it, too.
    """

    def __len__(self) -> int: ...

    def person(self, index: int) -> Person:
        """The annotation; no photo is read."""

    def others(self, index: int) -> Float[np.ndarray, "P 49 3"]:
        """Keypoints of the other annotated people of the same photo, pixels."""

    def image(self, index: int) -> StoredFile:
        """The photo.

        Raises:
          UserError: it is missing or cannot be read.
        """

    def label_map(self, index: int) -> StoredFile | None:
        """The clothing label map; None if there is none.

        Raises:
          UserError: it is there and cannot be read.
        """


@dataclasses.dataclass(frozen=True)
class Skipped:
    """Something of a data set that is left out."""

    what: str
    """A person or photo by name, or a file."""
    reason: str
    """One line without the name, so that equal reasons can be counted."""
