"""One affine map takes a photo, its label map and its keypoints to a square crop.

Pixel coordinates have the centre of the top-left pixel at (0, 0), in photos and in
crops alike. A box of centre c and side b covers [c - b/2, c + b/2]; its crop of
resolution R covers [-0.5, R - 0.5], so crop pixel k comes from the photo's point

    p = c + (b/R) · Q(-rotation) · (k - (R - 1)/2),   Q(a) = [[cos a, -sin a],
                                                             [sin a,  cos a]]

`rotation` is the angle by which the content turns, clockwise on the screen.

SPIN's transforms take coordinates as counted from 1 and truncate the result to whole
crop pixels, which puts its keypoints about half a crop pixel right of and below these
on average. Here nothing is shifted or truncated: a keypoint stays on its pixel.
"""

import cv2
import numpy as np

from dsr_jax.arrays import Float, UInt8

# Side of a box of scale 1 in SPIN's files, in pixels of the photo.
BOX_PIXELS_PER_SCALE = 200.0
# Along one side of a crop: 200 MB for the samples of all.
_MOST_SAMPLES = 8192


def crop_affine(
    center_px: Float[np.ndarray, "2"],
    size_px: float,
    resolution: int,
    rotation: float = 0.0,
) -> Float[np.ndarray, "2 3"]:
    """The map from crop pixels to photo pixels of the module's equation.

    Args:
      center_px: centre of the box in the photo.
      size_px: side of the box in the photo, > 0.
      resolution: R, side of the crop.
      rotation: radians, clockwise on the screen.

    Raises:
      ValueError: a side that is not positive and finite.
    """
    if not (np.isfinite(size_px) and size_px > 0):
        raise ValueError(f"the side of a box must be positive, not {size_px}")
    cosine, sine = np.cos(rotation), np.sin(rotation)
    linear = size_px / resolution * np.array([[cosine, sine], [-sine, cosine]])
    offset = np.asarray(center_px, np.float64) - linear @ np.full(
        2, (resolution - 1) / 2
    )
    return np.concatenate([linear, offset[:, None]], axis=1)


def warp_image(
    image: UInt8[np.ndarray, "H W 3"], affine: Float[np.ndarray, "2 3"], resolution: int
) -> UInt8[np.ndarray, "R R 3"]:
    """Cuts the crop out of the photo: bilinear, black outside the photo.

    When the crop is smaller than its box, each crop pixel is the mean of k × k bilinear
    samples with k = ⌈b/R⌉: the area of the pixel is seen, and nothing aliases. Of boxes
    beyond 8192 px fewer samples are taken, as memory is not without end.
    """
    samples = max(1, int(np.ceil(np.sqrt(abs(np.linalg.det(affine[:, :2]))) - 1e-6)))
    samples = min(samples, max(1, _MOST_SAMPLES // resolution))
    fine = affine.astype(np.float64).copy()
    # Fine pixel f lies at crop coordinate (f + 1/2)/k - 1/2.
    fine[:, 2] += affine[:, :2] @ np.full(2, 0.5 / samples - 0.5)
    fine[:, :2] /= samples
    side = samples * resolution
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    warped = cv2.warpAffine(image, fine, (side, side), flags=flags)
    if samples == 1:
        return warped
    return cv2.resize(warped, (resolution, resolution), interpolation=cv2.INTER_AREA)


def warp_labels(
    labels: UInt8[np.ndarray, "H W"], affine: Float[np.ndarray, "2 3"], resolution: int
) -> UInt8[np.ndarray, "R R"]:
    """Cuts a label map: the nearest pixel's label, background outside the photo."""
    flags = cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(labels, affine, (resolution, resolution), flags=flags)


def transform_points(
    points: Float[np.ndarray, "*batch 2"], affine: Float[np.ndarray, "2 3"]
) -> Float[np.ndarray, "*batch 2"]:
    """The affine map applied to points (u, v)."""
    return points @ affine[:, :2].T + affine[:, 2]


def keypoints_to_crop_ndc(
    keypoints_px: Float[np.ndarray, "N 3"],
    affine: Float[np.ndarray, "2 3"],
    resolution: int,
) -> Float[np.ndarray, "N 3"]:
    """Photo keypoints (u, v, confidence) as the crop's NDC, x right and y up.

    Confidences are clipped to [0, 1]; an absent keypoint (confidence 0) becomes zeros.
    """
    points = transform_points(
        keypoints_px[:, :2].astype(np.float64), cv2.invertAffineTransform(affine)
    )
    ndc = (2 * points + 1 - resolution) / resolution * np.array([1.0, -1.0])
    confidence = np.clip(keypoints_px[:, 2:], 0, 1)
    return np.where(confidence > 0, np.concatenate([ndc, confidence], 1), 0.0).astype(
        np.float32
    )
