"""Photos on disk: read whole or not at all, written whole or not at all.

OpenCV decodes what is left of a truncated file and only warns, so the end of JPEG and
PNG files is looked for first. Damage in the middle of a JPEG's data is not found:
libjpeg guesses and prints, OpenCV passes on neither, and Pillow's stricter reading
refused 2 of 120 files with 8 bytes overwritten.
"""

import struct
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from dsr_jax.arrays import UInt8
from dsr_jax.data.person import StoredFile
from dsr_jax.errors import UserError
from dsr_jax.files import MAX_PIXELS, read_bytes, write_bytes

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
JPEG_QUALITY = 95

_JPEG_START = b"\xff\xd8"
_JPEG_END = b"\xff\xd9"
_JPEG_SCAN = 0xDA
_JPEG_WITHOUT_LENGTH = (0x01, *range(0xD0, 0xD9))
# Start of frame: C0 to CF without DHT, JPG and DAC (ITU-T T.81, table B.1).
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_BMP_START = b"BM"
_PNG_START = b"\x89PNG\r\n\x1a\n"


class BrokenImage(UserError):
    """An image that cannot be decoded; the message is one complete line."""

    def __init__(self, message: str, reason: str):
        super().__init__(message)
        self.reason = reason
        """What is wrong in a word or two ("truncated"), for counting."""


def read_image(path: str | Path) -> UInt8[np.ndarray, "H W 3"]:
    """Reads an RGB image, turned as its EXIF orientation says; grey becomes RGB.

    Raises:
      UserError: the file is missing, truncated, or no image that OpenCV can read.
    """
    return decode_image(StoredFile(str(path), read_bytes(path, "image")))


def decode_image(file: StoredFile) -> UInt8[np.ndarray, "H W 3"]:
    """As `read_image`, of a file that is in memory.

    Raises:
      BrokenImage: it is truncated, has more than `MAX_PIXELS`, or is no image that
        OpenCV can read.
    """
    name, data = file.name, file.data
    if is_truncated(data):
        raise BrokenImage(f"{name}: this image is truncated; copy it again", "cut off")
    width, height = _size_in_header(data)
    if width * height > MAX_PIXELS:
        raise BrokenImage(
            f"{name}: has {width} x {height} pixels, more than {MAX_PIXELS}; make it "
            "smaller",
            "too many pixels",
        )
    buffer = np.frombuffer(data, np.uint8)
    try:
        pixels = cv2.imdecode(buffer, cv2.IMREAD_COLOR) if len(data) else None
    except cv2.error:
        pixels = None
    if pixels is None:
        raise BrokenImage(
            f"{name}: not an image that can be read; give a JPEG or PNG", "no image"
        )
    return cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)


def write_image(path: str | Path, image: UInt8[np.ndarray, "H W 3"]) -> None:
    """Writes RGB in the format of the suffix (.png, .jpg, …); it appears whole.

    Raises:
      UserError: an unknown suffix, or a folder that is missing or cannot be written to.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in IMAGE_SUFFIXES:
        known = ", ".join(IMAGE_SUFFIXES)
        raise UserError(
            f"{path}: cannot write '{suffix}' images; choose one of {known}"
        )
    pixels = cv2.cvtColor(np.asarray(image), cv2.COLOR_RGB2BGR)
    options = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY] if "jp" in suffix else []
    write_bytes(path, cv2.imencode(suffix, pixels, options)[1].tobytes())


def is_truncated(data: bytes) -> bool:
    """Whether a JPEG or PNG file stops before its end marker; False for other data."""
    if data.startswith(_JPEG_START):
        # From the end: in a whole file the marker is there.
        return data.rfind(_JPEG_END, _jpeg_scan_start(data)) < 0
    if data.startswith(_PNG_START):
        return not _has_png_end(data)
    return False


def _jpeg_scan_start(data: bytes) -> int:
    """Where the first scan begins: a thumbnail's own end marker lies before it."""
    for kind, position in _jpeg_markers(data):
        if kind == _JPEG_SCAN:
            return position
    return len(data)


def _jpeg_markers(data: bytes) -> Iterator[tuple[int, int]]:
    """(kind, position) of each marker up to the first scan.

    What is no marker where one must be counts as a scan.
    """
    position = len(_JPEG_START)
    while position + 4 <= len(data):
        kind = data[position + 1]
        if data[position] != 0xFF or kind == _JPEG_SCAN:
            yield _JPEG_SCAN, position
            return
        if kind == 0xFF:
            position += 1
        elif kind in _JPEG_WITHOUT_LENGTH:
            position += 2
        else:
            yield kind, position
            position += 2 + struct.unpack(">H", data[position + 2 : position + 4])[0]


def _size_in_header(data: bytes) -> tuple[int, int]:
    """(width, height); (0, 0) of a format whose images are never too large."""
    if data.startswith(_PNG_START) and len(data) >= 24:
        width, height = struct.unpack(">II", data[16:24])
        return width, height
    if data.startswith(_BMP_START) and len(data) >= 26:
        width, height = struct.unpack("<ii", data[18:26])
        return abs(width), abs(height)  # Negative: from the top down.
    if data.startswith(_JPEG_START):
        for kind, position in _jpeg_markers(data):
            size = data[position + 5 : position + 9]
            if kind in _JPEG_FRAMES and len(size) == 4:
                height, width = struct.unpack(">HH", size)
                return width, height
    return 0, 0


def _has_png_end(data: bytes) -> bool:
    position = len(_PNG_START)
    while position + 12 <= len(data):
        length, kind = struct.unpack(">I4s", data[position : position + 8])
        if kind == b"IEND":
            return True
        position += 12 + length
    return False
