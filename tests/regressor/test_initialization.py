import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from dsr_jax.regressor.initialization import fill_normal, fill_uniform

SHAPES = [(50, 40), (3, 3, 20, 10), (2000,)]


def _filled(fill, scales):
    kernels = [nnx.Param(jnp.zeros(shape)) for shape in SHAPES]
    fill(kernels, scales, jax.random.key(0))
    return [np.asarray(kernel[...]) for kernel in kernels]


def test_normal_values_have_their_deviation():
    first, second, third = _filled(fill_normal, [0.5, 2.0, 1.0])
    # 2000 samples: mean and deviation are within 4 standard errors.
    for values, deviation in ((first, 0.5), (second, 2.0), (third, 1.0)):
        assert abs(values.mean()) < 4 * deviation / np.sqrt(1800)
        assert abs(values.std() / deviation - 1) < 4 / np.sqrt(2 * 1800)
    # No kernel repeats a part of another.
    assert abs(np.corrcoef(first.ravel(), third)[0, 1]) < 0.1


def test_uniform_values_fill_their_interval():
    for values, bound in zip(
        _filled(fill_uniform, [0.1, 1.0, 3.0]), [0.1, 1.0, 3.0], strict=True
    ):
        assert -bound <= values.min() < -0.99 * bound
        assert 0.99 * bound < values.max() <= bound


def test_the_key_decides():
    kernels = [nnx.Param(jnp.zeros(5)) for _ in range(3)]
    for kernel, seed in zip(kernels, (0, 0, 1), strict=True):
        fill_normal([kernel], [1.0], jax.random.key(seed))
    np.testing.assert_array_equal(kernels[0][...], kernels[1][...])
    assert np.abs(kernels[0][...] - kernels[2][...]).max() > 0.1
