"""Rotations: against scipy, at the singular points, and their derivatives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from dsr_jax.rotations import (
    axis_angle_to_matrix,
    matrix_to_axis_angle,
    matrix_to_rotation_6d,
    rotation_6d_to_matrix,
)

# Zero, tiny, ordinary, nearly and exactly a half turn, more than one turn.
ANGLES = [0.0, 1e-12, 1e-5, 1e-2, 0.5, 2.0, np.pi - 1e-6, np.pi, 4.0, 7.0]


def vectors() -> np.ndarray:
    axes = np.random.default_rng(0).normal(size=(len(ANGLES), 5, 3))
    axes[:, :3] = np.eye(3)
    axes /= np.linalg.norm(axes, axis=-1, keepdims=True)
    return axes * np.array(ANGLES)[:, None, None]


def test_axis_angle_agrees_with_scipy(float64):
    vector = vectors()
    expected = Rotation.from_rotvec(vector.reshape(-1, 3)).as_matrix()
    matrix = axis_angle_to_matrix(jnp.asarray(vector))
    np.testing.assert_allclose(matrix.reshape(-1, 3, 3), expected, atol=1e-14)


@pytest.mark.parametrize("dtype, tolerance", [(jnp.float32, 2e-6), (jnp.float64, 1e-9)])
def test_axis_angle_round_trip(dtype, tolerance, float64):
    matrix = axis_angle_to_matrix(jnp.asarray(vectors(), dtype))
    vector = matrix_to_axis_angle(matrix)
    assert vector.dtype == dtype
    assert np.linalg.norm(vector, axis=-1).max() <= np.pi + 1e-6
    np.testing.assert_allclose(axis_angle_to_matrix(vector), matrix, atol=tolerance)


def test_derivative_at_and_near_zero_in_a_batch(float64):
    """At 0 the derivative of R is the cross-product matrix, exactly and finitely."""
    batch = jnp.asarray([[0.0, 0, 0], [1e-9, 0, 0], [0.3, -0.2, 0.5]])
    jacobian = jax.vmap(jax.jacobian(axis_angle_to_matrix))(batch)
    cross = np.zeros((3, 3, 3))
    for i, j, k, sign in [(0, 1, 2, -1), (0, 2, 1, 1), (1, 2, 0, -1)]:
        cross[i, j, k], cross[j, i, k] = sign, -sign
    np.testing.assert_allclose(jacobian[0], cross, atol=1e-15)
    np.testing.assert_allclose(jacobian[1], cross, atol=1e-8)
    h = 1e-6
    for k in range(3):
        step = jnp.zeros(3).at[k].set(h)
        numeric = axis_angle_to_matrix(batch[2] + step) - axis_angle_to_matrix(
            batch[2] - step
        )
        np.testing.assert_allclose(jacobian[2, ..., k], numeric / (2 * h), atol=1e-9)


def test_round_trip_is_the_identity_to_first_order_at_rest(float64):
    there_and_back = jax.jacobian(
        lambda v: matrix_to_axis_angle(axis_angle_to_matrix(v))
    )
    np.testing.assert_allclose(there_and_back(jnp.zeros(3)), np.eye(3), atol=1e-12)


def test_rotation_6d_is_the_first_two_columns_row_by_row(float64):
    matrix = axis_angle_to_matrix(jnp.asarray([0.3, -1.0, 0.6]))
    six = matrix_to_rotation_6d(matrix)
    expected = [matrix[0, 0], matrix[0, 1], matrix[1, 0], matrix[1, 1]]
    np.testing.assert_array_equal(six[:4], expected)
    np.testing.assert_allclose(rotation_6d_to_matrix(six), matrix, atol=1e-15)


def test_rotation_6d_of_anything_is_a_rotation():
    rng = np.random.default_rng(1)
    six = rng.normal(size=(50, 6)).astype(np.float32)
    six[0] = 0
    six[1] = [1, 2, 1, 2, 1, 2]  # parallel columns
    six[2, ::2] = 0
    six[3] *= 1e-6
    matrix = np.asarray(rotation_6d_to_matrix(jnp.asarray(six)))
    product = np.einsum("nij,nik->njk", matrix, matrix)
    np.testing.assert_allclose(
        product, np.broadcast_to(np.eye(3), product.shape), atol=2e-6
    )
    np.testing.assert_allclose(np.linalg.det(matrix), 1, atol=2e-6)


def test_rotation_6d_gradient_is_finite_at_degenerate_input():
    six = jnp.zeros((2, 6)).at[1].set(jnp.asarray([1.0, 0, 0, 1, 0, 0]))
    gradient = jax.grad(lambda s: jnp.sum(rotation_6d_to_matrix(s) ** 3))(six)
    assert np.isfinite(gradient).all()
