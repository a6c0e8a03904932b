"""One (face, pixel) pair of the fast path: its contribution, and the derivative of it.

Both aggregations are sums over faces, which is what lets pairs be added in any order.
With the signed distance x, D = sigmoid(x) and softplus(x) = −log(1 − D):

    S = Σ softplus(x)      alpha = 1 − exp(−S)
    W = Σ ω                A_c = Σ ω a_c        colour_c = (A_c + …)/(W + …)

The weight of a face at depth z is ω = D · E, E = exp((z_ref − z)·rate) with rate =
1/(gamma (far − near)): the softmax over the normalised depth, written in the depth
itself, whose rounding error is smaller. z_ref cancels in the quotient; it is chosen so
that no exponent is positive and the largest is near 0.

All arrays are (K pairs, P pixels) or (K, 1), one array a quantity.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from dsr_jax.rasterizer.api import RasterSettings
from dsr_jax.rasterizer.triangles import (
    Fragment,
    Triangles,
    Triple,
    clip,
    contains,
    depth_of,
    fragment,
    perspective_weights,
)


class Shaded(NamedTuple):
    """What one face gives one pixel; all that the derivative needs again."""

    alpha_term: jax.Array  # what the pixel's alpha sums up, 0 where skipped
    coverage: jax.Array  # D, 0 where skipped
    depth_weight: jax.Array  # E, 0 out of the depth range
    inverse_sum: jax.Array  # 1 / Σ clipped barycentric coordinates
    depth: jax.Array  # z


class CornerGradients(NamedTuple):
    """Derivatives for a face's corners at each pixel, still as factors.

    With corner k: ∂x_k = edge_pull_k·offset_x − b_k·slide_x, likewise y; ∂z_k as it is.
    """

    edge_pull: Triple
    offset: tuple[jax.Array, jax.Array]
    barycentric: Triple
    slide: tuple[jax.Array, jax.Array]
    z: Triple


def depth_rate(settings: RasterSettings) -> float:
    """Change of the softmax's exponent per metre."""
    return 1 / (settings.gamma * (settings.far - settings.near))


def background_distance(settings: RasterSettings) -> float:
    """The depth in metres whose normalised depth is `background_depth`."""
    return settings.far - settings.background_depth * (settings.far - settings.near)


def shade(
    triangles: Triangles,
    keep: jax.Array,
    px: jax.Array,
    py: jax.Array,
    reference: jax.Array | float,
    settings: RasterSettings,
) -> Shaded:
    """Evaluates one face at its pixels.

    Args:
      triangles: (K, 1) faces.
      keep: (K, 1) those that draw anything.
      px: (K, P) NDC x of pixel centres.
      py: (K, P) NDC y.
      reference: z_ref, at most the depth of any face drawn at the pixel.
      settings: what to draw.
    """
    here = fragment(triangles, px, py)
    alpha_term, coverage = _soften(triangles, here, keep, px, py, settings)
    inverse_sum, depth = _depth(triangles, here)
    in_range = (depth >= settings.near) & (depth <= settings.far)
    # Pairs that are skipped may lie before the reference; their exponent must not
    # overflow before it is multiplied with D = 0.
    exponent = jnp.minimum((reference - depth) * depth_rate(settings), 0)
    depth_weight = jnp.where(in_range, jnp.exp(jnp.where(in_range, exponent, 0)), 0)
    return Shaded(alpha_term, coverage, depth_weight, inverse_sum, depth)


def depth_where_drawn(
    triangles: Triangles,
    keep: jax.Array,
    px: jax.Array,
    py: jax.Array,
    settings: RasterSettings,
) -> jax.Array:
    """Depth where the face takes part in the softmax at the pixel, inf elsewhere."""
    here = fragment(triangles, px, py)
    _, coverage = _soften(triangles, here, keep, px, py, settings)
    _, depth = _depth(triangles, here)
    drawn = (coverage > 0) & (depth >= settings.near) & (depth <= settings.far)
    return jnp.where(drawn, depth, jnp.inf)


def _depth(triangles: Triangles, here: Fragment) -> tuple[jax.Array, jax.Array]:
    clipped, inverse_sum = clip(here.barycentric)
    weights = tuple(c * inverse_sum for c in clipped)
    return inverse_sum, depth_of(weights, triangles.inverse_z)  # type: ignore[arg-type]


def _soften(triangles, here: Fragment, keep, px, py, settings: RasterSettings):
    """The alpha term and the coverage D, both 0 where the pair is skipped."""
    if settings.distance == "hard":
        inside = contains(triangles, here.barycentric, px, py) & keep
        coverage = inside.astype(px.dtype)
        return coverage, coverage
    if settings.distance == "euclidean":
        drawn = here.inside | (here.distance2 < settings.cutoff)
        x = jnp.where(here.inside, here.distance2, -here.distance2) / settings.sigma
    else:
        smallest = _smallest(here)
        signed = smallest * jnp.abs(smallest)
        drawn = signed > -settings.cutoff
        x = signed / settings.sigma
    drawn &= keep
    # softplus and sigmoid of x from the one exponential that cannot overflow
    decay = jnp.exp(-jnp.abs(x))
    tail = 1 / (1 + decay)
    coverage = jnp.where(drawn, jnp.where(x > 0, tail, decay * tail), 0)
    if settings.alpha == "product":
        return jnp.where(drawn, jnp.maximum(x, 0) + jnp.log1p(decay), 0), coverage
    if settings.alpha == "sum":
        return coverage, coverage
    return (coverage > 0.5).astype(x.dtype), coverage


def _smallest(here: Fragment) -> jax.Array:
    b = here.barycentric
    return jnp.minimum(b[0], jnp.minimum(b[1], b[2]))


def finish_alpha(summed: jax.Array, faces: int, settings: RasterSettings) -> jax.Array:
    """The pixel's alpha from the sum of `alpha_term` over all faces."""
    if settings.alpha == "sum":
        return summed / max(faces, 1)
    if settings.alpha == "hard" or settings.distance == "hard":
        # A count: of 1 − Π(1 − D) with D = 0 or 1, and of "any D > ½".
        return (summed > 0).astype(summed.dtype)
    return -jnp.expm1(-summed)


def attribute_weights(
    triangles: Triangles,
    px: jax.Array,
    py: jax.Array,
    shaded: Shaded,
    perspective: bool,
) -> Triple:
    """Weights u of the three corners' attributes at the pixels; they sum to 1."""
    clipped, _ = clip(fragment(triangles, px, py).barycentric)
    c, scale = clipped, shaded.inverse_sum
    screen = (c[0] * scale, c[1] * scale, c[2] * scale)
    if not perspective:
        return screen
    return perspective_weights(screen, shaded.depth, triangles.inverse_z)


def corner_gradients(
    triangles: Triangles,
    px: jax.Array,
    py: jax.Array,
    shaded: Shaded,
    grad_alpha_term: jax.Array,
    grad_weight: jax.Array,
    grad_corner_share: Triple | None,
    settings: RasterSettings,
) -> CornerGradients:
    """Derivatives for the corners' x, y and z.

    Args:
      triangles: the faces.
      px: (K, P) NDC x of pixel centres.
      py: (K, P) NDC y.
      shaded: what `shade` returned for them.
      grad_alpha_term: cotangent of the alpha term.
      grad_weight: cotangent of ω, through the sums W and A.
      grad_corner_share: H_k = ω (G_k − Σ_j u_j G_j) with G_k the cotangent of the
        pixel's attributes dotted with corner k's; None for attributes of faces.
      settings: as for `shade`.
    """
    s, here = shaded, fragment(triangles, px, py)
    b, inverse_z = here.barycentric, triangles.inverse_z
    clipped, _ = clip(b)
    grad_x = _grad_signed_distance(s, grad_alpha_term, grad_weight, settings)
    # E = exp((z_ref − z)·rate), and D is no function of z
    grad_depth = grad_weight * s.coverage * s.depth_weight * -depth_rate(settings)
    # z = Σc / Σ c/z_i: ∂z/∂c_i = (1 − z/z_i)·z/Σc and ∂z/∂z_i = c_i/Σc · (z/z_i)².
    ratio = [s.depth * inverse_z[k] for k in range(3)]
    # c_i/Σc · z/z_i is at most 1; multiplied first, nothing can overflow.
    share = [clipped[k] * s.inverse_sum * ratio[k] for k in range(3)]
    grad_z = [grad_depth * (share[k] * ratio[k]) for k in range(3)]
    grad_c = [grad_depth * s.depth * s.inverse_sum * (1 - ratio[k]) for k in range(3)]
    if grad_corner_share is not None:
        h = grad_corner_share
        # u_k = c_k/Σc, or with perspective c_k/z_k : Σ c/z
        for k in range(3):
            grad = h[k] * s.inverse_sum
            if settings.perspective_correct:
                grad = grad * ratio[k]
                grad_z[k] = grad_z[k] - h[k] * share[k] * inverse_z[k]
            grad_c[k] = grad_c[k] + grad
    grad_b = [jnp.where((b[k] > 0) & (b[k] < 1), grad_c[k], 0) for k in range(3)]
    zero = jnp.zeros_like(s.depth)
    edge_pull = [zero, zero, zero]
    if settings.distance == "euclidean":
        edge_pull = _edge_pull(here, grad_x * (1 / settings.sigma))
    elif settings.distance == "barycentric":
        # x = m|m|/sigma, m the smallest coordinate
        smallest = _smallest(here)
        slope = grad_x * jnp.abs(smallest) * (2 / settings.sigma)
        first = b[0] == smallest
        second = ~first & (b[1] == smallest)
        for k, holds in enumerate((first, second, ~first & ~second)):
            grad_b[k] = grad_b[k] + jnp.where(holds, slope, 0)
    # ∇_p b_k = (−dy, dx)_(k+1) / double_area, and moving corner j by δ moves the pixel
    # by −b_j δ in the triangle's own coordinates.
    slide_x, slide_y = zero, zero
    for k in range(3):
        edge = (k + 1) % 3
        slide_x = slide_x - grad_b[k] * triangles.dy[edge]
        slide_y = slide_y + grad_b[k] * triangles.dx[edge]
    scale = triangles.inverse_double_area
    return CornerGradients(
        edge_pull=tuple(edge_pull),  # type: ignore[arg-type]
        offset=here.offset,
        barycentric=b,
        slide=(slide_x * scale, slide_y * scale),
        z=tuple(grad_z),  # type: ignore[arg-type]
    )


def _grad_signed_distance(
    s: Shaded, grad_alpha_term, grad_weight, settings: RasterSettings
) -> jax.Array:
    """Cotangent of x; D' = D (1 − D), softplus' = D; D is 0 where skipped."""
    if settings.distance == "hard":
        return jnp.zeros_like(s.coverage)
    grad_coverage = grad_weight * s.depth_weight
    if settings.alpha == "sum":
        grad_coverage = grad_coverage + grad_alpha_term
    slope = grad_coverage * (1 - s.coverage)
    if settings.alpha == "product":
        slope = slope + grad_alpha_term
    return s.coverage * slope


def _edge_pull(here: Fragment, grad_x: jax.Array) -> list[jax.Array]:
    """Cotangents of the corners along p − q, q the closest point of the boundary.

    d² = |p − q|², q = (1 − t) v_i + t v_(i+1): at the closest point t may be held fixed
    (it is either optimal or clamped), so ∂d²/∂v_i = −2 (1 − t)(p − q).
    """
    pull = -2 * jnp.where(here.inside, grad_x, -grad_x)
    tail, head = pull * (1 - here.along), pull * here.along
    return [
        jnp.where(here.edge[k], tail, jnp.where(here.edge[k - 1], head, 0))
        for k in range(3)
    ]
