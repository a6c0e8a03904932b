"""The fast path: (face, tile) pairs, additive aggregation, a derived backward pass.

The cost is that of the pairs of faces and 4 × 4-pixel tiles that touch, whatever the
image and the batch: for a body of 14 000 faces about a thousandth of the dense scan.
"""

import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dsr_jax.rasterizer.api import RasterSettings
from dsr_jax.rasterizer.grid import TileGrid
from dsr_jax.rasterizer.pairs import Pairs, TileSpans, fold_pairs, tile_spans
from dsr_jax.rasterizer.shading import (
    REFERENCE_DEPTH,
    Shaded,
    corner_gradients,
    interpolate,
    shade,
)
from dsr_jax.rasterizer.triangles import (
    Triangles,
    Triple,
    contributes,
    corners_of,
    prepare,
    replace_where_not,
)

_TILE = 4
_CHUNK = 4096
# exp(−1/gamma) and its products must stay normal numbers in float32.
_SMALLEST_GAMMA = 0.02


def why_not(settings: RasterSettings) -> str | None:
    """The reason why these settings need another implementation, if any."""
    given = (settings.distance, settings.color, settings.alpha)
    if given != ("euclidean", "softmax", "product"):
        return (
            "'tiled' draws distance='euclidean', color='softmax', alpha='product'; "
            f"the settings ask for {given}: use 'dense'"
        )
    if settings.gamma < _SMALLEST_GAMMA:
        return (
            f"'tiled' needs gamma ≥ {_SMALLEST_GAMMA}, not {settings.gamma}: "
            "use 'dense'"
        )
    return None


class _Scene(NamedTuple):
    """What the kernels read: R = N·F rows of corners, and the attributes."""

    corners: jax.Array  # (R, 9), harmless where nothing is drawn
    keep: jax.Array  # (R,)
    attributes: jax.Array  # (M, V or F, C), M = N or 1
    faces: jax.Array  # (F, 3)


class _Static(NamedTuple):
    settings: RasterSettings
    per_vertex: bool
    images: int


@functools.partial(jax.jit, static_argnames=("per_vertex", "settings"))
def rasterize_tiled(
    vertices: jax.Array,
    faces: jax.Array,
    attributes: jax.Array,
    per_vertex: bool,
    settings: RasterSettings,
) -> tuple[jax.Array, jax.Array]:
    """(N, V, 3), (F, 3), ([N,] V or F, C) → image (N, H, W, C), alpha (N, H, W)."""
    images = vertices.shape[0]
    corners = corners_of(vertices, faces)
    keep = contributes(corners, settings.cull_backfaces)
    corners = replace_where_not(keep, corners).reshape(9, -1)
    if attributes.ndim == 2:
        attributes = attributes[None]
    static = _Static(settings, per_vertex, images)
    scene = _Scene(jnp.moveaxis(corners, 0, -1), keep.reshape(-1), attributes, faces)
    sums = _accumulate(scene, static)
    optical_depth, weight, summed = sums[..., 0], sums[..., 1], sums[..., 2:]
    behind = math.exp((settings.background_depth - REFERENCE_DEPTH) / settings.gamma)
    image = (summed + behind * settings.background) / (weight[..., None] + behind)
    return image, -jnp.expm1(-optical_depth)


@functools.partial(jax.custom_vjp, nondiff_argnums=(1,))
def _accumulate(scene: _Scene, static: _Static) -> jax.Array:
    """The sums S, W, A_1 … A_C at every pixel: (N, H, W, 2 + C)."""
    grid = TileGrid(static.settings.image_size, _TILE)
    channels = 2 + scene.attributes.shape[-1]

    def compute(pairs: Pairs) -> jax.Array:
        _, shaded = _shade_pairs(scene, static, grid, pairs)
        rows = [shaded.optical_depth, shaded.weight]
        for value in _channels_at(scene, static, pairs, shaded):
            rows.append(shaded.weight * value)
        return jnp.stack(rows, 1)

    def consume(sums: jax.Array, pairs: Pairs, rows: jax.Array) -> jax.Array:
        return sums.at[pairs.slot].add(rows, mode="drop")

    sums = jnp.zeros(
        (static.images * grid.count, channels, grid.pixels), scene.corners.dtype
    )
    sums = _fold(scene, static, grid, compute, consume, sums)
    return grid.to_images(sums)


def _accumulate_forward(scene: _Scene, static: _Static):
    return _accumulate(scene, static), scene


def _accumulate_backward(static: _Static, scene: _Scene, cotangent: jax.Array):
    """Visits the same pairs again and sends each pixel's cotangent to the corners."""
    grid = TileGrid(static.settings.image_size, _TILE)
    tiles = grid.to_tiles(cotangent)

    def compute(pairs: Pairs):
        triangles, shaded = _shade_pairs(scene, static, grid, pairs)
        grads = tiles.at[pairs.slot].get(mode="fill", fill_value=0)
        return _pair_gradients(scene, static, pairs, triangles, shaded, grads)

    def consume(state, pairs: Pairs, grads):
        corners, attributes = state
        grad_corners, grad_attributes = grads
        row = jnp.where(
            pairs.slot == jnp.iinfo(jnp.int32).max, corners.shape[0], pairs.row
        )
        return (
            corners.at[row].add(grad_corners, mode="drop", indices_are_sorted=True),
            attributes.at[row].add(
                grad_attributes, mode="drop", indices_are_sorted=True
            ),
        )

    rows = scene.corners.shape[0]
    width = scene.attributes.shape[-1] * (3 if static.per_vertex else 1)
    state = (
        jnp.zeros((rows, 9), scene.corners.dtype),
        jnp.zeros((rows, width), scene.corners.dtype),
    )
    corners, attributes = _fold(scene, static, grid, compute, consume, state)
    attributes = _gather_attribute_gradient(scene, static, attributes)
    # What is not floating point has a gradient of the type float0: nothing.
    keep = np.zeros(scene.keep.shape, jax.dtypes.float0)
    faces = np.zeros(scene.faces.shape, jax.dtypes.float0)
    return (_Scene(corners, keep, attributes, faces),)  # type: ignore[arg-type]


_accumulate.defvjp(_accumulate_forward, _accumulate_backward)


def _fold(scene: _Scene, static: _Static, grid: TileGrid, compute, consume, state):
    if scene.faces.shape[0] == 0 or static.images == 0:
        return state
    spans: TileSpans = tile_spans(
        scene.corners.T, scene.keep, grid, math.sqrt(static.settings.cutoff)
    )
    chunk = min(_CHUNK, scene.corners.shape[0] * grid.count)
    return fold_pairs(spans, scene.faces.shape[0], grid, chunk, compute, consume, state)


def _shade_pairs(
    scene: _Scene, static: _Static, grid: TileGrid, pairs: Pairs
) -> tuple[Triangles, Shaded]:
    corners = jnp.moveaxis(scene.corners[pairs.row], -1, 0)[..., None]
    # The barrier keeps per-face divisions out of the per-pixel loops.
    triangles = jax.lax.optimization_barrier(prepare(corners))
    px, py = grid.centers(pairs.tile, scene.corners.dtype)
    keep = scene.keep[pairs.row][:, None]
    return triangles, shade(triangles, keep, px, py, static.settings)


def _corner_channels(scene: _Scene, pairs: Pairs) -> list[Triple]:
    """Per channel: the values (K, 1) at the three corners."""
    image, face = _attribute_rows(scene, pairs)
    values = scene.attributes[image[:, None], scene.faces[face]]  # (K, 3, C)
    values = jax.lax.optimization_barrier(values)
    return [
        (values[:, 0, c, None], values[:, 1, c, None], values[:, 2, c, None])
        for c in range(values.shape[-1])
    ]


def _face_channels(scene: _Scene, pairs: Pairs) -> list[jax.Array]:
    """Per channel: the value (K, 1) of the face."""
    values = scene.attributes[_attribute_rows(scene, pairs)]  # (K, C)
    return [values[:, c, None] for c in range(values.shape[-1])]


def _attribute_rows(scene: _Scene, pairs: Pairs) -> tuple[jax.Array, jax.Array]:
    """Which image's attributes a pair reads, and which face of it."""
    face = pairs.row % scene.faces.shape[0]
    shared = scene.attributes.shape[0] == 1
    return jnp.zeros_like(face) if shared else pairs.image, face


def _channels_at(
    scene: _Scene, static: _Static, pairs: Pairs, shaded: Shaded
) -> list[jax.Array]:
    if static.per_vertex:
        corners = _corner_channels(scene, pairs)
        return [interpolate(shaded, values) for values in corners]
    return _face_channels(scene, pairs)


def _pair_gradients(
    scene: _Scene,
    static: _Static,
    pairs: Pairs,
    triangles: Triangles,
    shaded: Shaded,
    grads: jax.Array,
) -> tuple[jax.Array, jax.Array]:
    """Cotangents (K, 2 + C, P) at the pixels → (K, 9) and (K, 3C or C)."""
    if static.per_vertex:
        grad_weight, grad_clipped, attribute_grads = _vertex_attribute_gradients(
            _corner_channels(scene, pairs), shaded, grads
        )
    else:
        zero = jnp.zeros_like(grads[:, 1])
        grad_weight, grad_clipped = grads[:, 1], (zero, zero, zero)
        attribute_grads = []
        for channel, value in enumerate(_face_channels(scene, pairs)):
            grad = grads[:, 2 + channel]
            grad_weight = grad_weight + grad * value
            attribute_grads.append(grad * shaded.weight)
    gx, gy, gz = corner_gradients(
        triangles, shaded, grads[:, 0], grad_weight, grad_clipped, static.settings
    )
    corner_grads = [g[k] for k in range(3) for g in (gx, gy, gz)]
    summed = [jnp.sum(g, -1) for g in (*corner_grads, *attribute_grads)]
    return jnp.stack(summed[:9], -1), jnp.stack(summed[9:], -1)


def _vertex_attribute_gradients(
    channels: list[Triple], shaded: Shaded, grads: jax.Array
) -> tuple[jax.Array, Triple, list[jax.Array]]:
    """Cotangents of ω, of the clipped coordinates, and of each corner's value."""
    grad_weight = grads[:, 1]
    zero = jnp.zeros_like(grad_weight)
    clipped = [zero, zero, zero]
    corner_grads = []
    share = shaded.weight * shaded.inverse_sum
    for channel, values in enumerate(channels):
        grad = grads[:, 2 + channel]
        here = interpolate(shaded, values)
        grad_weight = grad_weight + grad * here
        # a = Σ c_i v_i / Σ c: ∂a/∂c_i = (v_i − a)/Σ c
        pull = grad * share
        for k in range(3):
            clipped[k] = clipped[k] + pull * (values[k] - here)
            corner_grads.append(pull * shaded.clipped[k])
    return grad_weight, (clipped[0], clipped[1], clipped[2]), corner_grads


def _gather_attribute_gradient(
    scene: _Scene, static: _Static, rows: jax.Array
) -> jax.Array:
    """(R, 3C or C) gradients of the rows → the shape of the attributes."""
    channels = scene.attributes.shape[-1]
    per_image = scene.faces.shape[0]
    result = jnp.zeros_like(scene.attributes)
    if static.per_vertex:
        # channel-major in the rows: (C, 3)
        by_corner = rows.reshape(static.images, per_image, channels, 3)
        by_corner = jnp.swapaxes(by_corner, 2, 3)
        if scene.attributes.shape[0] == 1:
            by_corner = jnp.sum(by_corner, 0, keepdims=True)
        return result.at[:, scene.faces].add(by_corner)
    per_face = rows.reshape(static.images, per_image, channels)
    if scene.attributes.shape[0] == 1:
        return jnp.sum(per_face, 0, keepdims=True)
    return per_face
