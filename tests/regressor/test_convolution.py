import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dsr_jax.regressor.convolution import convolve, max_pool
from tests.regressor import reference

# Kernel, stride and image: both formulations, odd and even sizes, larger and smaller
# than the kernel.
CASES = [
    (3, 1, (2, 2)),
    (3, 2, (4, 4)),
    (3, 2, (3, 5)),
    (3, 1, (7, 6)),
    (3, 2, (9, 8)),
    (1, 1, (5, 4)),
    (1, 2, (5, 4)),
    (7, 2, (6, 9)),
    (7, 2, (17, 20)),
]


def _inputs(size, image):
    random = np.random.default_rng(size)
    return random.normal(size=(2, *image, 3)), random.normal(size=(4, 3, size, size))


@pytest.mark.parametrize(("size", "stride", "image"), CASES)
def test_convolution_matches_its_definition(size, stride, image):
    x, weight = _inputs(size, image)
    result = convolve(
        jnp.asarray(x, jnp.float32),
        jnp.asarray(weight.transpose(2, 3, 1, 0), jnp.float32),
        stride,
        size // 2,
    )
    expected = reference.convolve(x, weight, stride, size // 2)
    # 147 products of order 1 in float32.
    np.testing.assert_allclose(result, expected, rtol=0, atol=3e-5)


@pytest.mark.parametrize(("size", "stride", "image"), [CASES[1], CASES[6]])
def test_patches_have_the_derivative_of_the_convolution(size, stride, image, float64):
    x, weight = _inputs(size, image)
    kernel = weight.transpose(2, 3, 1, 0)
    gradients = jax.grad(
        lambda x, k: jnp.sum(jnp.sin(convolve(x, k, stride, size // 2))), (0, 1)
    )(jnp.asarray(x), jnp.asarray(kernel))

    def loss(x, k):
        weight = k.transpose(3, 2, 0, 1)
        return np.sum(np.sin(reference.convolve(x, weight, stride, size // 2)))

    random = np.random.default_rng(1)
    for i, gradient in enumerate(gradients):
        direction = random.normal(size=gradient.shape)
        moved = [[x, kernel], [x, kernel]]
        moved[0][i] = moved[0][i] + 1e-6 * direction
        moved[1][i] = moved[1][i] - 1e-6 * direction
        slope = (loss(*moved[0]) - loss(*moved[1])) / 2e-6
        np.testing.assert_allclose(np.sum(gradient * direction), slope, rtol=1e-6)


@pytest.mark.parametrize("image", [(1, 1), (2, 3), (7, 8)])
def test_max_pool_matches_its_definition(image):
    x = np.random.default_rng(0).normal(size=(2, *image, 3)) - 5
    expected = reference.max_pool(x)
    result = max_pool(jnp.asarray(x, jnp.float32))
    np.testing.assert_array_equal(result, expected.astype(np.float32))


def test_max_pool_sends_the_gradient_to_the_maximum():
    x = np.random.default_rng(0).permutation(49).reshape(1, 7, 7, 1)
    gradient = jax.grad(lambda x: jnp.sum(max_pool(x)))(jnp.asarray(x, jnp.float32))
    counts = np.zeros((1, 7, 7, 1))
    for value in reference.max_pool(x.astype(float)).ravel():
        counts[x == value] += 1
    np.testing.assert_array_equal(gradient, counts)
