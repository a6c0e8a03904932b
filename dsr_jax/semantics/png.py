"""PNG files as they are stored: whole, unscaled, palette indices as indices.

OpenCV alone cannot do that: it hides truncation, turns palette indices into colours
and applies transparency. So the chunks are checked here, and OpenCV decodes a minimal
file made of the header and the pixel data only, in which palette indices pass as grey
values.
"""

import dataclasses
import struct
import zlib

import cv2
import numpy as np

from dsr_jax.arrays import UInt8
from dsr_jax.files import MAX_PIXELS

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# Colour types of the PNG specification (ISO/IEC 15948, §11.2.2).
_GREY, _PALETTE = 0, 3


class PngError(Exception):
    """The file cannot be used; the message says why and what to do."""

    def __init__(self, message: str, reason: str = "damaged"):
        super().__init__(message)
        self.reason = reason
        """The kind of damage in a word or two, for counting."""


@dataclasses.dataclass(frozen=True)
class Png:
    """A decoded file: grey values or palette indices (H, W), or RGB (H, W, 3)."""

    samples: UInt8[np.ndarray, "H W"] | UInt8[np.ndarray, "H W 3"]
    palette: UInt8[np.ndarray, "P 3"] | None
    """RGB of each index, for a palette file."""


def decode_png(data: bytes) -> Png:
    """Decodes an 8-bit PNG, or a palette PNG of any depth.

    Raises:
      PngError: not a PNG, truncated, damaged, with more or fewer bits than 8, or with
        more than `MAX_PIXELS`.
    """
    chunks = _split(data)
    if not chunks or chunks[0][0] != b"IHDR" or len(chunks[0][1]) != 13:
        raise PngError("is damaged; write it again")
    header = chunks[0][1]
    depth, colour_type = header[8], header[9]
    width, height = struct.unpack(">II", header[:8])
    if width * height > MAX_PIXELS:
        raise PngError(
            f"has {width} x {height} pixels, more than {MAX_PIXELS}; make it smaller",
            "too many pixels",
        )
    if depth != 8 and colour_type != _PALETTE:
        raise PngError(f"has {depth} bits a sample; write it with 8", "not 8-bit")
    samples = _decode_pixels(header, [body for name, body in chunks if name == b"IDAT"])
    if colour_type != _PALETTE:
        return Png(samples, None)
    # Grey values of fewer than 8 bits come scaled to the range 0 to 255.
    indices = samples // (255 // (2**depth - 1))
    table = b"".join(body for name, body in chunks if name == b"PLTE")
    palette = np.frombuffer(table[: len(table) // 3 * 3], np.uint8).reshape(-1, 3)
    if indices.max() >= len(palette):
        raise PngError("has indices beyond its palette; write it again")
    return Png(indices, palette)


def _split(data: bytes) -> list[tuple[bytes, bytes]]:
    """(name, body) of every chunk up to IEND, checksums verified."""
    if not data:
        raise PngError("is empty (0 bytes); write it again", "empty")
    if not data.startswith(_SIGNATURE):
        raise PngError("is not a PNG file; label maps must be PNG", "not a PNG")
    chunks: list[tuple[bytes, bytes]] = []
    start = len(_SIGNATURE)
    while start + 8 <= len(data):
        length, name = struct.unpack(">I4s", data[start : start + 8])
        body, end = data[start + 8 : start + 8 + length], start + 12 + length
        if end > len(data):
            break
        if data[end - 4 : end] != _checksum(name, body):
            raise PngError("is damaged (a checksum is wrong); write it again")
        if name == b"IEND":
            return chunks
        chunks.append((name, body))
        start = end
    raise PngError("is truncated; write it again", "truncated")


def _decode_pixels(header: bytes, data: list[bytes]) -> np.ndarray:
    colour_type = _GREY if header[9] == _PALETTE else header[9]
    plain_header = header[:9] + bytes([colour_type]) + header[10:]
    chunks = [(b"IHDR", plain_header), *((b"IDAT", d) for d in data), (b"IEND", b"")]
    minimal = _SIGNATURE + b"".join(_chunk(name, body) for name, body in chunks)
    try:
        pixels = cv2.imdecode(np.frombuffer(minimal, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        pixels = None
    if pixels is None:
        raise PngError("cannot be decoded; write it again")
    return pixels if pixels.ndim == 2 else pixels[..., 2::-1]


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + _checksum(name, body)


def _checksum(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", zlib.crc32(name + body))
