"""Guards: values, derivatives at the singular point, and no leak to neighbours."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dsr_jax.numerics import (
    masked_mean,
    safe_divide,
    safe_norm,
    safe_normalize,
    safe_sqrt,
)


def test_safe_functions_in_a_mixed_batch():
    x = jnp.asarray([[0.0, 0.0], [3.0, 4.0]])
    np.testing.assert_allclose(safe_norm(x), [0, 5])
    np.testing.assert_allclose(safe_normalize(x), [[0, 0], [0.6, 0.8]])
    gradient = jax.grad(lambda x: jnp.sum(safe_norm(x)))(x)
    np.testing.assert_allclose(gradient, [[0, 0], [0.6, 0.8]], atol=1e-7)
    assert np.isfinite(jax.jacobian(safe_normalize)(x)).all()


def test_safe_sqrt_and_divide():
    x = jnp.asarray([-1.0, 0.0, 4.0])
    np.testing.assert_allclose(safe_sqrt(x), [0, 0, 2])
    np.testing.assert_allclose(
        jax.grad(lambda x: jnp.sum(safe_sqrt(x)))(x), [0, 0, 0.25]
    )
    one = jnp.ones(3)
    np.testing.assert_allclose(safe_divide(one, x), [-1, 0, 0.25])
    gradient = jax.grad(lambda x: jnp.sum(safe_divide(one, x)))(x)
    np.testing.assert_allclose(gradient, [-1, 0, -1 / 16])


@pytest.mark.parametrize("axis", [None, 0, 1, (0, 1)])
def test_masked_equals_dropped(axis):
    rng = np.random.default_rng(0)
    values = rng.normal(size=(4, 5)).astype(np.float32)
    weights = rng.uniform(size=(4, 5)).astype(np.float32)
    weights[1] = 0
    poisoned = values.copy()
    poisoned[1] = 1e30
    expected = np.sum(values * weights, axis) / np.maximum(np.sum(weights, axis), 1e-30)
    result = masked_mean(jnp.asarray(poisoned), jnp.asarray(weights), axis=axis)
    np.testing.assert_allclose(result, expected, rtol=1e-5)


def test_all_masked_is_zero_with_zero_gradient():
    value, gradient = jax.value_and_grad(
        lambda v: masked_mean(v, jnp.zeros(3, dtype=bool))
    )(jnp.ones(3))
    assert value == 0
    np.testing.assert_array_equal(gradient, 0)
