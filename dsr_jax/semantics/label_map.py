"""Label maps on disk and in memory: reading by content, writing, mirroring, colours."""

from pathlib import Path

import cv2
import jax.numpy as jnp
import numpy as np

from dsr_jax.arrays import Array, Integer, UInt8
from dsr_jax.errors import UserError
from dsr_jax.files import read_bytes, write_bytes
from dsr_jax.semantics.colours import has_colours_of, is_palette_of, labels_of_colours
from dsr_jax.semantics.png import Png, PngError, decode_png
from dsr_jax.semantics.taxonomy import CIHP, NUM_LABELS, VOID, Taxonomy, label_lookup

# How `VOID` is painted: no label of any palette is near.
_VOID_COLOUR = (224, 224, 224)
# Every byte with its side swapped; what is no label stays.
_SWAPPED = np.arange(256, dtype=np.uint8)
_SWAPPED[:NUM_LABELS] = CIHP.flip


class BrokenLabelMap(UserError):
    """A label map that cannot be used; the message is one complete line."""

    def __init__(self, message: str, reason: str):
        super().__init__(message)
        self.reason = reason
        """What is wrong in a word or two ("truncated"), for counting."""


def read_label_map(
    path: str | Path,
    size: tuple[int, int] | None = None,
    taxonomy: Taxonomy = CIHP,
    void: bool = False,
) -> UInt8[np.ndarray, "H W"]:
    """Reads CIHP labels from a PNG file, whose kind is decided by its content.

    - Grey, 8 bits (CIHP's own files), or the same value in R, G and B: label numbers.
    - Colours (Graphonomy's output): the palette's label; slight damage by JPEG or by
      resizing is repaired, see `colours.labels_of_colours`.
    - Palette: by colour if all colours of the palette are the taxonomy's, and else by
      index. An index whose colour is its own label's reads the same either way.

    Args:
      path: the file.
      size: (H, W) of the image that the labels belong to, checked if given.
      taxonomy: what the file holds; other labels than CIHP's become CIHP's by
        `label_lookup`, which may give `VOID`.
      void: whether the value 255 is accepted in a file of label numbers, as `VOID`.
        Off by default: a silhouette of 0 and 255 is no label map.

    Raises:
      BrokenLabelMap: the file is missing, truncated, not a PNG, not 8-bit, of another
        size, or holds a label or a colour that the taxonomy does not have.
    """
    try:
        data = read_bytes(path, "label map")
    except UserError as error:
        raise BrokenLabelMap(str(error), "unreadable") from error
    return decode_label_map(data, str(path), size, taxonomy, void)


def decode_label_map(
    data: bytes,
    name: str,
    size: tuple[int, int] | None = None,
    taxonomy: Taxonomy = CIHP,
    void: bool = False,
) -> UInt8[np.ndarray, "H W"]:
    """As `read_label_map`, of a file's bytes; `name` stands for it in errors."""
    try:
        labels = _labels(decode_png(data), taxonomy, void)
    except PngError as error:
        message = f"{name}: this label map {error}"
        raise BrokenLabelMap(message, error.reason) from error
    if size is not None and labels.shape != tuple(size):
        raise BrokenLabelMap(
            f"{name}: this label map has {labels.shape[1]} x {labels.shape[0]} pixels "
            f"but its image has {size[1]} x {size[0]}: they must agree",
            "wrong size",
        )
    return labels if taxonomy is CIHP else label_lookup(taxonomy)[labels]


def write_label_map(
    path: str | Path,
    labels: Integer[np.ndarray | Array, "H W"],
    colour: bool = False,
) -> None:
    """Writes an 8-bit index PNG, or Graphonomy's colours; the file appears whole.

    Raises:
      UserError: the folder is missing or cannot be written to.
      ValueError: a label outside 0 to 19 that is not `VOID`; `VOID` in colours.
    """
    values = np.asarray(labels)
    known = (values >= 0) & (values < NUM_LABELS)
    if not (known if colour else known | (values == VOID)).all():
        raise ValueError(f"labels must be 0 to {NUM_LABELS - 1}")
    pixels = colour_label_map(values)[..., ::-1] if colour else values.astype(np.uint8)
    write_bytes(path, cv2.imencode(".png", pixels)[1].tobytes())


def flip_label_map(
    labels: Integer[np.ndarray | Array, "*batch H W"],
) -> Integer[np.ndarray | Array, "*batch H W"]:
    """Mirrors left to right and swaps the sides: a left arm stays a left arm.

    Keeps the kind of array (NumPy or JAX) and its dtype, and `VOID`.
    """
    if isinstance(labels, np.ndarray) and labels.dtype == np.uint8:
        return _SWAPPED[labels[..., ::-1]]
    array = np if isinstance(labels, np.ndarray) else jnp
    mirrored = labels[..., ::-1]
    known = mirrored < NUM_LABELS
    swapped = array.asarray(CIHP.flip, labels.dtype)[array.where(known, mirrored, 0)]
    return array.where(known, swapped, mirrored)


def colour_label_map(
    labels: Integer[np.ndarray | Array, "*batch H W"],
) -> UInt8[np.ndarray, "*batch H W 3"]:
    """The picture of a label map in Graphonomy's colours, RGB; `VOID` in light grey."""
    table = np.full((256, 3), _VOID_COLOUR, np.uint8)
    table[:NUM_LABELS] = CIHP.palette
    return table[np.asarray(labels)]


def _labels(png: Png, taxonomy: Taxonomy, void: bool) -> np.ndarray:
    """Labels of the taxonomy of a decoded file."""
    if png.palette is not None:
        if is_palette_of(png.palette, taxonomy):
            return labels_of_colours(png.palette[png.samples], taxonomy)
        return _checked(png.samples, taxonomy, void)
    if png.samples.ndim == 2:
        return _checked(png.samples, taxonomy, void)
    red, green, blue = np.moveaxis(png.samples, -1, 0)
    grey = np.array_equal(red, green) and np.array_equal(green, blue)
    # A grey picture of numbers is not one of colours: of these, black alone is grey.
    if grey and not has_colours_of(png.samples, taxonomy):
        return _checked(red.copy(), taxonomy, void)
    return labels_of_colours(png.samples, taxonomy)


def _checked(
    indices: UInt8[np.ndarray, "H W"], taxonomy: Taxonomy, void: bool
) -> UInt8[np.ndarray, "H W"]:
    last = len(taxonomy.names) - 1
    worst = int(indices.max(initial=0))
    has_void = void and worst == VOID
    numbers = indices[indices != VOID] if has_void else indices
    worst = int(numbers.max(initial=0)) if has_void else worst
    if worst > last:
        raise PngError(
            f"has the value {worst}, but {taxonomy.name}'s labels are 0 to {last}; "
            "name the taxonomy that it is in, or map it by name first",
            "unknown labels",
        )
    if has_void and not numbers.any():
        raise PngError(
            "has no label but 0 and 255: it is a silhouette, not a label map",
            "silhouette",
        )
    return indices
