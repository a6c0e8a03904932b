"""Random draws: a stream of numbers from one key, and smooth fields of them.

A generator call of its own for every number would make a program of a hundred of them:
minutes of compilation. A `Draws` makes its numbers in one call and hands them out.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np

from dsr_jax.arrays import Array, Float, Int, Key

# Uniform numbers are kept this far from 0 and 1, where a normal one would be infinite.
_MARGIN = 1e-6


class Draws:
    """`count` random numbers of one key, each used once, in the order of the code."""

    def __init__(self, key: Key[Array, ""], count: int):
        self._values = jax.random.uniform(key, (count,))
        self._used = 0

    def unit(self, *shape: int) -> Float[Array, "*shape"]:
        """Uniform in [0, 1).

        Raises:
          ValueError: more numbers are asked for than there are.
        """
        first, self._used = self._used, self._used + math.prod(shape)
        if self._used > len(self._values):
            raise ValueError(f"{self._used} draws of {len(self._values)}")
        return self._values[first : self._used].reshape(shape)

    def uniform(
        self, bounds: tuple[float | Array, float | Array], *shape: int
    ) -> Float[Array, "*shape"]:
        """Uniform between the bounds."""
        low, high = bounds
        return low + (high - low) * self.unit(*shape)

    def normal(self, *shape: int) -> Float[Array, "*shape"]:
        """Standard normal."""
        centred = 2 * jnp.clip(self.unit(*shape), _MARGIN, 1 - _MARGIN) - 1
        return np.sqrt(2).astype(np.float32) * jax.scipy.special.erfinv(centred)

    def chance(self, probability: float | Array) -> Float[Array, ""]:
        """1 with the probability given, else 0."""
        return (self.unit() < probability).astype(jnp.float32)

    def integer(self, count: int, *shape: int) -> Int[Array, "*shape"]:
        """Uniform in 0 … count − 1."""
        drawn = jnp.floor(count * self.unit(*shape)).astype(jnp.int32)
        return jnp.minimum(drawn, count - 1)

    def choice(
        self, weights: tuple[tuple[str, float], ...], names: tuple[str, ...]
    ) -> Int[Array, ""]:
        """An index into `names`, drawn by the weights given to the names."""
        table = np.zeros(len(names))
        for name, weight in weights:
            table[names.index(name)] += weight
        cumulative = np.cumsum(table / table.sum()).astype(np.float32)
        return jnp.minimum(jnp.sum(self.unit() >= cumulative), len(names) - 1)


def smooth_field(
    values: Float[Array, "C C"], shape: tuple[int, ...]
) -> Float[Array, "H W"]:
    """A grid of values over an image of `shape` (H, W), linearly interpolated."""
    cells = values.shape[-1]
    rows, columns = (_interpolation(size, cells) for size in shape)
    return rows @ values @ columns.T


def _interpolation(size: int, cells: int) -> Float[np.ndarray, "S C"]:
    """Matrix of linear interpolation from `cells` knots to `size` pixels."""
    position = np.linspace(0, cells - 1, size)
    distance = np.abs(position[:, None] - np.arange(cells)[None, :])
    return np.maximum(1 - distance, 0).astype(np.float32)


def numbered_keys(
    key: Key[Array, ""], first: int | Array, count: int
) -> Key[Array, " N"]:
    """Keys of the numbers from `first` on, each the same whatever `count` is."""
    numbers = first + jnp.arange(count)
    return jax.vmap(jax.random.fold_in, in_axes=(None, 0))(key, numbers)
