"""Several pictures as one, with captions."""

from collections.abc import Sequence

import cv2
import numpy as np

from dsr_jax.arrays import UInt8

_FONT = cv2.FONT_HERSHEY_SIMPLEX
_INK = (40, 40, 40)
_PAPER = 255


def panel(
    pictures: Sequence[UInt8[np.ndarray, "_ _ 3"]],
    captions: Sequence[str] | None = None,
    columns: int | None = None,
    gap: int = 6,
) -> UInt8[np.ndarray, "H W 3"]:
    """Sets pictures in a grid on white, row by row, each centred in its cell.

    Args:
      pictures: RGB, of any sizes; the largest sets the size of the cells.
      captions: one line above each picture, letters of ASCII, all in the size at which
        the longest fits.
      columns: pictures a row; all in one row by default.
      gap: white pixels between and around the cells.

    Raises:
      ValueError: no pictures, or another number of captions.
    """
    if not pictures:
        raise ValueError("a panel needs a picture")
    if captions is not None and len(captions) != len(pictures):
        raise ValueError(f"{len(captions)} captions for {len(pictures)} pictures")
    columns = columns or len(pictures)
    rows = -(-len(pictures) // columns)
    height = max(picture.shape[0] for picture in pictures)
    width = max(picture.shape[1] for picture in pictures)
    band = 0 if captions is None else max(14, round(height / 12))
    size = _letter_size(captions or [], width, band)
    step_down, step_right = band + height + gap, width + gap
    sheet = np.full(
        (rows * step_down + gap, columns * step_right + gap, 3), _PAPER, np.uint8
    )
    for index, picture in enumerate(pictures):
        row, column = divmod(index, columns)
        top, left = gap + row * step_down, gap + column * step_right
        if captions is not None:
            strip = sheet[top : top + band, left : left + width]
            _write_caption(strip, captions[index], size)
        top += band + (height - picture.shape[0]) // 2
        left += (width - picture.shape[1]) // 2
        sheet[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
    return sheet


def _letter_size(captions: Sequence[str], width: int, height: int) -> float:
    """The largest font scale at which every caption fits its band."""
    boxes = [cv2.getTextSize(c, _FONT, 1.0, 1) for c in captions if c]
    fits = [
        min(0.8 * height / (text_height + baseline), 0.96 * width / text_width)
        for (text_width, text_height), baseline in boxes
    ]
    return min(fits, default=1.0)


def _write_caption(
    strip: UInt8[np.ndarray, "h W 3"], caption: str, size: float
) -> None:
    height, width = strip.shape[:2]
    text_width = cv2.getTextSize(caption, _FONT, size, 1)[0][0]
    # The height of letters without descenders: all captions share one base line.
    letter_height = cv2.getTextSize("E", _FONT, size, 1)[0][1]
    place = (width - text_width) // 2, (height + letter_height) // 2
    drawn = np.ascontiguousarray(strip)
    cv2.putText(drawn, caption, place, _FONT, size, _INK, 1, cv2.LINE_AA)
    strip[:] = drawn
