"""The nearest face at each pixel centre, over (face, tile) pairs; and what it shows."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp

from dsr_jax.rasterizer.batching import folds_batch
from dsr_jax.rasterizer.devices import varying_like
from dsr_jax.rasterizer.grid import TileGrid, pixel_centers
from dsr_jax.rasterizer.pairs import (
    Pairs,
    default_chunk,
    fold_pairs,
    tile_spans,
)
from dsr_jax.rasterizer.triangles import (
    Triple,
    clip,
    contains,
    depth_of,
    fragment,
    perspective_weights,
    prepare,
    replace_where_not,
)

TILE = 4
_NO_FACE = 2**31 - 1


def nearest_face(
    corners: jax.Array,
    keep: jax.Array,
    image_size: tuple[int, int],
    depth_range: tuple[float, float] | None = None,
    chunk: int = 0,
) -> jax.Array:
    """Index (N, H, W) int32 of the nearest face, −1 where there is none.

    Of equally near faces the one with the lowest index.

    Args:
      corners: (9, N, F) screen corners, harmless where nothing is drawn.
      keep: (N, F) faces that draw something.
      image_size: (H, W) in pixels.
      depth_range: least and largest depth in metres that count; all by default.
      chunk: pairs of face and tile worked on at once; 0 for the platform's number.
    """
    kernel = _nearest_kernel(image_size, depth_range, chunk)
    return kernel(jnp.moveaxis(corners, 0, -1), keep)


@functools.cache
def _nearest_kernel(*static) -> Callable:
    return folds_batch(functools.partial(_nearest_face, *static))


def _nearest_face(
    image_size: tuple[int, int],
    depth_range: tuple[float, float] | None,
    chunk: int,
    corners: jax.Array,
    keep: jax.Array,
) -> jax.Array:
    """Corners (N, F, 9) and (N, F) → face index (N, H, W)."""
    images, per_image = keep.shape
    grid = TileGrid(image_size, TILE)
    if images * per_image == 0:
        return jnp.full((images, *image_size), -1, jnp.int32)
    table = corners.reshape(-1, 9)
    x, y = table[:, 0::3], table[:, 1::3]
    low, high = (x.min(1), y.min(1)), (x.max(1), y.max(1))
    spans = tile_spans(low, high, keep.reshape(-1), grid)

    def find(pairs: Pairs, _) -> jax.Array:
        triangles = prepare(jnp.moveaxis(table[pairs.row], -1, 0)[..., None])
        triangles = jax.lax.optimization_barrier(triangles)
        px, py = grid.centers(pairs.tile, table.dtype)
        barycentric = fragment(triangles, px, py).barycentric
        clipped, inverse_sum = clip(barycentric)
        weights = (
            clipped[0] * inverse_sum,
            clipped[1] * inverse_sum,
            clipped[2] * inverse_sum,
        )
        depth = depth_of(weights, triangles.inverse_z)
        hit = contains(triangles, barycentric, px, py)
        if depth_range is not None:
            hit &= (depth >= depth_range[0]) & (depth <= depth_range[1])
        return jnp.where(hit, depth, jnp.inf)

    def consume(state, pairs: Pairs, depth: jax.Array):
        nearest, face = state
        before = nearest.at[pairs.slot].get(mode="fill", fill_value=jnp.inf)
        nearest = nearest.at[pairs.slot].min(depth, mode="drop")
        after = nearest.at[pairs.slot].get(mode="fill", fill_value=-jnp.inf)
        held = face.at[pairs.slot].get(mode="fill", fill_value=_NO_FACE)
        # All pairs of one tile write the same row here, so their order is irrelevant.
        held = jnp.where(after < before, _NO_FACE, held)
        face = face.at[pairs.slot].set(held, mode="drop")
        wins = (depth == after) & (depth < jnp.inf)
        candidate = jnp.where(wins, (pairs.row % per_image)[:, None], _NO_FACE)
        return nearest, face.at[pairs.slot].min(candidate, mode="drop")

    shape = (images * grid.count, grid.pixels)
    state = jnp.full(shape, jnp.inf, table.dtype), jnp.full(shape, _NO_FACE, jnp.int32)
    chunk = min(chunk or default_chunk(), images * per_image * grid.count)
    state = varying_like(corners, state)
    _, face = fold_pairs(spans, per_image, grid, chunk, [find], consume, state)
    face = jnp.where(face == _NO_FACE, -1, face)
    return grid.to_images(face.reshape(images, grid.count, 1, -1))[..., 0]


def look_up(
    face: jax.Array, corners: jax.Array, image_size: tuple[int, int]
) -> tuple[Triple, jax.Array, Triple]:
    """Where on their faces the pixel centres lie, differentiably.

    Args:
      face: (N, H, W) index of a face, or −1.
      corners: (9, N, F), at least one face.
      image_size: (H, W) in pixels.

    Returns:
      Barycentric coordinates on the screen, clipped to [0, 1], with sum 1; the depth;
      and 1/z of the three corners, all (N, H, W) and harmless numbers where face is −1.
    """
    image = jnp.arange(face.shape[0])[:, None, None]
    chosen = jnp.moveaxis(corners, 0, -1)[image, jnp.maximum(face, 0)]
    chosen = replace_where_not(face >= 0, jnp.moveaxis(chosen, -1, 0))
    x, y = pixel_centers(image_size, corners.dtype)
    px = jnp.broadcast_to(x[None, None, :], face.shape)
    py = jnp.broadcast_to(y[None, :, None], face.shape)
    triangles = prepare(chosen)
    clipped, scale = clip(fragment(triangles, px, py).barycentric)
    weights = (clipped[0] * scale, clipped[1] * scale, clipped[2] * scale)
    return weights, depth_of(weights, triangles.inverse_z), triangles.inverse_z


def color_of(
    face: jax.Array,
    corners: jax.Array,
    attributes: jax.Array,
    faces: jax.Array | None,
    settings,
) -> jax.Array:
    """Attributes (N, H, W, C) of the chosen faces, the background where there are none.

    Args:
      face: (N, H, W) index of a face, or −1.
      corners: (9, N, F) screen corners.
      attributes: (N or 1, V or F, C).
      faces: (F, 3) where the attributes belong to vertices, else None.
      settings: image size, background, perspective or not.
    """
    channels = attributes.shape[-1]
    background = jnp.asarray(settings.background, corners.dtype)
    background = jnp.broadcast_to(background.reshape(1, 1, 1, -1), (1, 1, 1, channels))
    if corners.shape[-1] == 0:
        return jnp.broadcast_to(background, (*face.shape, channels))
    chosen = jnp.maximum(face, 0)
    image = jnp.arange(face.shape[0])[:, None, None]
    if attributes.shape[0] == 1:
        image = jnp.zeros_like(image)
    if faces is None:
        color = attributes[image, chosen]
    else:
        weights, depth, inverse_z = look_up(face, corners, settings.image_size)
        if settings.perspective_correct:
            weights = perspective_weights(weights, depth, inverse_z)
        values = attributes[image[..., None], faces[chosen]]  # (N, H, W, 3, C)
        parts = [w[..., None] * values[..., k, :] for k, w in enumerate(weights)]
        color = parts[0] + parts[1] + parts[2]
    return jnp.where((face >= 0)[..., None], color, background)
