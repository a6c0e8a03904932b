import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage

from dsr_jax.semantics import distance_field

field_of = jax.jit(distance_field)


def masks(height, width):
    random = np.random.default_rng(height * width)
    single = np.zeros((height, width))
    single[-1, 0] = 1
    return np.stack(
        [
            random.random((height, width)) < 0.5,
            random.random((height, width)) < 0.01,
            single,
            np.ones((height, width)),
            np.indices((height, width))[1] == width - 1,
        ]
    ).astype(np.float32)


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (37, 1), (16, 16), (33, 70)])
def test_equals_scipy(size):
    given = masks(*size)
    given = given[given.any((1, 2))]
    expected = [scipy.ndimage.distance_transform_edt(mask == 0) for mask in given]
    field = field_of(jnp.asarray(given))
    assert field.dtype == jnp.float32
    # Squared distances are exact integers: only the root is rounded.
    np.testing.assert_allclose(np.asarray(field), expected, rtol=2e-7, atol=0)


def test_an_empty_mask_in_a_batch_is_zero_everywhere():
    given = np.zeros((2, 3, 20, 24), np.float32)
    given[0, 1, 5, 7] = 0.25
    field = np.array(field_of(jnp.asarray(given)))
    expected = scipy.ndimage.distance_transform_edt(given[0, 1] == 0)
    np.testing.assert_allclose(field[0, 1], expected, rtol=2e-7)
    field[0, 1] = 0
    np.testing.assert_array_equal(field, 0)


def test_is_constant_for_the_gradient():
    mask = jnp.asarray(masks(8, 9)[1] + masks(8, 9)[2])
    gradient = jax.grad(lambda m: jnp.sum(field_of(m)))(mask)
    np.testing.assert_array_equal(np.asarray(gradient), 0)
