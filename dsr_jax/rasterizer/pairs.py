"""Lists every (face, tile) pair that can touch, and folds a computation over the list.

There is no capacity: faces are laid out one after the other, each taking as many places
as its bounding box has tiles, and a loop with a dynamic trip count walks the places in
chunks of a fixed size. Nothing is truncated, for any mesh at any zoom; memory is that
of one chunk.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from dsr_jax.rasterizer.grid import TileGrid

# Places in the list are int32; rows are taken in blocks that can't exceed this.
_MAX_PLACES = 2**31 - 1


class TileSpans(NamedTuple):
    """For each row (one face of one image): the tiles its bounding box touches."""

    left: jax.Array  # (R,) first tile column
    top: jax.Array  # (R,) first tile row
    width: jax.Array  # (R,) tile columns, at least 1
    tiles: jax.Array  # (R,) how many; 0 for a face that draws nothing


class Pairs(NamedTuple):
    """One chunk of K pairs."""

    row: jax.Array  # (K,) which face of which image
    tile: jax.Array  # (K,) tile in its image
    image: jax.Array  # (K,) which image
    slot: jax.Array  # (K,) tile among all images' tiles; out of range for a filler


def tile_spans(
    corners: jax.Array, keep: jax.Array, grid: TileGrid, radius: float
) -> TileSpans:
    """Tiles of the bounding box grown by `radius` (NDC).

    Args:
      corners: (9, R) screen corners, finite.
      keep: (R,) faces that draw something.
      grid: the tiles.
      radius: how far beyond its boundary a face reaches.
    """
    x, y = corners[0::3], corners[1::3]
    height, width = grid.image_size
    shorter = min(height, width)

    def column(ndc: jax.Array) -> jax.Array:
        return (ndc * shorter + (width - 1)) / 2

    def row(ndc: jax.Array) -> jax.Array:
        return ((height - 1) - ndc * shorter) / 2

    # A hundredth of a pixel covers the rounding of these lines; the exact test of every
    # pixel follows later.
    left, right = column(x.min(0) - radius) - 0.01, column(x.max(0) + radius) + 0.01
    top, bottom = row(y.max(0) + radius) - 0.01, row(y.min(0) - radius) + 0.01
    seen = keep & (right >= 0) & (left <= width - 1)
    seen &= (bottom >= 0) & (top <= height - 1)

    def tile(pixel: jax.Array, size: int) -> jax.Array:
        return jnp.clip(pixel, 0, size - 1).astype(jnp.int32) // grid.tile

    first_column, first_row = tile(jnp.ceil(left), width), tile(jnp.ceil(top), height)
    columns = tile(jnp.floor(right), width) - first_column + 1
    rows = tile(jnp.floor(bottom), height) - first_row + 1
    seen &= (columns > 0) & (rows > 0)
    return TileSpans(
        left=first_column,
        top=first_row,
        width=jnp.maximum(columns, 1),
        tiles=jnp.where(seen, columns * rows, 0),
    )


def fold_pairs(
    spans: TileSpans,
    faces_per_image: int,
    grid: TileGrid,
    chunk: int,
    compute: Callable[[Pairs], Any],
    consume: Callable[[Any, Pairs, Any], Any],
    state: Any,
) -> Any:
    """Runs state ← consume(state, pairs, compute(pairs)) over all pairs, by chunks.

    What `compute` returned is carried through the loop and consumed in the next round:
    as an operand of the loop it must exist in memory, so XLA cannot fuse the arithmetic
    into the scatter of `consume` and repeat it there for each channel (4 to 5 times
    slower on CPUs).
    """
    total_rows = spans.tiles.shape[0]
    if total_rows == 0:
        return state
    # So many rows that even if each touched every tile, places would fit in int32.
    block = min(total_rows, max(1, (_MAX_PLACES - chunk) // max(grid.count, 1)))
    fold = functools.partial(
        _fold_block, faces_per_image, grid, chunk, compute, consume
    )
    if block == total_rows:
        return fold(spans, 0, state)
    blocks = -(-total_rows // block)
    # Rows of no tiles fill the last block; width 1 keeps their division defined.
    spare = ((0, blocks * block - total_rows),)
    padded = TileSpans(
        left=jnp.pad(spans.left, spare),
        top=jnp.pad(spans.top, spare),
        width=jnp.pad(spans.width, spare, constant_values=1),
        tiles=jnp.pad(spans.tiles, spare),
    )

    def one_block(index: jax.Array, state: Any) -> Any:
        start = index * block
        part = (jax.lax.dynamic_slice_in_dim(s, start, block) for s in padded)
        return fold(TileSpans(*part), start, state)

    return jax.lax.fori_loop(0, blocks, one_block, state)


def _fold_block(
    faces_per_image: int,
    grid: TileGrid,
    chunk: int,
    compute: Callable[[Pairs], Any],
    consume: Callable[[Any, Pairs, Any], Any],
    spans: TileSpans,
    first_row: jax.Array | int,
    state: Any,
) -> Any:
    """`fold_pairs` for rows whose places are sure to fit in int32."""
    ends = jnp.cumsum(spans.tiles)
    # Without the barrier XLA fuses the running sum into every search that reads it.
    spans, ends = jax.lax.optimization_barrier((spans, ends))
    total = ends[-1]

    def pairs_at(place: jax.Array) -> Pairs:
        index = place + jnp.arange(chunk, dtype=jnp.int32)
        row = jnp.searchsorted(ends, index, side="right").astype(jnp.int32)
        row = jnp.minimum(row, ends.shape[0] - 1)
        local = index - (ends[row] - spans.tiles[row])
        tile_row = spans.top[row] + local // spans.width[row]
        tile_column = spans.left[row] + local % spans.width[row]
        tile = tile_row * grid.columns + tile_column
        global_row = row + first_row
        image = global_row // faces_per_image
        filler = index >= total
        slot = jnp.where(filler, jnp.iinfo(jnp.int32).max, image * grid.count + tile)
        pairs = Pairs(global_row, jnp.where(filler, 0, tile), image, slot)
        return jax.lax.optimization_barrier(pairs)

    def step(carry):
        place, pairs, values, state = carry
        state = consume(state, pairs, values)
        pairs = pairs_at(place)
        return place + chunk, pairs, compute(pairs), state

    zero = jnp.zeros((), jnp.int32)
    empty = jax.tree.map(
        lambda s: jnp.zeros(s.shape, s.dtype),
        jax.eval_shape(lambda: (pairs_at(zero), compute(pairs_at(zero)))),
    )
    empty_pairs = empty[0]._replace(slot=jnp.full(chunk, jnp.iinfo(jnp.int32).max))
    _, pairs, values, state = jax.lax.while_loop(
        lambda carry: carry[0] < total, step, (zero, empty_pairs, empty[1], state)
    )
    return consume(state, pairs, values)
