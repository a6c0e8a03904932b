"""What a map holds about a point: a few pixels around it, whatever the map's size."""

import math

import numpy as np

from dsr_jax.arrays import Int, Integer, UInt8

# A keypoint may lie anywhere in its pixel, whose centre is up to this far away.
_HALF_DIAGONAL = 0.75


def nearest_set(
    values: Integer[np.ndarray, "H W"], u: float, v: float, radius: float
) -> int:
    """The nearest value that is not 0; 0 if there is none within `radius` pixels."""
    # The point's own pixel is the nearest of all: most keypoints lie on their label.
    row, column = math.ceil(v - 0.5), math.ceil(u - 0.5)
    within = 0 <= row < values.shape[0] and 0 <= column < values.shape[1]
    if within and values[row, column]:
        return int(values[row, column])
    window, squared = _about(values, u, v, radius)
    squared = np.where(window != 0, squared, np.inf)
    if squared.min(initial=np.inf) > max(radius, _HALF_DIAGONAL) ** 2:
        return 0
    return int(window.ravel()[squared.argmin()])


def values_around(
    labels: UInt8[np.ndarray, "H W"], u: float, v: float, radius: float
) -> Int[np.ndarray, "256"]:
    """How many pixels within `radius` of a point have each value."""
    window, squared = _about(labels, u, v, radius)
    return np.bincount(window[squared <= radius**2], minlength=256)


def _about(
    values: np.ndarray, u: float, v: float, radius: float
) -> tuple[np.ndarray, np.ndarray]:
    """The square around a point, and each pixel's squared distance to it."""
    reach = max(radius, _HALF_DIAGONAL)
    top, left = max(0, math.ceil(v - reach)), max(0, math.ceil(u - reach))
    bottom, right = max(0, math.floor(v + reach) + 1), max(0, math.floor(u + reach) + 1)
    window = values[top:bottom, left:right]
    rows = np.arange(top, top + window.shape[0])[:, None]
    columns = np.arange(left, left + window.shape[1])
    return window, (rows - v) ** 2 + (columns - u) ** 2
