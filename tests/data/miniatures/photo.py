"""A small photo on disk."""

import cv2
import numpy as np


def write_photo(path, rng, size=(24, 32)):
    """Writes a JPEG of noise; returns its bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
    path.write_bytes(cv2.imencode(".jpg", pixels)[1].tobytes())
    return path.read_bytes()
