"""Labels and keypoints drawn over photos."""

import cv2
import jax.numpy as jnp
import numpy as np

from dsr_jax.arrays import Array, Float, Integer, UInt8
from dsr_jax.body import KEYPOINT_NAMES_49
from dsr_jax.camera import ndc_to_pixels
from dsr_jax.semantics import colour_label_map

_LEFT, _RIGHT, _MIDDLE = (64, 156, 255), (255, 140, 32), (64, 208, 112)  # RGB
_LIMBS = (
    *(("ankle", "knee"), ("knee", "hip"), ("wrist", "elbow"), ("elbow", "shoulder")),
    *(
        ("shoulder", "neck_lsp"),
        ("hip", "pelvis_mpii"),
        ("eye", "nose"),
        ("ear", "eye"),
    ),
)
_MIDDLE_LIMBS = (
    ("pelvis_mpii", "spine_h36m"),
    ("spine_h36m", "thorax_mpii"),
    ("neck_lsp", "head_top_lsp"),
)
# OpenCV draws at fractions of a pixel given in 2⁻ˢʰⁱᶠᵗ.
_SHIFT = 4


def overlay_labels(
    image: UInt8[np.ndarray, "H W 3"],
    labels: Integer[np.ndarray | Array, "H W"],
    opacity: float = 0.6,
) -> UInt8[np.ndarray, "H W 3"]:
    """Paints labels over a photo in Graphonomy's colours; background is clear."""
    colours = colour_label_map(labels)
    share = opacity * (np.asarray(labels) > 0)[..., None]
    return np.rint(image * (1 - share) + colours * share).astype(np.uint8)


def draw_keypoints(
    image: UInt8[np.ndarray, "H W 3"],
    keypoints_ndc: Float[np.ndarray | Array, "49 3"],
    confidence: float = 0.3,
) -> UInt8[np.ndarray, "H W 3"]:
    """Draws keypoints and the limbs between the last 24 of them.

    The person's left is blue, right is orange, the middle green.

    Args:
      image: RGB; it is not changed.
      keypoints_ndc: NDC of this picture, and confidence.
      confidence: keypoints count if theirs is greater than this.
    """
    height, width = image.shape[:2]
    points = np.asarray(
        ndc_to_pixels(jnp.asarray(keypoints_ndc)[:, :2], (height, width))
    )
    counts = np.asarray(keypoints_ndc)[:, 2] > confidence
    thickness = max(1, round(min(height, width) / 160))
    picture = np.ascontiguousarray(image.copy())
    for first, second in _limb_indices():
        if counts[first] and counts[second]:
            start, end = _fixed(points[first]), _fixed(points[second])
            colour = _colour(first)
            cv2.line(picture, start, end, colour, thickness, cv2.LINE_AA, _SHIFT)
    for index in np.flatnonzero(counts).tolist():
        radius = int((thickness + 1) * 2**_SHIFT)
        place, colour = _fixed(points[index]), _colour(index)
        cv2.circle(picture, place, radius, colour, -1, cv2.LINE_AA, _SHIFT)
    return picture


def _limb_indices() -> list[tuple[int, int]]:
    """Pairs of the last 24 keypoints; the first says the side."""
    index = {name: 25 + i for i, name in enumerate(KEYPOINT_NAMES_49[25:])}
    pairs = [(index[a], index[b]) for a, b in _MIDDLE_LIMBS]
    for side in ("left_", "right_"):
        for a, b in _LIMBS:
            pairs.append((index[side + a], index.get(side + b, index.get(b, -1))))
    return pairs


def _colour(index: int) -> tuple[int, int, int]:
    name = KEYPOINT_NAMES_49[index]
    if "left_" in name:
        return _LEFT
    return _RIGHT if "right_" in name else _MIDDLE


def _fixed(point: np.ndarray) -> tuple[int, int]:
    u, v = np.rint(np.clip(point, -1e5, 1e5) * 2**_SHIFT).astype(int)
    return int(u), int(v)
