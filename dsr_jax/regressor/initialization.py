"""Random weights for a whole network in one draw.

XLA compiles a random draw anew for every shape, about a second each: a ResNet-18 has 20
shapes and took 13 s of processor time to start; all its weights in one draw take 1 s.
"""

import functools
import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import nnx

from dsr_jax.arrays import Array, Key


def fill_normal(
    kernels: Sequence[nnx.Param], deviations: Sequence[float], key: Key[Array, ""]
) -> None:
    """Overwrites each kernel by independent normals of mean 0 and its deviation."""
    _fill(kernels, deviations, _draw(key, _shapes(kernels), "normal"))


def fill_uniform(
    kernels: Sequence[nnx.Param], bounds: Sequence[float], key: Key[Array, ""]
) -> None:
    """Overwrites each kernel by independent uniform values between ∓ its bound."""
    _fill(kernels, bounds, _draw(key, _shapes(kernels), "uniform"))


def _shapes(kernels: Sequence[nnx.Param]) -> tuple[tuple[int, ...], ...]:
    return tuple(kernel.shape for kernel in kernels)


def _fill(
    kernels: Sequence[nnx.Param], scales: Sequence[float], standard: list[Array]
) -> None:
    for kernel, scale, values in zip(kernels, scales, standard, strict=True):
        kernel[...] = scale * values


@functools.partial(jax.jit, static_argnames=("shapes", "distribution"))
def _draw(
    key: Key[Array, ""], shapes: tuple[tuple[int, ...], ...], distribution: str
) -> list[Array]:
    """Standard normal values, or uniform ones in [−1, 1), in these shapes."""
    sizes = [math.prod(shape) for shape in shapes]
    if distribution == "normal":
        flat = jax.random.normal(key, (sum(sizes),), jnp.float32)
    else:
        flat = jax.random.uniform(key, (sum(sizes),), jnp.float32, -1.0, 1.0)
    ends = [sum(sizes[: i + 1]) for i in range(len(sizes) - 1)]
    parts = jnp.split(flat, ends)
    return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]
