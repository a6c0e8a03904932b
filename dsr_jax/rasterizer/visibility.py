"""Hard z-buffer: which face is nearest at each pixel centre, and where on it."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np

from dsr_jax.rasterizer.grid import TileGrid, pixel_centers
from dsr_jax.rasterizer.pairs import Pairs, fold_pairs, tile_spans
from dsr_jax.rasterizer.triangles import (
    Triangles,
    contributes,
    corners_of,
    fragment,
    prepare,
    replace_where_not,
)

_TILE = 4
_CHUNK = 4096
_NO_FACE = jnp.iinfo(jnp.int32).max


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class VisibleFaces:
    """What a pixel centre sees first.

    Attributes:
      face: (*batch, H, W) int32 index of the nearest face, −1 where there is none.
      depth: (*batch, H, W) its depth in metres, inf where there is none.
      barycentric: (*batch, H, W, 3) screen-space barycentric coordinates of the pixel
        centre in that face, 0 where there is none. Divide by the corners' depths and
        renormalise for perspective-correct weights.
    """

    face: jax.Array
    depth: jax.Array
    barycentric: jax.Array


def visible_faces(
    vertices: jax.Array | np.ndarray,
    faces: jax.Array | np.ndarray,
    image_size: tuple[int, int],
    cull_backfaces: bool = False,
) -> VisibleFaces:
    """Nearest face at each pixel centre; of equally near ones, the lowest index.

    Depth and barycentric coordinates are differentiable in the vertices; the choice of
    the face is constant.

    Args:
      vertices: (*batch, V, 3) NDC x, y and camera depth z > 0 in metres.
      faces: (F, 3) int32, shared by the batch.
      image_size: (H, W) in pixels.
      cull_backfaces: ignore faces whose corners run clockwise on the screen.

    Raises:
      ValueError: shapes that do not fit.
    """
    from dsr_jax.rasterizer.api import check_mesh

    check_mesh(vertices, faces)
    arrays = jnp.asarray(vertices), jnp.asarray(faces)
    return _visible_faces(*arrays, tuple(image_size), cull_backfaces)


@functools.partial(jax.jit, static_argnums=(2, 3))
def _visible_faces(
    vertices: jax.Array,
    faces: jax.Array,
    image_size: tuple[int, int],
    cull_backfaces: bool,
) -> VisibleFaces:
    batch = vertices.shape[:-2]
    flat = vertices.reshape(-1, *vertices.shape[-2:])
    corners = corners_of(flat, faces)
    keep = contributes(corners, cull_backfaces)
    corners = replace_where_not(keep, corners)
    face = _nearest(jax.lax.stop_gradient(corners), keep, image_size)
    depth, barycentric = _look_up(corners, face, image_size)
    shape = (*batch, *image_size)
    return VisibleFaces(
        face.reshape(shape), depth.reshape(shape), barycentric.reshape(*shape, 3)
    )


def _nearest(
    corners: jax.Array, keep: jax.Array, image_size: tuple[int, int]
) -> jax.Array:
    """(9, N, F) → (N, H, W) face index or −1."""
    images, per_image = keep.shape
    grid = TileGrid(image_size, _TILE)
    if per_image == 0:
        return jnp.full((images, *image_size), -1, jnp.int32)
    rows = corners.reshape(9, -1)
    spans = tile_spans(rows, keep.reshape(-1), grid, radius=0.0)
    table = jnp.moveaxis(rows, 0, -1)

    def compute(pairs: Pairs) -> tuple[jax.Array, jax.Array]:
        triangles = prepare(jnp.moveaxis(table[pairs.row], -1, 0)[..., None])
        px, py = grid.centers(pairs.tile, table.dtype)
        inside, depth = _hit(triangles, px, py)
        return jnp.where(inside, depth, jnp.inf), pairs.row % per_image

    def consume(state, pairs: Pairs, values):
        nearest, face = state
        depth, candidate = values
        before = nearest.at[pairs.slot].get(mode="fill", fill_value=jnp.inf)
        nearest = nearest.at[pairs.slot].min(depth, mode="drop")
        after = nearest.at[pairs.slot].get(mode="fill", fill_value=-jnp.inf)
        held = face.at[pairs.slot].get(mode="fill", fill_value=_NO_FACE)
        # All pairs of one tile write the same row here, so their order is irrelevant.
        held = jnp.where(after < before, _NO_FACE, held)
        face = face.at[pairs.slot].set(held, mode="drop")
        wins = (depth == after) & (depth < jnp.inf)
        candidate = jnp.where(wins, candidate[:, None], _NO_FACE)
        return nearest, face.at[pairs.slot].min(candidate, mode="drop")

    shape = (images * grid.count, grid.pixels)
    state = jnp.full(shape, jnp.inf, table.dtype), jnp.full(shape, _NO_FACE, jnp.int32)
    chunk = min(_CHUNK, rows.shape[1] * grid.count)
    _, face = fold_pairs(spans, per_image, grid, chunk, compute, consume, state)
    face = jnp.where(face == _NO_FACE, -1, face)
    return grid.to_images(face[:, None])[..., 0]


def _hit(
    triangles: Triangles, px: jax.Array, py: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Whether the pixel centre lies in the closed triangle, and the depth there.

    A centre exactly on an edge must belong to at least one of the two faces that share
    it, or one would see through the mesh there: each edge is widened by the bound of
    its own rounding error.
    """
    t = triangles
    b = fragment(t, px, py).barycentric
    ulps = 4 * jnp.finfo(px.dtype).eps * jnp.abs(t.inverse_double_area)
    inside = jnp.ones(b[0].shape, bool)
    for i in range(3):
        error = jnp.abs(t.dx[i]) * (jnp.abs(py) + jnp.abs(t.y[i]))
        error += jnp.abs(t.dy[i]) * (jnp.abs(px) + jnp.abs(t.x[i]))
        inside &= b[(i + 2) % 3] >= -ulps * error
    inverse = sum(w * i for w, i in zip(b, t.inverse_z, strict=True))
    inside &= inverse > 0
    return inside, 1 / jnp.where(inside, inverse, 1)


def _look_up(
    corners: jax.Array, face: jax.Array, image_size: tuple[int, int]
) -> tuple[jax.Array, jax.Array]:
    """Depth (N, H, W) and barycentric coordinates (N, H, W, 3) on the chosen faces."""
    images = face.shape[0]
    hit = face >= 0
    if corners.shape[-1] == 0:
        shape = face.shape
        return (
            jnp.full(shape, jnp.inf, corners.dtype),
            jnp.zeros((*shape, 3), corners.dtype),
        )
    image = jnp.arange(images)[:, None, None]
    chosen = jnp.moveaxis(corners, 0, -1)[image, jnp.maximum(face, 0)]
    x, y = pixel_centers(image_size, corners.dtype)
    px = jnp.broadcast_to(x[None, None, :], face.shape)
    py = jnp.broadcast_to(y[None, :, None], face.shape)
    chosen = replace_where_not(hit, jnp.moveaxis(chosen, -1, 0))
    triangles = prepare(chosen)
    barycentric = fragment(triangles, px, py).barycentric
    inverse = sum(w * i for w, i in zip(barycentric, triangles.inverse_z, strict=True))
    depth = jnp.where(hit, 1 / jnp.where(hit, inverse, 1), jnp.inf)
    return depth, jnp.where(hit[..., None], jnp.stack(barycentric, -1), 0)
