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

import math

import cv2
import numpy as np

from dsr_jax.arrays import Float, Integer, UInt8

# Side of a box of scale 1 in SPIN's files, in pixels of the photo.
BOX_PIXELS_PER_SCALE = 200.0
# Photo pixels a crop pixel up to which one bilinear sample is nearer to the mean of the
# pixel's area than 2 × 2 are, beyond 1.
_SEEN_BY_ONE_SAMPLE = 0.15
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

    Each crop pixel is the mean of k × k bilinear samples, k = ⌈b/R - 0.15⌉: the area of
    the pixel is seen, and nothing aliases. A bilinear sample is itself a mean, of about
    1.2 px, so more of them would blur: docs/input.md has the errors. Of boxes beyond
    8192 px fewer samples are taken, as memory is not without end.
    """
    scale = np.sqrt(abs(np.linalg.det(affine[:, :2])))
    samples = max(1, math.ceil(scale - _SEEN_BY_ONE_SAMPLE))
    samples = min(samples, max(1, _MOST_SAMPLES // resolution))
    part, corner = _seen_part(image, affine, resolution)
    if not part.size:
        return np.zeros((resolution, resolution, 3), np.uint8)
    fine = affine.astype(np.float64).copy()
    fine[:, 2] -= corner
    # Fine pixel f lies at crop coordinate (f + 1/2)/k - 1/2.
    fine[:, 2] += affine[:, :2] @ np.full(2, 0.5 / samples - 0.5)
    fine[:, :2] /= samples
    side = samples * resolution
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    # OpenCV warps four channels in half the time of three.
    four = cv2.cvtColor(part, cv2.COLOR_RGB2RGBA)
    warped = cv2.warpAffine(four, fine, (side, side), flags=flags)
    if samples > 1:
        size = (resolution, resolution)
        warped = cv2.resize(warped, size, interpolation=cv2.INTER_AREA)
    return cv2.cvtColor(warped, cv2.COLOR_RGBA2RGB)


def _seen_part(
    image: UInt8[np.ndarray, "H W 3"], affine: Float[np.ndarray, "2 3"], resolution: int
) -> tuple[UInt8[np.ndarray, "h w 3"], Integer[np.ndarray, "2"]]:
    """The part of the photo that a crop can show, and its top-left pixel (u, v)."""
    ends = np.array([-1.0, resolution])
    corners = np.stack(np.meshgrid(ends, ends), -1).reshape(-1, 2)
    places = transform_points(corners, affine)
    size = np.array([image.shape[1], image.shape[0]])
    # Clipped while they are floats: a box may lie beyond all integers.
    first = np.clip(np.floor(places.min(0)) - 1, 0, size).astype(int)
    last = np.clip(np.ceil(places.max(0)) + 2, 0, size).astype(int)
    return image[first[1] : last[1], first[0] : last[0]], first


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
