"""Pictures one after the other, as a GIF."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from dsr_jax.arrays import UInt8
from dsr_jax.files import write_bytes


def write_animation(
    path: str | Path, frames: Sequence[UInt8[np.ndarray, "H W 3"]], milliseconds: int
) -> None:
    """Writes an endless GIF; the file appears whole.

    Args:
      path: the file.
      frames: RGB, all of one size.
      milliseconds: how long each is shown.

    Raises:
      UserError: the folder is missing or cannot be written to.
    """
    images = [Image.fromarray(frame) for frame in frames]
    buffer = io.BytesIO()
    images[0].save(
        buffer,
        "GIF",
        save_all=True,
        append_images=images[1:],
        duration=milliseconds,
        loop=0,
    )
    write_bytes(path, buffer.getvalue())
