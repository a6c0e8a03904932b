"""Guarded operations, the masked mean and the precision policy.

Every guard acts on the *argument* of the operation, element by element, so that neither
the value nor the derivative of a singular element can reach its neighbours.
"""

import jax
import jax.numpy as jnp

from dsr_jax.arrays import Array, Bool, Float

# Geometry keeps all 24 bits: the default on Hopper GPUs is TF32, whose 10 bits are an
# error of about half a millimetre a metre.
GEOMETRY_PRECISION = jax.lax.Precision.HIGHEST


def geometry_einsum(subscripts: str, *operands: Array) -> Array:
    """`jnp.einsum` in full float32, for everything measured in metres."""
    return jnp.einsum(subscripts, *operands, precision=GEOMETRY_PRECISION)


def safe_sqrt(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Square root of max(x, 0), with derivative 0 where x ≤ 0; NaN stays NaN."""
    clipped = x <= 0
    return jnp.where(clipped, 0, jnp.sqrt(jnp.where(clipped, 1, x)))


def safe_norm(x: Float[Array, "*shape D"], axis: int = -1) -> Float[Array, "..."]:
    """Euclidean norm along `axis`, with derivative 0 at the zero vector."""
    return safe_sqrt(jnp.sum(jnp.square(x), axis=axis))


def safe_divide(
    numerator: Float[Array, "..."], denominator: Float[Array, "..."]
) -> Float[Array, "..."]:
    """Quotient, and 0 with derivative 0 where the denominator is 0."""
    nonzero = denominator != 0
    quotient = numerator / jnp.where(nonzero, denominator, 1)
    return jnp.where(nonzero, quotient, 0)


def safe_normalize(x: Float[Array, "*shape D"]) -> Float[Array, "*shape D"]:
    """Unit vector along the last axis; the zero vector stays zero."""
    return safe_divide(x, safe_norm(x)[..., None])


def masked_mean(
    values: Float[Array, "..."],
    where: Float[Array, "..."] | Bool[Array, "..."],
    axis: int | tuple[int, ...] | None = None,
) -> Float[Array, "..."]:
    """Weighted mean over `axis`: masked equals dropped, nothing left gives 0.

    Args:
      values: any shape; entries of weight 0 may hold anything finite.
      where: weights or booleans, broadcastable to `values`.
      axis: the axes that are averaged; all by default.

    Returns:
      Σ where·values / Σ where, and 0 with a zero gradient where Σ where = 0.
    """
    weights = jnp.broadcast_to(jnp.asarray(where, values.dtype), values.shape)
    total = masked_sum(values, weights, axis)
    return safe_divide(total, jnp.sum(weights, axis=axis))


def masked_sum(
    values: Float[Array, "..."],
    where: Float[Array, "..."] | Bool[Array, "..."],
    axis: int | tuple[int, ...] | None = None,
) -> Float[Array, "..."]:
    """Σ where·values over `axis`; what has weight 0 has no gradient either."""
    weights = jnp.broadcast_to(jnp.asarray(where, values.dtype), values.shape)
    kept = jnp.where(weights != 0, values, 0)
    return jnp.sum(weights * kept, axis=axis)
