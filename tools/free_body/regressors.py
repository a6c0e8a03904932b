"""Sparse rows that read joints off the vertices of a person in the rest pose."""

import numpy as np
from scipy.optimize import nnls

from dsr_jax.body.skeleton import JOINT_FLIP, JOINT_NAMES

# Vertices around a joint that may take part in it.
_CANDIDATES = 320
# In the least squares: how much a sum of weights other than 1 costs, and how much
# uneven weights cost, both against errors in metres.
_SUM_WEIGHT, _RIDGE = 10.0, 1e-3
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
            middle = not name.startswith("left_")
            regressor[joint] = _fit_row(people, joints[:, joint], mirror, middle)
    for joint, name in enumerate(JOINT_NAMES):
        if name.startswith("right_"):
            regressor[joint] = regressor[JOINT_FLIP[joint]][mirror]
    return regressor


def _fit_row(
    people: np.ndarray, target: np.ndarray, mirror: np.ndarray, middle: bool
) -> np.ndarray:
    distance = np.linalg.norm(people.mean(0) - target.mean(0), axis=1)
    near = np.argsort(distance, kind="stable")[:_CANDIDATES]
    if middle:
        near = np.unique(np.concatenate([near, mirror[near]]))
    weights = np.zeros(people.shape[1])
    weights[near] = _nonnegative_fit(people[:, near], target)
    if middle:
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
