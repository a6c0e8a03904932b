"""Other people's labels: a parser without instances labels everybody in the photo."""

import math

import cv2
import numpy as np

from dsr_jax.arrays import Bool, Float, UInt8
from dsr_jax.semantics.cleaning.enough_pixels import REFERENCE_SIDE
from dsr_jax.semantics.cleaning.keypoint_box import clean_label_map
from dsr_jax.semantics.cleaning.nearby import nearest_set
from dsr_jax.semantics.cleaning.settings import COMPONENTS, NONE, CleaningSettings
from dsr_jax.semantics.cleaning.skeleton import (
    distance_to_skeleton,
    longest_limb,
)

# Another skeleton whose keypoints are on average nearer than this many limbs is a
# second annotation of the same person, as some data sets have.
_SAME_PERSON = 0.25
# Limb lengths that arms, legs and trunk may be thick: where two people overlap, what is
# so near to the person's skeleton stays, whoever is in front.
_OWN_FLESH = 0.4


def remove_others(
    labels: UInt8[np.ndarray, "H W"],
    keypoints_px: Float[np.ndarray, "N 3"],
    settings: CleaningSettings,
    person_px: float,
    others_px: Float[np.ndarray, "P N 3"] | None = None,
) -> UInt8[np.ndarray, "H W"]:
    """Sets what is not the person's to background, as `settings.others` says.

    Args:
      labels: of the whole photo.
      keypoints_px: u, v in pixels of `labels` and a confidence; some must count.
      settings: of the chain.
      person_px: side of the person's box in pixels of `labels`.
      others_px: keypoints of other people of the photo, for "components".
    """
    if settings.others == NONE:
        return labels
    if settings.others == COMPONENTS:
        kept = keep_person(labels > 0, keypoints_px, settings, person_px, others_px)
        return np.where(kept, labels, 0).astype(np.uint8)
    confidence, margin = settings.keypoint_confidence, settings.box_margin_px
    return np.asarray(clean_label_map(labels, keypoints_px, confidence, margin))


def keep_person(
    foreground: Bool[np.ndarray, "H W"],
    keypoints_px: Float[np.ndarray, "N 3"],
    settings: CleaningSettings,
    person_px: float,
    others_px: Float[np.ndarray, "P N 3"] | None = None,
) -> Bool[np.ndarray, "H W"]:
    """Which foreground is the person's.

    Four rules, all of which must hold of a pixel:

    1. It is in the grown box of the keypoints, as for "keypoint_box", but grown by crop
       px: the margin is a part of the person, whatever the resolution.
    2. Its connected component (8 neighbours) is the nearest one to some keypoint of the
       person, within `near_px`: who stands apart goes, however near.
    3. It is within `reach` limb lengths of the skeleton, or the box's margin if that
       is more: who touches the person goes, but for what lies as near as the person's
       own clothes do.
    4. No skeleton of `others_px` is nearer than the person's own, if `split_touching`
       and beyond `_OWN_FLESH` limb lengths.

    A keypoint on the background is normal (hidden limbs, feet beyond the labels), and
    so it only fails to hold a component.
    """
    kept = np.zeros_like(foreground)
    confidence, unit = settings.keypoint_confidence, person_px / REFERENCE_SIDE
    near, margin = settings.near_px * unit, settings.box_margin_px * unit
    window, corner = _grown_box(keypoints_px, confidence, margin, foreground.shape)
    if not foreground[window].any():
        return kept
    keypoints = keypoints_px - np.array([*corner, 0])
    inside = _seeded(foreground[window], keypoints, confidence, near)
    size, step = (inside.shape[0], inside.shape[1]), max(1, math.floor(unit))
    own = distance_to_skeleton(keypoints, confidence, size, step)
    limb = longest_limb(keypoints, confidence, person_px)
    inside &= own <= max(settings.reach * limb, margin)
    known = others_px if settings.split_touching and others_px is not None else ()
    for other in known:
        shifted = other - np.array([*corner, 0])
        if not _is_same_person(keypoints, shifted, confidence, limb):
            theirs = distance_to_skeleton(shifted, confidence, size, step)
            inside &= (own <= theirs) | (own < _OWN_FLESH * limb)
    kept[window] = inside
    return kept


def _grown_box(
    keypoints_px: Float[np.ndarray, "N 3"],
    confidence: float,
    margin: float,
    size: tuple[int, ...],
) -> tuple[tuple[slice, slice], tuple[int, int]]:
    """The part of the map in the grown box of the keypoints, and its corner (u, v)."""
    points = keypoints_px[keypoints_px[:, 2] > confidence, :2].astype(np.float64)
    limits = np.array([size[1], size[0]])
    low = np.clip(np.ceil(points.min(0) - margin), 0, limits).astype(int)
    high = np.clip(np.floor(points.max(0) + margin) + 1, 0, limits).astype(int)
    window = slice(int(low[1]), int(high[1])), slice(int(low[0]), int(high[0]))
    return window, (int(low[0]), int(low[1]))


def _seeded(
    foreground: Bool[np.ndarray, "H W"],
    keypoints_px: Float[np.ndarray, "N 3"],
    confidence: float,
    near: float,
) -> Bool[np.ndarray, "H W"]:
    """The components that hold a keypoint, or are the nearest within `near` pixels."""
    _, components = cv2.connectedComponents(foreground.astype(np.uint8))
    chosen = np.zeros(int(components.max()) + 1, bool)
    for u, v, weight in keypoints_px:
        if weight > confidence:
            chosen[nearest_set(components, float(u), float(v), near)] = True
    chosen[0] = False
    return chosen[components]


def _is_same_person(
    one: Float[np.ndarray, "N 3"],
    other: Float[np.ndarray, "N 3"],
    confidence: float,
    limb: float,
) -> bool:
    both = (one[:, 2] > confidence) & (other[:, 2] > confidence)
    if not both.any():
        return False
    apart = np.hypot(*(one[both, :2] - other[both, :2]).T)
    return bool(apart.mean() < _SAME_PERSON * limb)
