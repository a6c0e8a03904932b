"""The weak camera that puts known 3D points on their keypoints, in closed form."""

import numpy as np

from dsr_jax.arrays import Float
from dsr_jax.camera import FOCAL_NDC

# Three unknowns from two equations a point; more, so that one wrong point shows.
FEWEST_POINTS = 4
# The scale that perspective is undone with comes from the step before.
_STEPS = 5


def fit_weak_camera(
    points_cam: Float[np.ndarray, "N 3"], keypoints_ndc: Float[np.ndarray, "N 3"]
) -> Float[np.ndarray, "3"] | None:
    """Least squares over the keypoints, weighted by their confidence.

    With the depth Z and scale s, a point lies at x = s (X + tx) / (1 + s Z / F) and
    y = -s (Y + ty) / (1 + s Z / F), see `project_weak_to_ndc`. For s of the step before
    in the divisor this is linear in (s, s tx, s ty).

    Args:
      points_cam: metres, camera axes, around the body's origin.
      keypoints_ndc: of the same points: NDC of the crop, and confidence.

    Returns:
      [s, tx, ty]; None if too few keypoints are there, or all at one place.
    """
    counts = keypoints_ndc[:, 2] > 0
    if counts.sum() < FEWEST_POINTS:
        return None
    points = np.asarray(points_cam, np.float64)[counts]
    x, y, confidence = np.asarray(keypoints_ndc, np.float64)[counts].T
    zero, one = np.zeros(len(points)), np.ones(len(points))
    rows = np.concatenate(
        [
            np.stack([points[:, 0], one, zero], 1),
            np.stack([points[:, 1], zero, one], 1),
        ]
    )
    weights = np.sqrt(np.tile(confidence, 2))
    scale, solution = 0.0, np.zeros(3)
    for _ in range(_STEPS):
        undone = 1 + scale * points[:, 2] / FOCAL_NDC
        target = np.concatenate([x * undone, -y * undone])
        weighted = weights[:, None] * rows
        solution, _, rank, _ = np.linalg.lstsq(weighted, weights * target, rcond=None)
        scale = float(solution[0])
        if rank < 3 or scale <= 0:
            return None
    return np.array([scale, *(solution[1:] / scale)])
