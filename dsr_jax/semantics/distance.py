"""The exact Euclidean distance transform, in JAX.

Separable (Felzenszwalb and Huttenlocher, "Distance Transforms of Sampled Functions",
2012): first the distance along each column, then, along each row, the lowest of the
parabolas that the columns' distances raise. Squared distances are integers, so the
result is exact; the row pass takes O(H·W²) operations but keeps only a few images in
memory, and runs a fixed program on every device.
"""

import jax
import jax.numpy as jnp

from dsr_jax.arrays import Array, Float

# Columns compared at once. More means fewer sequential steps and more work in flight.
_CHUNK = 16
# Above every squared distance, with room to add one without overflow.
_NEVER = 2**30


@jax.named_scope("distance_field")
def distance_field(mask: Float[Array, "*batch H W"]) -> Float[Array, "*batch H W"]:
    """Distance in pixels from each pixel's centre to the nearest one of the mask.

    Args:
      mask: the set is where it is greater than 0.

    Returns:
      0 inside the mask; 0 everywhere if the mask is empty, for then there is nothing to
      be far from. Constant: no derivative with respect to the mask.
    """
    height, width = mask.shape[-2:]
    inside = jax.lax.stop_gradient(mask) > 0
    # More than any distance within the image, and so kept only by an empty mask.
    beyond = height + width
    squared = _row_pass(_column_distance(inside, beyond) ** 2)
    squared = jnp.where(squared < beyond**2, squared, 0)
    return jnp.sqrt(squared.astype(mask.dtype))


def _column_distance(inside: Array, beyond: int) -> Array:
    """Distance to the nearest set pixel of the same column; `beyond` without one."""
    height = inside.shape[-2]
    axis = inside.ndim - 2
    rows = jnp.broadcast_to(
        jnp.arange(height, dtype=jnp.int32).reshape((1,) * axis + (height, 1)),
        inside.shape,
    )
    above = jax.lax.cummax(jnp.where(inside, rows, rows - beyond - height), axis)
    below = jax.lax.cummin(
        jnp.where(inside, rows, rows + beyond + height), axis, reverse=True
    )
    return jnp.minimum(jnp.minimum(rows - above, below - rows), beyond)


def _row_pass(squared: Array) -> Array:
    """The minimum over k of squared[…, k] + (j − k)², for every column j."""
    width = squared.shape[-1]
    starts = jnp.arange(0, width, _CHUNK, dtype=jnp.int32)
    padding = len(starts) * _CHUNK - width
    rest = jnp.full((*squared.shape[:-1], padding), _NEVER, jnp.int32)
    sources = jnp.moveaxis(jnp.concatenate([squared, rest], -1), -1, 0)
    sources = sources.reshape(len(starts), _CHUNK, *squared.shape[:-1])
    j = jnp.arange(width, dtype=jnp.int32)[None]
    offset = jnp.arange(_CHUNK, dtype=jnp.int32)[:, None]

    def lower(lowest: Array, chunk: tuple[Array, Array]) -> tuple[Array, None]:
        start, source = chunk
        parabola = jnp.square(j - offset - start)
        parabola = parabola.reshape(_CHUNK, *(1,) * (squared.ndim - 1), width)
        return jnp.minimum(lowest, jnp.min(source[..., None] + parabola, 0)), None

    beginning = jnp.full(squared.shape, _NEVER, jnp.int32)
    return jax.lax.scan(lower, beginning, (starts, sources))[0]
