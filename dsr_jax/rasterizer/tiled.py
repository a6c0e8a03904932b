"""The fast path: (face, tile) pairs, additive aggregation, a derived backward pass.

The cost is that of the pairs of faces and 4 × 4-pixel tiles that touch, whatever the
image and the batch: for a body of 14 000 faces about a thousandth of the dense scan.

Both passes walk the same list of pairs. The forward pass adds one row a pair to the
sums of its tile; the backward pass gathers the cotangents of the tile's sums, and adds
one row a pair to the gradient of its face. What depends on single pixels or single
vertices is left to JAX.
"""

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero

from dsr_jax.rasterizer import nearest, shading
from dsr_jax.rasterizer.api import RasterSettings
from dsr_jax.rasterizer.batching import folds_batch
from dsr_jax.rasterizer.devices import varying_like
from dsr_jax.rasterizer.grid import TileGrid
from dsr_jax.rasterizer.pairs import (
    FILLER,
    Pairs,
    TileSpans,
    default_chunk,
    fold_pairs,
    tile_spans,
)
from dsr_jax.rasterizer.triangles import (
    Triangles,
    contributes,
    corners_of,
    prepare,
    replace_where_not,
)

TILE = 4
# exp(−range of the exponents) and its products must stay normal numbers.
_LARGEST_RANGE = {4: 50.0, 8: 500.0}


class _Scene(NamedTuple):
    """What the kernels read: N images of F faces."""

    corners: jax.Array  # (N, F, 9), harmless where nothing is drawn
    keep: jax.Array  # (N, F)
    attributes: jax.Array  # (M, V or F, C), M = N or 1
    faces: jax.Array  # (F, 3)


class _Static(NamedTuple):
    """What is known when the kernels are compiled."""

    settings: RasterSettings
    per_vertex: bool

    @property
    def grid(self) -> TileGrid:
        return TileGrid(self.settings.image_size, TILE)

    @property
    def soft_color(self) -> bool:
        return self.settings.color == "softmax"


@functools.partial(jax.jit, static_argnames=("per_vertex", "settings"))
def rasterize_tiled(
    vertices: jax.Array,
    faces: jax.Array,
    attributes: jax.Array,
    per_vertex: bool,
    settings: RasterSettings,
) -> tuple[jax.Array, jax.Array]:
    """(N, V, 3), (F, 3), ([N,] V or F, C) → image (N, H, W, C), alpha (N, H, W)."""
    corners = corners_of(vertices, faces)
    keep = contributes(corners, settings.cull_backfaces)
    corners = replace_where_not(keep, corners)
    if attributes.ndim == 2:
        attributes = attributes[None]
    static = _Static(settings, per_vertex)
    scene = _Scene(jnp.moveaxis(corners, 0, -1), keep, attributes, faces)
    # A gradient varies over devices as the images do, so what it belongs to must, too.
    scene = varying_like(vertices, scene)
    sums, reference = _aggregate(*scene, static)
    alpha = shading.finish_alpha(sums[:, :, :1], faces.shape[0], settings)
    alpha = static.grid.to_images(alpha)[..., 0]
    if not static.soft_color:
        return _hard_color(corners, scene, static), alpha
    image = _softmax_color(sums, reference, static)
    return static.grid.to_images(image), alpha


def _softmax_color(sums: jax.Array, reference: jax.Array, static: _Static) -> jax.Array:
    """Sums (N, tiles, 2 + C, P) and z_ref → colours (N, tiles, C, P)."""
    settings = static.settings
    distance = shading.background_distance(settings)
    reference = jax.lax.stop_gradient(reference)[:, :, None]
    behind = jnp.exp((reference - distance) * shading.depth_rate(settings))
    background = jnp.asarray(settings.background, sums.dtype).reshape(1, 1, -1, 1)
    return (sums[:, :, 2:] + behind * background) / (sums[:, :, 1:2] + behind)


def _hard_color(corners: jax.Array, scene: _Scene, static: _Static) -> jax.Array:
    """Colours (N, H, W, C) of the nearest faces; `corners` (9, N, F)."""
    face = nearest.nearest_face(
        jax.lax.stop_gradient(corners),
        scene.keep,
        static.settings.image_size,
        depth_range=(static.settings.near, static.settings.far),
        chunk=static.settings.pairs_at_once,
    )
    faces = scene.faces if static.per_vertex else None
    return nearest.color_of(face, corners, scene.attributes, faces, static.settings)


@functools.partial(jax.custom_vjp, nondiff_argnums=(4,))
def _aggregate(corners, keep, attributes, faces, static: _Static):
    """The sums S, W, A_1 … A_C (N, tiles, rows, pixels), and z_ref.

    Only S where the colour is hard. z_ref is (N, 1, 1) unless gamma is small; then it
    is that of each pixel (N, tiles, pixels).
    """
    return _forward_kernel(static)(corners, keep, attributes, faces)


@jax.tree_util.register_static
@dataclasses.dataclass(frozen=True)
class _Wanted:
    """Which gradients somebody asked for."""

    corners: bool
    attributes: bool


def _aggregate_forward(corners, keep, attributes, faces, static: _Static):
    scene = _Scene(corners.value, keep.value, attributes.value, faces.value)
    wanted = _Wanted(corners.perturbed, attributes.perturbed and static.soft_color)
    sums, reference = _forward_kernel(static)(*scene)
    return (sums, reference), (scene, reference, wanted)


def _aggregate_backward(static: _Static, residuals, cotangents):
    """Visits the same pairs again and sends each pixel's cotangent to the corners."""
    scene, reference, wanted = residuals
    cotangent, _ = cotangents  # z_ref cancels: it has no derivative
    if isinstance(cotangent, SymbolicZero):
        return None, None, None, None
    kernel = _backward_kernel(static, wanted)
    corners, rows = kernel(*scene, reference, cotangent)
    attributes = _attribute_gradient(scene, static, rows) if wanted.attributes else None
    return corners if wanted.corners else None, None, attributes, None


_aggregate.defvjp(_aggregate_forward, _aggregate_backward, symbolic_zeros=True)


@functools.cache
def _forward_kernel(static: _Static) -> Callable:
    return folds_batch(functools.partial(_forward, static), 3, 2)


@functools.cache
def _backward_kernel(static: _Static, wanted: _Wanted) -> Callable:
    return folds_batch(functools.partial(_backward, static, wanted), 3, 2)


def _forward(static: _Static, *scene_arrays: jax.Array) -> tuple[jax.Array, jax.Array]:
    scene = _Scene(*scene_arrays)
    grid, settings = static.grid, static.settings
    images, dtype = scene.corners.shape[0], scene.corners.dtype
    nearest_first = _constant_reference(settings, dtype)
    if nearest_first is not None or not static.soft_color:
        constant = 0.0 if nearest_first is None else nearest_first
        reference = jnp.full((images, 1, 1), constant, dtype)
    else:
        reference = _nearest_depth(scene, static)

    def shade(pairs: Pairs, _):
        triangles, px, py = _triangles_at(scene, grid, pairs)
        keep = scene.keep.reshape(-1)[pairs.row][:, None]
        here = _reference_at(reference, pairs)
        shaded = shading.shade(triangles, keep, px, py, here, settings)
        if not static.soft_color:
            return (shaded.alpha_term,)
        weight = shaded.coverage * shaded.depth_weight
        values = _attributes_at(scene, static, pairs)
        if not static.per_vertex:
            return shaded.alpha_term, weight, values
        share = shading.attribute_weights(
            triangles, px, py, shaded, settings.perspective_correct
        )
        return shaded.alpha_term, weight, values, tuple(weight * u for u in share)

    def consume(sums: jax.Array, pairs: Pairs, values) -> jax.Array:
        rows = list(values[:2])
        if len(values) == 3:
            rows += [values[1] * v for v in _channels(values[2])]
        elif len(values) == 4:
            shares = values[3]
            for corner_values in zip(
                *(_channels(values[2][:, k]) for k in range(3)), strict=True
            ):
                a, b, c = (s * v for s, v in zip(shares, corner_values, strict=True))
                rows.append(a + b + c)
        return sums.at[pairs.slot].add(jnp.stack(rows, 1), mode="drop")

    count = 2 + scene.attributes.shape[-1] if static.soft_color else 1
    sums = jnp.zeros((images * grid.count, count, grid.pixels), dtype)
    sums = _fold(scene, static, [shade], consume, sums)
    return sums.reshape(images, grid.count, count, grid.pixels), reference


def _constant_reference(settings: RasterSettings, dtype) -> float | None:
    """z_ref for all pixels, if no weight can then leave the range of the numbers."""
    distance = shading.background_distance(settings)
    first, last = min(settings.near, distance), max(settings.far, distance)
    span = (last - first) * shading.depth_rate(settings)
    return first if span <= _LARGEST_RANGE[jnp.dtype(dtype).itemsize] else None


def _nearest_depth(scene: _Scene, static: _Static) -> jax.Array:
    """Per pixel the depth of the nearest face of the softmax, or of the background."""
    grid, settings = static.grid, static.settings

    def depth(pairs: Pairs, _) -> jax.Array:
        triangles, px, py = _triangles_at(scene, grid, pairs)
        keep = scene.keep.reshape(-1)[pairs.row][:, None]
        return shading.depth_where_drawn(triangles, keep, px, py, settings)

    def consume(state: jax.Array, pairs: Pairs, values: jax.Array) -> jax.Array:
        return state.at[pairs.slot].min(values, mode="drop")

    images = scene.corners.shape[0]
    state = jnp.full(
        (images * grid.count, grid.pixels),
        shading.background_distance(settings),
        scene.corners.dtype,
    )
    state = _fold(scene, static, [depth], consume, state)
    return state.reshape(images, grid.count, grid.pixels)


def _reference_at(reference: jax.Array, pairs: Pairs) -> jax.Array:
    """z_ref at the pixels of the pairs: (K, P), or (1, 1) where it is constant."""
    images, tiles, pixels = reference.shape
    if tiles * pixels == 1:
        return reference[0] if images else jnp.zeros((1, 1), reference.dtype)
    flat = reference.reshape(images * tiles, pixels)
    return flat.at[pairs.slot].get(mode="fill", fill_value=0)


def _backward(
    static: _Static, wanted: _Wanted, *arrays: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Gradients of the corners (N, F, 9) and of each face's attributes (N, F, 3C or C).

    What is not wanted is (N, F, 0).
    """
    scene, reference, cotangent = _Scene(*arrays[:4]), arrays[4], arrays[5]
    grid, settings = static.grid, static.settings
    tiles = cotangent.reshape(-1, *cotangent.shape[2:])

    def shade(pairs: Pairs, _):
        triangles, px, py = _triangles_at(scene, grid, pairs)
        keep = scene.keep.reshape(-1)[pairs.row][:, None]
        here = _reference_at(reference, pairs)
        shaded = shading.shade(triangles, keep, px, py, here, settings)
        grads = tiles.at[pairs.slot].get(mode="fill", fill_value=0)
        values = _attributes_at(scene, static, pairs) if static.soft_color else ()
        return shaded._replace(alpha_term=shaded.coverage[:, :0]), grads, values

    def differentiate(pairs: Pairs, carried):
        shaded, grads, values = carried
        triangles, px, py = _triangles_at(scene, grid, pairs)
        weight = shaded.coverage * shaded.depth_weight
        shares: tuple[jax.Array, ...] = (weight,)
        grad_weight, grad_share = jnp.zeros_like(weight), None
        if static.soft_color and static.per_vertex:
            u = shading.attribute_weights(
                triangles, px, py, shaded, settings.perspective_correct
            )
            shares = tuple(weight * u[k] for k in range(3))
            # G_k: the pixel's cotangent dotted with the attributes of corner k
            g = [_dot(grads, _channels(values[:, k])) for k in range(3)]
            mean = u[0] * g[0] + u[1] * g[1] + u[2] * g[2]
            grad_weight = grads[:, 1] + mean
            grad_share = tuple(weight * (g[k] - mean) for k in range(3))
        elif static.soft_color:
            grad_weight = grads[:, 1] + _dot(grads, _channels(values))
        corners: shading.CornerGradients | tuple[()] = ()
        if wanted.corners:
            corners = shading.corner_gradients(
                triangles,
                px,
                py,
                shaded,
                grads[:, 0],
                grad_weight,
                grad_share,
                settings,
            )
        return corners, (shares, grads) if wanted.attributes else ()

    def consume(state, pairs: Pairs, carried):
        row = jnp.where(pairs.slot == FILLER, rows, pairs.row)
        made = []
        corners, attributes = carried
        if wanted.corners:
            made.append([jnp.sum(g, -1) for g in _corner_rows(corners)])
        if wanted.attributes:
            shares, grads = attributes
            channels = [grads[:, c] for c in range(2, grads.shape[1])]
            made.append([jnp.sum(g * s, -1) for g in channels for s in shares])
        return tuple(
            s.at[row].add(jnp.stack(m, -1), mode="drop", indices_are_sorted=True)
            for s, m in zip(state, made, strict=True)
        )

    images, count = scene.keep.shape
    rows, dtype = images * count, scene.corners.dtype
    width = scene.attributes.shape[-1] * (3 if static.per_vertex else 1)
    widths = [9] * wanted.corners + [width] * wanted.attributes
    state = tuple(jnp.zeros((rows, w), dtype) for w in widths)
    made = _fold(scene, static, [shade, differentiate], consume, state)
    made = [m.reshape(images, count, w) for m, w in zip(made, widths, strict=True)]
    none = jnp.zeros((images, count, 0), dtype)
    corners = made[0] if wanted.corners else none
    return corners, made[-1] if wanted.attributes else none


def _dot(grads: jax.Array, channels: list[jax.Array]) -> jax.Array:
    total = jnp.zeros_like(grads[:, 0])
    for channel, value in enumerate(channels):
        total = total + grads[:, 2 + channel] * value
    return total


def _corner_rows(c: shading.CornerGradients) -> list[jax.Array]:
    """x0 y0 z0 x1 … z2 of one pair's pixels."""
    rows = []
    for k in range(3):
        for axis in range(2):
            slide = c.barycentric[k] * c.slide[axis]
            rows.append(c.edge_pull[k] * c.offset[axis] - slide)
        rows.append(c.z[k])
    return rows


def _fold(scene: _Scene, static: _Static, stages, consume, state: Any) -> Any:
    images, count = scene.keep.shape
    if images * count == 0:
        return state
    grid, settings = static.grid, static.settings
    corners = scene.corners.reshape(-1, 9).T
    low, high = _reach(corners, settings)
    spans: TileSpans = tile_spans(low, high, scene.keep.reshape(-1), grid)
    chunk = min(settings.pairs_at_once or default_chunk(), images * count * grid.count)
    state = varying_like(scene.corners, state)
    return fold_pairs(spans, count, grid, chunk, stages, consume, state)


def _reach(corners: jax.Array, settings: RasterSettings):
    """The box (x, y), (x, y) around all that faces (9, R) can touch."""
    x, y = corners[0::3], corners[1::3]
    if settings.distance == "barycentric":
        # Where no coordinate is below −r: the triangle, grown about its centroid.
        grow = 3 * math.sqrt(settings.cutoff)
        x = x + grow * (x - jnp.mean(x, 0, keepdims=True))
        y = y + grow * (y - jnp.mean(y, 0, keepdims=True))
    radius = math.sqrt(settings.cutoff) if settings.distance == "euclidean" else 0.0
    low = (x.min(0) - radius, y.min(0) - radius)
    return low, (x.max(0) + radius, y.max(0) + radius)


def _triangles_at(
    scene: _Scene, grid: TileGrid, pairs: Pairs
) -> tuple[Triangles, jax.Array, jax.Array]:
    """The pairs' triangles (K, 1) and pixel centres (K, P)."""
    table = scene.corners.reshape(-1, 9)
    corners = jnp.moveaxis(table[pairs.row], -1, 0)[..., None]
    # The barrier keeps per-face divisions out of the per-pixel loops.
    triangles = jax.lax.optimization_barrier(prepare(corners))
    return triangles, *grid.centers(pairs.tile, table.dtype)


def _attributes_at(scene: _Scene, static: _Static, pairs: Pairs) -> jax.Array:
    """The attributes of the pairs' corners (K, 3, C), or of their faces (K, C)."""
    face = pairs.row % scene.faces.shape[0]
    shared = scene.attributes.shape[0] == 1
    image = jnp.zeros_like(face) if shared else pairs.image
    if static.per_vertex:
        return scene.attributes[image[:, None], scene.faces[face]]
    return scene.attributes[image, face]


def _channels(values: jax.Array) -> list[jax.Array]:
    """(K, C) → C arrays (K, 1)."""
    return [values[:, c, None] for c in range(values.shape[-1])]


def _attribute_gradient(scene: _Scene, static: _Static, rows: jax.Array) -> jax.Array:
    """(N, F, 3C or C) gradients of the faces' attributes → the attributes' shape."""
    result = jnp.zeros_like(scene.attributes)
    if result.size == 0 or rows.size == 0:
        return result
    if static.per_vertex:
        # channel-major in the rows: (C, 3)
        rows = rows.reshape(*rows.shape[:2], -1, 3).swapaxes(2, 3)
    if scene.attributes.shape[0] == 1:
        rows = jnp.sum(rows, 0, keepdims=True)
    return result.at[:, scene.faces].add(rows) if static.per_vertex else rows
