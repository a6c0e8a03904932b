"""Which library computes: NumPy in float64 for NumPy arrays, else JAX as they are.

Numbers that are reported are made on the host in float64: in float32, errors of a
millimetre between people a metre from the origin keep five digits, and after Procrustes
alignment four; `docs/evaluation.md` has the figures. JAX arrays and tracers stay on
their device in their own precision.
"""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import jax.numpy as jnp
import numpy as np

from dsr_jax.arrays import ArrayLike
from dsr_jax.numerics import geometry_einsum, safe_norm


def one_library(*arrays: ArrayLike) -> tuple[ModuleType, list[Any]]:
    """NumPy and float64 arrays if all are NumPy's, else `jax.numpy` and JAX arrays."""
    if all(isinstance(array, np.ndarray) for array in arrays):
        return np, [np.asarray(array, np.float64) for array in arrays]
    return jnp, [jnp.asarray(array) for array in arrays]


def einsum_of(library: ModuleType) -> Callable[..., Any]:
    """Its `einsum`, in full precision."""
    return np.einsum if library is np else geometry_einsum


def lengths(library: ModuleType, vectors: Any) -> Any:
    """Euclidean norms along the last axis; JAX's have derivative 0 at zero."""
    if library is np:
        return np.sqrt(np.sum(np.square(vectors), axis=-1))
    return safe_norm(vectors)
