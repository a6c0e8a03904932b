"""The oracle: every face at every pixel, straight from the equations.

Simple, complete and differentiated by JAX itself; memory grows with faces × pixels, so
it is for small scenes and for checking the other implementations.
"""

import functools

import jax
import jax.numpy as jnp

from dsr_jax.rasterizer.api import RasterSettings
from dsr_jax.rasterizer.grid import pixel_centers
from dsr_jax.rasterizer.triangles import (
    Fragment,
    clip,
    contains,
    contributes,
    corners_of,
    depth_of,
    fragment,
    perspective_weights,
    prepare,
    replace_where_not,
)


@functools.partial(jax.jit, static_argnames=("per_vertex", "settings"))
def rasterize_dense(
    vertices: jax.Array,
    faces: jax.Array,
    attributes: jax.Array,
    per_vertex: bool,
    settings: RasterSettings,
) -> tuple[jax.Array, jax.Array]:
    """(N, V, 3), (F, 3), ([N,] V or F, C) → image (N, H, W, C), alpha (N, H, W)."""
    corner_attributes = attributes[..., faces, :] if per_vertex else attributes
    corners = corners_of(vertices, faces)
    keep = contributes(corners, settings.cull_backfaces)
    corners = jnp.moveaxis(replace_where_not(keep, corners), 1, 0)
    shared = corner_attributes.ndim == (4 if per_vertex else 3)
    draw = jax.vmap(_draw_one, in_axes=(0, 0, 0 if shared else None, None))
    return draw(corners, keep, corner_attributes, settings)


def _draw_one(
    corners: jax.Array, keep: jax.Array, attributes: jax.Array, settings: RasterSettings
) -> tuple[jax.Array, jax.Array]:
    """(9, F), (F,), (F, [3,] C) → (H, W, C), (H, W)."""
    x, y = pixel_centers(settings.image_size, corners.dtype)
    px, py = (p.reshape(-1) for p in jnp.meshgrid(x, y))
    per_face = jax.vmap(_at_pixels, in_axes=(1, 0, None, None, None))
    coverage, depth, closed, weights = per_face(corners, keep, px, py, settings)
    background = jnp.asarray(settings.background, corners.dtype)
    background = jnp.broadcast_to(background, (1, attributes.shape[-1]))
    if attributes.ndim == 3:
        colors = jnp.einsum(
            "fkp,fkc->fpc", weights, attributes, precision=jax.lax.Precision.HIGHEST
        )
    else:
        colors = jnp.broadcast_to(
            attributes[:, None], (*depth.shape, attributes.shape[-1])
        )
    alpha = _aggregate_alpha(coverage, settings)
    in_range = (depth >= settings.near) & (depth <= settings.far)
    if settings.color == "softmax":
        image = _softmax_color(coverage, depth, in_range, colors, background, settings)
    else:
        image = _hard_color(depth, in_range & closed, colors, background)
    shape = settings.image_size
    return image.reshape(*shape, -1), alpha.reshape(shape)


def _at_pixels(
    corners: jax.Array,
    keep: jax.Array,
    px: jax.Array,
    py: jax.Array,
    settings: RasterSettings,
) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """One face at all pixels: coverage, depth, is it hit, corner weights (3, P)."""
    triangle = prepare(corners)
    here = fragment(triangle, px, py)
    clipped, scale = clip(here.barycentric)
    weights = (clipped[0] * scale, clipped[1] * scale, clipped[2] * scale)
    depth = depth_of(weights, triangle.inverse_z)
    closed = contains(triangle, here.barycentric, px, py)
    if settings.perspective_correct:
        weights = perspective_weights(weights, depth, triangle.inverse_z)
    coverage = jnp.where(keep, _coverage(here, closed, settings), 0)
    return coverage, depth, closed & keep, jnp.stack(weights)


def _smallest(here: Fragment) -> jax.Array:
    b = here.barycentric
    return jnp.minimum(b[0], jnp.minimum(b[1], b[2]))


def _coverage(here: Fragment, closed: jax.Array, settings: RasterSettings) -> jax.Array:
    """D of one face: SoftRas eq. 1 with its three distances; 0 where it is skipped."""
    if settings.distance == "hard":
        return closed.astype(here.distance2.dtype)
    if settings.distance == "euclidean":
        signed = jnp.where(here.inside, here.distance2, -here.distance2)
    else:
        smallest = _smallest(here)
        signed = smallest * jnp.abs(smallest)
    return jnp.where(
        signed > -settings.cutoff, jax.nn.sigmoid(signed / settings.sigma), 0
    )


def _aggregate_alpha(coverage: jax.Array, settings: RasterSettings) -> jax.Array:
    """(F, P) → (P,)."""
    if settings.alpha == "product":
        return 1 - jnp.prod(1 - coverage, axis=0)
    if settings.alpha == "sum":
        return jnp.sum(coverage, axis=0) / max(coverage.shape[0], 1)
    return jnp.any(coverage > 0.5, axis=0).astype(coverage.dtype)


def _softmax_color(
    coverage, depth, in_range, colors, background, settings: RasterSettings
) -> jax.Array:
    """(F, P), (F, P), (F, P), (F, P, C), (1, C) → (P, C): SoftRas eq. 2 and 3."""
    drawn = in_range & (coverage > 0)
    normalized = (settings.far - depth) / (settings.far - settings.near)
    normalized = jnp.where(drawn, normalized, settings.background_depth)
    # Subtracting the pixel's maximum changes nothing but the range of the exponents.
    largest = jax.lax.stop_gradient(
        jnp.max(normalized, axis=0, initial=settings.background_depth)
    )
    weight = jnp.where(
        drawn, coverage * jnp.exp((normalized - largest[None]) / settings.gamma), 0
    )
    behind = jnp.exp((settings.background_depth - largest) / settings.gamma)
    total = jnp.sum(weight, axis=0) + behind
    summed = jnp.sum(weight[..., None] * colors, axis=0)
    return (summed + behind[:, None] * background) / total[:, None]


def _hard_color(depth, hit, colors, background) -> jax.Array:
    """The colour of the nearest face that contains the pixel centre."""
    if depth.shape[0] == 0:
        return jnp.broadcast_to(background, colors.shape[1:])
    nearest = jnp.argmin(jnp.where(hit, depth, jnp.inf), axis=0)
    color = jnp.take_along_axis(colors, nearest[None, :, None], axis=0)[0]
    return jnp.where(jnp.any(hit, axis=0)[:, None], color, background)
