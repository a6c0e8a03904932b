"""Where a person is in a photo: a square box from keypoints, a rectangle, or nothing.

Both kinds of file are what users have beside their photos: OpenPose's output (BODY_25),
and `{"bbox": [x, y, w, h]}` in pixels, x and y being the top-left corner.
"""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np

from dsr_jax.arrays import Float
from dsr_jax.errors import UserError
from dsr_jax.files import read_bytes

# As in SPIN's demonstration, whose regressors are trained on boxes of this tightness.
KEYPOINT_CONFIDENCE = 0.2
BOX_GROWTH = 1.2
# Fewer keypoints, a hand and an elbow say, do not outline a person.
MINIMUM_KEYPOINTS = 4

_BODY_25_VALUES = 75
# Beyond all photos: numbers that are no pixels.
_LARGEST_PX = 100_000


@dataclasses.dataclass(frozen=True)
class PersonBox:
    """A square in the photo, in pixels; the centre of the first pixel is (0, 0)."""

    center_px: tuple[float, float]
    size_px: float


def centred_box(image_size: tuple[int, int]) -> PersonBox:
    """The square around the whole photo of (H, W) pixels: one person fills it."""
    height, width = image_size
    return PersonBox(((width - 1) / 2, (height - 1) / 2), float(max(image_size)))


def box_of_bounds(
    low: Float[np.ndarray, "2"], high: Float[np.ndarray, "2"]
) -> PersonBox:
    """The square around a rectangle, its longer side grown by `BOX_GROWTH`."""
    center = (np.asarray(low, np.float64) + high) / 2
    size = BOX_GROWTH * float(np.max(np.asarray(high, np.float64) - low))
    return PersonBox((float(center[0]), float(center[1])), size)


def box_of_keypoints(keypoints_px: Float[np.ndarray, "N 3"]) -> PersonBox | None:
    """The box of the confident keypoints; None if they do not outline a person."""
    confident = keypoints_px[keypoints_px[:, 2] > KEYPOINT_CONFIDENCE, :2]
    if len(confident) < MINIMUM_KEYPOINTS or not np.ptp(confident, 0).max() > 0:
        return None
    return box_of_bounds(confident.min(0), confident.max(0))


def read_openpose_boxes(path: str | Path) -> list[PersonBox | None]:
    """One entry for each person of an OpenPose file, None if it has no usable box.

    Raises:
      UserError: the file is missing or is not OpenPose's output with BODY_25.
    """
    return [box_of_keypoints(keypoints) for keypoints in read_openpose_keypoints(path)]


def read_openpose_keypoints(path: str | Path) -> Float[np.ndarray, "P 25 3"]:
    """u, v in pixels and confidence of every person of an OpenPose file.

    Raises:
      UserError: the file is missing or is not OpenPose's output with BODY_25.
    """
    people = _read_json(path).get("people")
    if not isinstance(people, list):
        raise UserError(f"{path}: lacks the list 'people'; give OpenPose's json output")
    rows = []
    for number, person in enumerate(people):
        values = person.get("pose_keypoints_2d") if isinstance(person, dict) else None
        if not _is_numbers(values, _BODY_25_VALUES):
            raise UserError(
                f"{path}: person {number} lacks 25 x 3 numbers 'pose_keypoints_2d', in "
                f"pixels up to {_LARGEST_PX}; run OpenPose with the BODY_25 model"
            )
        rows.append(values)
    return np.array(rows, np.float64).reshape(-1, 25, 3)


def read_bbox(path: str | Path) -> PersonBox:
    """The grown square around the rectangle of a box file.

    Raises:
      UserError: the file is missing or does not hold {"bbox": [x, y, w, h]}.
    """
    values = _read_json(path).get("bbox")
    if values is None or not _is_numbers(values, 4) or min(values[2:]) <= 0:
        raise UserError(
            f'{path}: must hold {{"bbox": [x, y, w, h]}} in pixels with w and h above 0'
        )
    corner, extent = np.array(values[:2], np.float64), np.array(values[2:], np.float64)
    # A rectangle covers whole pixels, whose first centre lies half a pixel inside.
    return box_of_bounds(corner - 0.5, corner - 0.5 + extent)


def _read_json(path: str | Path) -> dict[str, Any]:
    try:
        content = json.loads(read_bytes(path, "json file"))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: is not valid json: {error}; correct it") from error
    if not isinstance(content, dict):
        raise UserError(f"{path}: must hold a json object, not a list or a number")
    return content


def _is_numbers(values: Any, count: int) -> bool:
    return (
        isinstance(values, list)
        and len(values) == count
        # False for NaN, and right for whole numbers of any length.
        and all(type(v) in (int, float) and abs(v) <= _LARGEST_PX for v in values)
    )
