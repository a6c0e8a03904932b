"""The person's skeleton in the image: lines between keypoints, and which side is whose.

Known are the layouts of OpenPose BODY_25, of the 24 ground-truth joints, and of both
after each other (49); keypoints of another number are points without lines.
"""

import dataclasses
import itertools

import cv2
import numpy as np

from dsr_jax.arrays import Bool, Float, Int

_CHAIN_NAMES = ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
# Of the right and of the left side, in the order of `_CHAIN_NAMES`, then nose and neck.
_BODY_25 = ((2, 3, 4, 9, 10, 11), (5, 6, 7, 12, 13, 14), (0, 1))
_JOINTS_24 = ((8, 7, 6, 2, 1, 0), (9, 10, 11, 3, 4, 5), (19, 12))
# First keypoint and numbers of each part of a layout, by its count of keypoints.
_LAYOUTS = {
    25: ((0, _BODY_25),),
    24: ((0, _JOINTS_24),),
    49: ((0, _BODY_25), (25, _JOINTS_24)),
}

# A body seen along its limbs looks small: no less than this share of the box counts as
# the length of its longest limb.
_SHORTEST_LIMB = 1 / 8


@dataclasses.dataclass(frozen=True)
class SidedKeypoints:
    """The same keypoints of both sides, in the same order."""

    right: tuple[int, ...]
    left: tuple[int, ...]


def sided_keypoints(count: int, names: tuple[str, ...]) -> SidedKeypoints:
    """Where `names` (such as "wrist") are in a layout; empty if it is unknown."""
    places = [_CHAIN_NAMES.index(name) for name in names]
    parts = _LAYOUTS.get(count, ())
    sides = [
        tuple(
            first + numbers[side][place] for first, numbers in parts for place in places
        )
        for side in (0, 1)
    ]
    return SidedKeypoints(*sides)


def _chains(count: int) -> list[tuple[int, ...]]:
    """Keypoints along the arms, the legs with the trunk's sides, and across."""
    chains: list[tuple[int, ...]] = []
    for first, (right, left, head) in _LAYOUTS.get(count, ()):
        across = ((right[0], left[0]), (right[3], left[3]), head)
        along = [part for s in (right, left) for part in (s[:3], (s[0], *s[3:]))]
        chains += [tuple(first + k for k in chain) for chain in (*along, *across)]
    return chains


def counting_points(
    keypoints_px: Float[np.ndarray, "N 3"], confidence: float
) -> tuple[Float[np.ndarray, "N 2"], Bool[np.ndarray, "N"]]:
    """Places, 0 where they do not count, and which count."""
    counts = keypoints_px[:, 2] > confidence
    return np.where(counts[:, None], keypoints_px[:, :2], 0.0), counts


def longest_limb(
    keypoints_px: Float[np.ndarray, "N 3"], confidence: float, person_px: float
) -> float:
    """Pixels from hip to shoulder, or of a longer thigh, shin or arm.

    Some limb of a person lies across the line of sight, whatever the pose; the longest
    one is a scale of the body that bending and turning change little.
    """
    points, counts = counting_points(keypoints_px, confidence)
    lengths = [
        float(np.hypot(*(points[a] - points[b])))
        for chain in _chains(len(points))
        for a, b in itertools.pairwise(chain)
        if counts[a] and counts[b]
    ]
    return max([*lengths, _SHORTEST_LIMB * person_px])


def distance_to_skeleton(
    keypoints_px: Float[np.ndarray, "N 3"],
    confidence: float,
    size: tuple[int, int],
    step: int = 1,
) -> Float[np.ndarray, "H W"]:
    """Pixels to the nearest line or point of the person; inf if none is in the map.

    Args:
      keypoints_px: u, v in pixels of the map and a confidence.
      confidence: keypoints count if theirs is greater than this.
      size: (H, W) of the map.
      step: the distance is found at every `step`-th pixel and interpolated, so that it
        is off by up to one step; a large map takes long.
    """
    points, counts = counting_points(keypoints_px, confidence)
    height, width = (-(-side // step) for side in size)
    points = (points + 0.5) / step - 0.5
    # Far beyond any image, and still a number that OpenCV can draw to.
    places: Int[np.ndarray, "N 2"] = np.rint(np.clip(points, -1e4, 1e4)).astype(int)
    away = np.full((height, width), 255, np.uint8)
    for place in places[counts]:
        cv2.circle(away, (int(place[0]), int(place[1])), 0, 0, -1)
    for chain in _chains(len(points)):
        # Over a keypoint that does not count, the line goes on to the next.
        for a, b in itertools.pairwise(k for k in chain if counts[k]):
            cv2.line(away, places[a].tolist(), places[b].tolist(), 0, 1)
    if away.all():
        return np.full(size, np.inf, np.float32)
    # Within 2 % of the exact distance, which would take ten times as long.
    distance = step * cv2.distanceTransform(away, cv2.DIST_L2, cv2.DIST_MASK_5)
    if step == 1:
        return distance
    return cv2.resize(distance, (width * step, height * step))[: size[0], : size[1]]
