"""Whether a label map calls the person's left what the keypoints call right."""

import numpy as np

from dsr_jax.arrays import Float, UInt8
from dsr_jax.semantics.cleaning.nearby import values_around
from dsr_jax.semantics.cleaning.skeleton import sided_keypoints
from dsr_jax.semantics.taxonomy import CIHP

# Keypoints in the middle of what a parser labels by side, and those labels.
_PARTS = (
    (("elbow", "wrist"), ("arm",)),
    (("knee", "ankle"), ("leg", "shoe")),
)
# A keypoint takes a side if this many times more pixels around it are of that side:
# crossed limbs and folded arms say nothing.
_MAJORITY = 4


def sides_are_swapped(
    labels: UInt8[np.ndarray, "H W"],
    keypoints_px: Float[np.ndarray, "N 3"],
    confidence: float,
    radius: float,
) -> bool:
    """Whether keypoints of both sides lie on the other side's labels, none on its own.

    So it is where a label image was mirrored without swapping its sides, as the
    released code does. Limbs that a garment covers have no label with a side, and no
    vote.

    Args:
      labels: the person's.
      keypoints_px: of a known layout (25, 24 or 49); others have no sides.
      confidence: keypoints count if theirs is greater than this.
      radius: pixels around a keypoint that are looked at.
    """
    agreeing, opposing = [0, 0], [0, 0]
    for names, parts in _PARTS:
        sides = sided_keypoints(len(keypoints_px), names)
        own = [[CIHP.index(f"{s}-{p}") for p in parts] for s in ("right", "left")]
        for side, numbers in enumerate((sides.right, sides.left)):
            for u, v, weight in keypoints_px[list(numbers)]:
                if weight <= confidence:
                    continue
                around = values_around(labels, float(u), float(v), radius)
                same, other = (around[own[s]].sum() for s in (side, 1 - side))
                agreeing[side] += bool(same > _MAJORITY * other)
                opposing[side] += bool(other > _MAJORITY * same)
    return min(opposing) > 0 and sum(agreeing) == 0
