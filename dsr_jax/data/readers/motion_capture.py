"""Tables of recordings with one person, whose joints are known in 2D and 3D."""

import numpy as np

from dsr_jax.arrays import Float
from dsr_jax.data.readers.joint_orders import rows_of_24, rows_of_49
from dsr_jax.data.readers.table import to_float32

_PELVIS = "pelvis_mpii"


def root_centred_metres(
    joints_mm: Float[np.ndarray, "N K 3"], columns: dict[str, int]
) -> Float[np.ndarray, "N J 4"]:
    """The used joints about the pelvis, metres, with confidence 1; as SPIN keeps them.

    Args:
      joints_mm: all of the data set's joints, camera axes, millimetres.
      columns: name → column of the used ones.
    """
    used = joints_mm[:, list(columns.values())] / 1000
    centred = used - used[:, [list(columns).index(_PELVIS)]]
    return _with_confidence(centred)


def used_keypoints(
    joints_px: Float[np.ndarray, "N K 2"], columns: dict[str, int]
) -> Float[np.ndarray, "N J 3"]:
    """The used 2D joints with confidence 1."""
    return _with_confidence(joints_px[:, list(columns.values())])


def rows_of(columns: dict[str, int]) -> dict[str, np.ndarray]:
    """`keypoint_rows` and `joint_rows` of a table of these joints."""
    return {"keypoint_rows": rows_of_49(columns), "joint_rows": rows_of_24(columns)}


def keypoint_box(
    keypoints_px: Float[np.ndarray, "N J 3"], growth: float
) -> tuple[Float[np.ndarray, "N 2"], Float[np.ndarray, "N"]]:
    """Centre and side of the square around the joints, the side grown."""
    low, high = keypoints_px[..., :2].min(1), keypoints_px[..., :2].max(1)
    return (low + high) / 2, growth * (high - low).max(1)


def inside(
    keypoints_px: Float[np.ndarray, "N J 3"], image_size: tuple[int, int]
) -> np.ndarray:
    """Whether all joints lie in the photo of (H, W) pixels: 0 ≤ u < W, 0 ≤ v < H."""
    height, width = image_size
    points = keypoints_px[..., :2]
    return np.all((points >= 0) & (points < [width, height]), axis=(1, 2))


def _with_confidence(points: np.ndarray) -> np.ndarray:
    ones = np.ones((*points.shape[:-1], 1))
    return to_float32(np.concatenate([points, ones], -1))
