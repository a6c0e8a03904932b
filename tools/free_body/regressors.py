"""Sparse rows that read joints off the vertices of a person in the rest pose."""

import numpy as np
from scipy.optimize import nnls

from dsr_jax.body.skeleton import JOINT_FLIP, JOINT_NAMES

# Vertices around a joint that may take part in it: a ring across the bone, so that the
# joint lies within their hull also where one side of the body is much nearer.
_CANDIDATES = 320
_ACROSS = 0.3
# Axis (x, y or z) along which the bone at a joint runs in the rest pose; y by default.
_ARM = ("collar", "shoulder", "elbow", "wrist", "hand")
_BONE_AXIS = dict.fromkeys(_ARM, 0) | {"foot": 2}
# In the least squares: how much a sum of weights other than 1 costs, and how much
# uneven weights cost, both against errors in metres.
_SUM_WEIGHT, _RIDGE = 10.0, 1e-2
_SMALLEST_WEIGHT = 1e-3


def fit_joint_regressor(
    people: np.ndarray, joints: np.ndarray, mirror: np.ndarray
) -> np.ndarray:
    """Non-negative rows (24, V) that sum to 1, mirror symmetric.

    Args:
      people: (N, V, 3) in the rest pose, metres, symmetric.
      joints: (N, 24, 3) where their joints are.
      mirror: (V,) partner of each vertex.
    """
    regressor = np.zeros((len(JOINT_NAMES), people.shape[1]))
    for joint, name in enumerate(JOINT_NAMES):
        if not name.startswith("right_"):
            side, _, part = name.rpartition("_")
            near = _ring(people, joints[:, joint], _BONE_AXIS.get(part, 1))
            regressor[joint] = _fit_row(
                people, joints[:, joint], near, None if side else mirror
            )
    for joint, name in enumerate(JOINT_NAMES):
        if name.startswith("right_"):
            regressor[joint] = regressor[JOINT_FLIP[joint]][mirror]
    return regressor


def _ring(people: np.ndarray, target: np.ndarray, axis: int) -> np.ndarray:
    """The vertices nearest to a joint, distances across the bone counting less."""
    offset = people.mean(0) - target.mean(0)
    across = np.linalg.norm(np.delete(offset, axis, axis=1), axis=1)
    distance = np.abs(offset[:, axis]) + _ACROSS * across
    return np.argsort(distance, kind="stable")[:_CANDIDATES]


def _fit_row(
    people: np.ndarray,
    target: np.ndarray,
    near: np.ndarray,
    mirror: np.ndarray | None,
) -> np.ndarray:
    """One row (V,); symmetric in itself if a mirror is given."""
    if mirror is not None:
        near = np.unique(np.concatenate([near, mirror[near]]))
    weights = np.zeros(people.shape[1])
    weights[near] = _nonnegative_fit(people[:, near], target)
    if mirror is not None:
        weights = (weights + weights[mirror]) / 2
    weights[weights < _SMALLEST_WEIGHT] = 0
    return weights / weights.sum()


def _nonnegative_fit(points: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Weights w ≥ 0 of sum 1 with Σ w·points ≈ target, points (N, K, 3)."""
    count, size, _ = points.shape
    scale = np.sqrt(count)
    equations = np.vstack(
        [
            points.transpose(0, 2, 1).reshape(-1, size),
            _SUM_WEIGHT * scale * np.ones((1, size)),
            _RIDGE * scale * np.eye(size),
        ]
    )
    wanted = np.concatenate([target.reshape(-1), [_SUM_WEIGHT * scale], np.zeros(size)])
    # The normal equations' Cholesky factor has the same solution and `size` rows only.
    square = np.linalg.cholesky(equations.T @ equations).T
    right = np.linalg.solve(square.T, equations.T @ wanted)
    return nnls(square, right, maxiter=100 * size)[0]
