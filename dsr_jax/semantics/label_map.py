"""Label maps on disk and in memory: reading by content, writing, mirroring, colours."""

from pathlib import Path

import cv2
import jax.numpy as jnp
import numpy as np

from dsr_jax.arrays import Array, Integer, UInt8
from dsr_jax.errors import UserError
from dsr_jax.files import read_bytes, write_bytes
from dsr_jax.semantics.png import Png, PngError, decode_png
from dsr_jax.semantics.taxonomy import CIHP, NUM_LABELS

# A colour counts as a label's if no channel is off by more than this. Colour management
# rounds by a few units; the two closest colours of the palette are 34 apart, so that
# the answer is unique. Interpolated borders lie far outside.
COLOUR_TOLERANCE = 8


def read_label_map(
    path: str | Path, size: tuple[int, int] | None = None
) -> UInt8[np.ndarray, "H W"]:
    """Reads CIHP labels from a PNG file, whose kind is decided by its content.

    - Grey, 8 bits (CIHP's own files), or the same value in R, G and B: label numbers.
    - Colours (Graphonomy's output): the palette's label, see `COLOUR_TOLERANCE`.
    - Palette: by colour if all colours of the palette are CIHP's, and else by index. An
      index whose colour is its own label's reads the same either way.

    Args:
      path: the file.
      size: (H, W) of the image that the labels belong to, checked if given.

    Raises:
      UserError: the file is missing, truncated, not a PNG, not 8-bit, of another size,
        or holds a label or a colour that CIHP does not have.
    """
    try:
        labels = _labels(decode_png(read_bytes(path, "label map")))
    except PngError as error:
        raise UserError(f"{path}: this label map {error}") from error
    if size is not None and labels.shape != tuple(size):
        raise UserError(
            f"{path}: this label map has {labels.shape[1]} x {labels.shape[0]} pixels "
            f"but its image has {size[1]} x {size[0]}: they must agree"
        )
    return labels


def write_label_map(
    path: str | Path,
    labels: Integer[np.ndarray | Array, "H W"],
    colour: bool = False,
) -> None:
    """Writes an 8-bit index PNG, or Graphonomy's colours; the file appears whole.

    Raises:
      UserError: the folder is missing or cannot be written to.
      ValueError: a label outside 0 to 19.
    """
    values = np.asarray(labels)
    if values.min(initial=0) < 0 or values.max(initial=0) >= NUM_LABELS:
        raise ValueError(f"labels must be 0 to {NUM_LABELS - 1}")
    pixels = colour_label_map(values)[..., ::-1] if colour else values.astype(np.uint8)
    write_bytes(path, cv2.imencode(".png", pixels)[1].tobytes())


def flip_label_map(
    labels: Integer[np.ndarray | Array, "*batch H W"],
) -> Integer[np.ndarray | Array, "*batch H W"]:
    """Mirrors left to right and swaps the sides: a left arm stays a left arm.

    Keeps the kind of array (NumPy or JAX) and its dtype.
    """
    array = np if isinstance(labels, np.ndarray) else jnp
    return array.asarray(CIHP.flip, labels.dtype)[labels[..., ::-1]]


def colour_label_map(
    labels: Integer[np.ndarray | Array, "*batch H W"],
) -> UInt8[np.ndarray, "*batch H W 3"]:
    """The picture of a label map in Graphonomy's colours, RGB."""
    return CIHP.palette[np.asarray(labels)]


def _labels(png: Png) -> np.ndarray:
    """CIHP labels of a decoded file."""
    if png.palette is not None and not _is_cihp(png.palette):
        return _checked(png.samples)
    if png.palette is not None:
        return _nearest_labels(png.palette)[0][png.samples]
    if png.samples.ndim == 2:
        return _checked(png.samples)
    red, green, blue = np.moveaxis(png.samples, -1, 0)
    grey = np.array_equal(red, green) and np.array_equal(green, blue)
    # A grey level below 20 is a number: no colour of the palette but black is so dark.
    if grey and red.max() < NUM_LABELS:
        return red.copy()
    return _labels_of_colours(png.samples)


def _checked(indices: np.ndarray) -> np.ndarray:
    worst = int(indices.max())
    if worst >= NUM_LABELS:
        raise PngError(
            f"has the value {worst}, but CIHP's labels are 0 to {NUM_LABELS - 1}; "
            "map other labels by name first"
        )
    return indices


def _is_cihp(palette: np.ndarray) -> bool:
    return bool(_nearest_labels(palette)[1].max() <= COLOUR_TOLERANCE)


def _labels_of_colours(pixels: np.ndarray) -> np.ndarray:
    codes = pixels.astype(np.uint32) @ np.array([65536, 256, 1], np.uint32)
    distinct, inverse = np.unique(codes, return_inverse=True)
    shifts = np.array([16, 8, 0], np.uint32)
    colours = (distinct[:, None] >> shifts & 255).astype(np.uint8)
    labels, distance = _nearest_labels(colours)
    wrong = distance > COLOUR_TOLERANCE
    if wrong.any():
        count = int(np.isin(codes, distinct[wrong]).sum())
        example = tuple(int(value) for value in colours[wrong][0])
        raise PngError(
            f"has {count} of {codes.size} pixels in colours of no label, such as RGB "
            f"{example}; resize label maps with nearest neighbour, and map other "
            "palettes by name first"
        )
    return labels[inverse].reshape(codes.shape)


def _nearest_labels(colours: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The label of the nearest colour, and its largest difference in a channel."""
    difference = colours[:, None].astype(np.int16) - CIHP.palette.astype(np.int16)
    distance = np.abs(difference).max(-1)
    return distance.argmin(-1).astype(np.uint8), distance.min(-1)
