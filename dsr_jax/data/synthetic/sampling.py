"""Random draws that every sampler of this package uses."""

import jax
import jax.numpy as jnp
import numpy as np

from dsr_jax.arrays import Array, Float, Int, Key


def uniform(key: Key[Array, ""], bounds: tuple[float, float]) -> Float[Array, ""]:
    """One number between the bounds."""
    return jax.random.uniform(key, (), minval=bounds[0], maxval=bounds[1])


def chance(key: Key[Array, ""], probability: float | Array) -> Float[Array, ""]:
    """1 with the probability given, else 0."""
    return (jax.random.uniform(key, ()) < probability).astype(jnp.float32)


def choice(
    key: Key[Array, ""], weights: tuple[tuple[str, float], ...], names: tuple[str, ...]
) -> Int[Array, ""]:
    """An index into `names`, drawn by the weights of the names; others never."""
    table = np.zeros(len(names))
    for name, weight in weights:
        table[names.index(name)] += weight
    cumulative = np.cumsum(table / table.sum()).astype(np.float32)
    drawn = jax.random.uniform(key, ())
    return jnp.minimum(jnp.sum(drawn >= cumulative), len(names) - 1)
