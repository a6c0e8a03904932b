"""Label maps that cannot be the person's, and why, in words.

Each rule gives None or the end of the sentence "this label map …". They are asked in
turn, and the first that refuses is told. How often each errs on maps that are right is
measured in docs/semantics.md.
"""

import numpy as np

from dsr_jax.arrays import Bool, Float, UInt8
from dsr_jax.semantics.cleaning.enough_pixels import (
    REFERENCE_SIDE,
    minimum_pixels,
    value_counts,
)
from dsr_jax.semantics.cleaning.nearby import nearest_set
from dsr_jax.semantics.cleaning.settings import NONE, CleaningSettings
from dsr_jax.semantics.cleaning.sides import sides_are_swapped
from dsr_jax.semantics.cleaning.skeleton import counting_points
from dsr_jax.semantics.taxonomy import CIHP, NUM_LABELS, VOID

# Labels that no person consists of alone: somewhere there are a head or clothes.
_EXTREMITIES = (
    *("glove", "socks", "left-arm", "right-arm"),
    *("left-leg", "right-leg", "left-shoe", "right-shoe"),
)
_EXTREMITY_NUMBERS = {CIHP.index(name) for name in _EXTREMITIES}


def reason_to_refuse(
    labels: UInt8[np.ndarray, "H W"],
    keypoints_px: Float[np.ndarray, "N 3"] | None,
    settings: CleaningSettings,
    person_px: float,
) -> str | None:
    """Why the labels cannot be the person's; None if they can.

    Args:
      labels: with other people and specks removed.
      keypoints_px: u, v in pixels of `labels` and a confidence; None if unknown.
      settings: of the chain; `refuse` is not asked for here.
      person_px: side of the person's box in pixels of `labels`.
    """
    # With other people left in, a photo may hold more labels than one box does.
    alone = keypoints_px is not None and settings.others != NONE
    largest = settings.largest_share if alone else np.inf
    reason = _share(labels, settings, person_px, largest)
    reason = reason or _label_set(labels, person_px)
    if reason is not None or keypoints_px is None:
        return reason
    return _keypoints(labels, keypoints_px, settings, person_px)


def _share(
    labels: UInt8[np.ndarray, "H W"],
    settings: CleaningSettings,
    person_px: float,
    largest: float,
) -> str | None:
    """Nothing, or no more than noise; or all, as a map of the wrong background does."""
    count = np.count_nonzero(labels)
    if count == 0:
        return "shows nobody"
    # A box that leaves the photo has no labels outside.
    share = count / min(person_px**2, labels.size)
    if share < settings.smallest_share:
        return f"covers only {100 * share:.1f} % of the person's box"
    # A crop holds one box at most: there the share is one whoever is in it.
    if share > (settings.largest_share if labels.size <= person_px**2 else largest):
        return f"covers {100 * share:.0f} % of the person's box"
    return None


def _label_set(labels: UInt8[np.ndarray, "H W"], person_px: float) -> str | None:
    """One label, as a silhouette read as a label map has; or limbs of nobody."""
    counts = value_counts(labels)
    enough = minimum_pixels(person_px, person_px)
    found = {label for label in range(1, NUM_LABELS) if counts[label] > enough}
    if not found:
        return "has no label with enough pixels"
    names = ", ".join(CIHP.names[label] for label in sorted(found))
    # A taxonomy without sides leaves the limbs void: a trunk is not alone then.
    if len(found) == 1 and counts[VOID] <= enough:
        return f"has one label only: {names}"
    if found <= _EXTREMITY_NUMBERS:
        return f"has limbs without a body: {names}"
    return None


def _keypoints(
    labels: UInt8[np.ndarray, "H W"],
    keypoints_px: Float[np.ndarray, "N 3"],
    settings: CleaningSettings,
    person_px: float,
) -> str | None:
    """Keypoints elsewhere, as in another photo's map; sides the wrong way round."""
    near = settings.near_px * person_px / REFERENCE_SIDE
    confidence = settings.keypoint_confidence
    points, counts = counting_points(keypoints_px, confidence)
    if not counts.any():
        return None
    on_person = _near_foreground(labels, points[counts], near)
    if np.mean(on_person) < settings.keypoints_on_person:
        return f"misses {np.sum(~on_person)} of {len(on_person)} keypoints"
    if settings.refuse_swapped_sides and sides_are_swapped(
        labels, keypoints_px, confidence, near
    ):
        return "has left and right swapped"
    return None


def _near_foreground(
    labels: UInt8[np.ndarray, "H W"], points: Float[np.ndarray, "K 2"], near: float
) -> Bool[np.ndarray, "K"]:
    """Which points have a label within `near` pixels."""
    found = [nearest_set(labels, float(u), float(v), near) for u, v in points]
    return np.array([value != 0 for value in found])
