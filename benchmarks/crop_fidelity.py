"""How near a crop's pixels are to the mean of the photo's area that they cover.

    python benchmarks/crop_fidelity.py

For some sizes of a crop pixel (s photo pixels), not rotated and rotated by 0.4 rad:
PSNR against the mean of a dense grid, of k × k bilinear samples for k = 1 … 4, and of
`warp_image`, which chooses k.
"""

import math
import sys
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.input_pipeline import photograph
from dsr_jax.data import crop_affine, transform_points, warp_image

RESOLUTION = 112
CENTER = np.array([320.3, 240.8])
SIZES = (1.05, 1.15, 1.2, 1.6, 2.1, 2.3, 3.3)


def true_means(image: np.ndarray, affine: np.ndarray, grid: int) -> np.ndarray:
    """Means of grid × grid nearest pixels."""
    steps = (np.arange(grid) + 0.5) / grid - 0.5
    rows, columns = np.mgrid[:RESOLUTION, :RESOLUTION]
    height, width = image.shape[:2]
    total = np.zeros((RESOLUTION, RESOLUTION, 3))
    for down in steps:
        for across in steps:
            points = np.stack([columns + across, rows + down], -1)
            u, v = np.rint(transform_points(points, affine)).astype(int).T
            inside = (u >= 0) & (u < width) & (v >= 0) & (v < height)
            values = np.where(inside[..., None], image[v % height, u % width], 0)
            total += values.swapaxes(0, 1)
    return total / grid**2


def sampled(image: np.ndarray, affine: np.ndarray, samples: int) -> np.ndarray:
    """Means of samples × samples bilinear values."""
    fine = affine.copy()
    fine[:, 2] += affine[:, :2] @ np.full(2, 0.5 / samples - 0.5)
    fine[:, :2] /= samples
    side = samples * RESOLUTION
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    warped = cv2.warpAffine(image, fine, (side, side), flags=flags)
    return cv2.resize(warped, (RESOLUTION,) * 2, interpolation=cv2.INTER_AREA)


def psnr(picture: np.ndarray, wanted: np.ndarray) -> float:
    return 10 * math.log10(255**2 / np.mean((picture - wanted) ** 2))


def main() -> int:
    image = photograph(np.random.default_rng(0))
    print("s, rotation:", *(f"k = {k}" for k in range(1, 5)), "warp_image", sep="  ")
    for size in SIZES:
        for rotation in (0.0, 0.4):
            affine = crop_affine(CENTER, size * RESOLUTION, RESOLUTION, rotation)
            wanted = true_means(image, affine, 16 * math.ceil(size))
            rows = [psnr(sampled(image, affine, k), wanted) for k in range(1, 5)]
            rows.append(psnr(warp_image(image, affine, RESOLUTION), wanted))
            print(f"{size:4.2f}, {rotation}:", *(f"{row:5.1f}" for row in rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
