"""Lists every (face, tile) pair that can touch, and folds a computation over the list.

There is no capacity: faces are laid out one after the other, each taking as many places
as its bounding box has tiles, and a loop with a dynamic trip count walks the places in
chunks of a fixed size. Nothing is truncated, for any mesh at any zoom; memory is that
of one chunk in each stage.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from dsr_jax.rasterizer.devices import varying_like
from dsr_jax.rasterizer.grid import TileGrid

# Places in the list are int32; rows are taken in blocks that can't exceed this.
_MAX_PLACES = 2**31 - 1

# The slot of a place that no pair takes: out of range, so that scatters drop it.
FILLER = 2**31 - 1


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


def default_chunk() -> int:
    """Pairs worked on at once: on CPUs a chunk's arrays should stay in the cache."""
    return 4096 if jax.default_backend() == "cpu" else 65536


def tile_spans(
    low: tuple[jax.Array, jax.Array],
    high: tuple[jax.Array, jax.Array],
    keep: jax.Array,
    grid: TileGrid,
) -> TileSpans:
    """Tiles of the faces' bounding boxes.

    Args:
      low: x, y (R,) in NDC of the box's lower left corner, finite.
      high: x, y (R,) of its upper right corner.
      keep: (R,) faces that draw something.
      grid: the tiles.
    """
    height, width = grid.image_size
    shorter = min(height, width)

    def column(ndc: jax.Array) -> jax.Array:
        return (ndc * shorter + (width - 1)) / 2

    def row(ndc: jax.Array) -> jax.Array:
        return ((height - 1) - ndc * shorter) / 2

    # A hundredth of a pixel covers the rounding of these lines; the exact test of every
    # pixel follows later.
    left, right = column(low[0]) - 0.01, column(high[0]) + 0.01
    top, bottom = row(high[1]) - 0.01, row(low[1]) + 0.01
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


Stage = Callable[[Pairs, Any], Any]


def fold_pairs(
    spans: TileSpans,
    faces_per_image: int,
    grid: TileGrid,
    chunk: int,
    stages: Sequence[Stage],
    consume: Callable[[Any, Pairs, Any], Any],
    state: Any,
) -> Any:
    """Runs state ← consume(state, pairs, values) over all pairs, by chunks.

    `values` is what the stages made of the pairs, one after the other: stage(pairs,
    values of the stage before). The stages work as a pipeline: in each round of the
    loop every stage works on another chunk, and what it returns is carried to the next
    round. An operand of the loop must exist in memory, so XLA cannot fuse one stage's
    arithmetic into the next and repeat it there for every row, channel or corner that
    reads it (3 times slower on CPUs).
    """
    total_rows = spans.tiles.shape[0]
    if total_rows == 0:
        return state
    # So many rows that even if each touched every tile, places would fit in int32.
    slack = (len(stages) + 2) * chunk
    block = min(total_rows, max(1, (_MAX_PLACES - slack) // max(grid.count, 1)))
    fold = functools.partial(_fold_block, faces_per_image, grid, chunk, stages, consume)
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
    stages: Sequence[Stage],
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
        # Unrolled, the binary search is one loop over the chunk instead of seventeen.
        row = jnp.searchsorted(ends, index, side="right", method="scan_unrolled")
        row = jnp.minimum(row.astype(jnp.int32), ends.shape[0] - 1)
        local = index - (ends[row] - spans.tiles[row])
        tile_row = spans.top[row] + local // spans.width[row]
        tile_column = spans.left[row] + local % spans.width[row]
        tile = tile_row * grid.columns + tile_column
        global_row = row + first_row
        image = global_row // faces_per_image
        filler = index >= total
        slot = jnp.where(filler, FILLER, image * grid.count + tile)
        return Pairs(global_row, jnp.where(filler, 0, tile), image, slot)

    def step(carry):
        place, pipeline, state = carry
        state = consume(state, *pipeline[-1])
        moved = [(pairs_at(place), ())]
        for stage, (pairs, values) in zip(stages, pipeline, strict=False):
            moved.append((pairs, stage(pairs, values)))
        return place + chunk, tuple(moved), state

    start = jnp.zeros((), jnp.int32)
    pipeline = _empty_pipeline(pairs_at, stages, start)
    # All that is carried varies over the devices of a shard_map as the faces do.
    start, pipeline, state = varying_like(total, (start, pipeline, state))
    last = total + len(stages) * chunk
    _, pipeline, state = jax.lax.while_loop(
        lambda carry: carry[0] < last, step, (start, pipeline, state)
    )
    return consume(state, *pipeline[-1])


def _empty_pipeline(
    pairs_at: Callable[[jax.Array], Pairs], stages: Sequence[Stage], place: jax.Array
) -> tuple[tuple[Pairs, Any], ...]:
    """What the loop carries at first: chunks of fillers, and zeros for their values."""

    def shapes():
        pairs, values = pairs_at(place), ()
        made = [(pairs, values)]
        for stage in stages:
            values = stage(pairs, values)
            made.append((pairs, values))
        return tuple(made)

    made = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), jax.eval_shape(shapes))
    return tuple(
        (pairs._replace(slot=jnp.full_like(pairs.slot, FILLER)), values)
        for pairs, values in made
    )
