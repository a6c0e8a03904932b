"""Windows of a photo: to a network's input of any size, and back to the photo's pixels.

Pixel u covers [u - 1/2, u + 1/2]. A window of left edge l and width b is shown on w
input pixels; input pixel k has its centre at the photo's

    u = l + (k + 1/2)·b/w

and the photo's pixel u lies, with a = (u - l)/b, at place a·m - 1/2 of an output of m
elements ("centres"), or at (a·w - 1/2)·(m - 1)/(w - 1) ("corners").
"""

import dataclasses
from collections.abc import Sequence

import cv2
import numpy as np

from dsr_jax.arrays import Float, Int, UInt8
from dsr_jax.data import PersonBox


@dataclasses.dataclass(frozen=True)
class Window:
    """A rectangle by its edges, px; it may reach over the photo's border."""

    left: float
    top: float
    width: float
    height: float


def whole_window(image_size: tuple[int, int]) -> Window:
    """All of a photo of (H, W) pixels."""
    return Window(-0.5, -0.5, image_size[1], image_size[0])


def box_window(box: PersonBox, growth: float) -> Window:
    """The square of a person, its side multiplied by `growth`."""
    side = box.size_px * growth
    u, v = box.center_px
    return Window(u - side / 2, v - side / 2, side, side)


def fitted(window: Window, size: tuple[int, int]) -> Window:
    """The smallest window around it with the proportions of (h, w) and its centre."""
    scale = max(window.height / size[0], window.width / size[1])
    height, width = size[0] * scale, size[1] * scale
    return Window(
        window.left - (width - window.width) / 2,
        window.top - (height - window.height) / 2,
        width,
        height,
    )


def cut(
    image: UInt8[np.ndarray, "H W 3"], window: Window, size: tuple[int, int]
) -> UInt8[np.ndarray, "h w 3"]:
    """Shows a window on (h, w) pixels: bilinear, black outside the photo.

    Where pixels are lost, each is the mean of k x k bilinear samples, k being the
    number of photo pixels that it covers, rounded up: nothing aliases.
    """
    fine_v, rows = _samples(window.top, window.height, size[0])
    fine_u, columns = _samples(window.left, window.width, size[1])
    step_u, step_v = window.width / len(fine_u), window.height / len(fine_v)
    affine = np.array([[step_u, 0.0, fine_u[0]], [0.0, step_v, fine_v[0]]])
    shown = cv2.warpAffine(
        image,
        affine,
        (len(fine_u), len(fine_v)),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    # The photo ends at the edges of its pixels, not at their centres.
    shown[_outside(fine_v, image.shape[0])] = 0
    shown[:, _outside(fine_u, image.shape[1])] = 0
    if rows == columns == 1:
        return shown
    return cv2.resize(shown, size[::-1], interpolation=cv2.INTER_AREA)


def pixels_inside(start: float, extent: float, count: int) -> tuple[int, int]:
    """First and last + 1 of the `count` pixels whose centre is in [start, + extent)."""
    first = int(np.ceil(start))
    end = int(np.ceil(start + extent))
    return min(max(first, 0), count), min(max(end, 0), count)


def nearest_windows(
    windows: Sequence[Window], size: tuple[int, int]
) -> Int[np.ndarray, "H W"]:
    """The number of the square that each pixel of a photo belongs to, -1 if to none.

    Of several squares it is the one whose centre is nearest, measured in half sides
    along the farther axis; of equally near ones the first.
    """
    nearest, owners = np.full(size, np.inf), np.full(size, -1)
    for number, window in enumerate(windows):
        top, bottom = pixels_inside(window.top, window.height, size[0])
        left, right = pixels_inside(window.left, window.width, size[1])
        half = window.width / 2
        down = np.abs(np.arange(top, bottom) - window.top - half) / half
        across = np.abs(np.arange(left, right) - window.left - half) / half
        distance = np.maximum(down[:, None], across)
        inside = np.s_[top:bottom, left:right]
        owners[inside] = np.where(distance < nearest[inside], number, owners[inside])
        nearest[inside] = np.minimum(distance, nearest[inside])
    return owners


def output_places(
    region: tuple[int, int, int, int],
    window: Window,
    input_size: tuple[int, int],
    output_size: tuple[int, int],
    alignment: str,
) -> tuple[Float[np.ndarray, "R"], Float[np.ndarray, "C"]]:
    """Where a region's rows and columns lie in an output, by the module's equations.

    Args:
      region: the photo's rows and columns: (top, bottom, left, right), the ends out.
      window: what the network was shown.
      input_size: (h, w) of its input.
      output_size: (m, n) of its output.
      alignment: "centres" or "corners".

    Returns:
      Places in elements of the output, limited to it.
    """
    spans = (
        (region[:2], window.top, window.height),
        (region[2:], window.left, window.width),
    )
    places = []
    for axis, (pixels, start, extent) in enumerate(spans):
        inputs, outputs = input_size[axis], output_size[axis]
        share = (np.arange(*pixels) - start) / extent
        place = share * outputs - 0.5
        if alignment == "corners" and inputs > 1:
            place = (share * inputs - 0.5) * (outputs - 1) / (inputs - 1)
        places.append(np.clip(place, 0, outputs - 1))
    return places[0], places[1]


def interpolate(
    values: Float[np.ndarray, "L h w"],
    rows: Float[np.ndarray, "R"],
    columns: Float[np.ndarray, "C"],
) -> Float[np.ndarray, "L R C"]:
    """Bilinear interpolation at the crossings of rows and columns."""
    return _along(_along(values, rows, 1), columns, 2)


def _along(values: np.ndarray, places: np.ndarray, axis: int) -> np.ndarray:
    low = np.floor(places).astype(np.intp)
    share = (places - low).astype(values.dtype)
    if not share.any():
        return np.take(values, low, axis)
    share = share.reshape([-1 if a == axis else 1 for a in range(values.ndim)])
    high = np.minimum(low + 1, values.shape[axis] - 1)
    below = np.take(values, low, axis)
    return below + share * (np.take(values, high, axis) - below)


def _samples(start: float, extent: float, count: int) -> tuple[np.ndarray, int]:
    """Places of the samples along an axis, and how many make one input pixel."""
    each = max(1, int(np.ceil(extent / count - 1e-6)))
    total = each * count
    return start + (np.arange(total) + 0.5) * extent / total, each


def _outside(places: np.ndarray, count: int) -> np.ndarray:
    return (places < -0.5) | (places > count - 0.5)
