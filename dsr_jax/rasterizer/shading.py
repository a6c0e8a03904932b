"""One (face, pixel) pair of the fast path: its contribution, and the derivative of it.

DSR's settings only: Euclidean distance, softmax over depth, product of transmittances.
Both aggregations are then sums over faces, which is what lets pairs be added in any
order: with x = ±d²/sigma, D = sigmoid(x), softplus(x) = −log(1 − D),

    S = Σ softplus(x)      alpha = 1 − exp(−S)
    W = Σ ω                A_c = Σ ω a_c        colour_c = (A_c + …)/(W + …)

All arrays are (K pairs, P pixels) or (K, 1), one array a quantity.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from dsr_jax.rasterizer.api import RasterSettings
from dsr_jax.rasterizer.triangles import Fragment, Triangles, Triple, fragment

# Exponents are measured from this normalised depth: as zn ≤ 1, no weight exceeds 1.
REFERENCE_DEPTH = 1.0


class Shaded(NamedTuple):
    """The contribution of one face at one pixel."""

    here: Fragment
    optical_depth: jax.Array  # softplus(x), 0 where skipped
    coverage: jax.Array  # D, 0 where skipped
    depth_weight: jax.Array  # exp((zn − reference)/gamma), 0 out of the depth range
    weight: jax.Array  # ω = D · depth_weight
    clipped: Triple  # barycentric coordinates clipped to [0, 1]
    inverse_sum: jax.Array  # 1 / their sum
    depth: jax.Array


def shade(
    triangles: Triangles,
    keep: jax.Array,
    px: jax.Array,
    py: jax.Array,
    settings: RasterSettings,
) -> Shaded:
    """Evaluates one face at its pixels."""
    here = fragment(triangles, px, py)
    x = jnp.where(here.inside, here.distance2, -here.distance2) / settings.sigma
    drawn = keep & (here.inside | (here.distance2 < settings.cutoff))
    # softplus and sigmoid of x from the one exponential that cannot overflow
    decay = jnp.exp(-jnp.abs(x))
    tail = 1 / (1 + decay)
    optical_depth = jnp.where(drawn, jnp.maximum(x, 0) + jnp.log1p(decay), 0)
    coverage = jnp.where(drawn, jnp.where(here.inside, tail, decay * tail), 0)
    b = here.barycentric
    clipped = (jnp.clip(b[0], 0, 1), jnp.clip(b[1], 0, 1), jnp.clip(b[2], 0, 1))
    total = clipped[0] + clipped[1] + clipped[2]
    i = triangles.inverse_z
    depth = total / (clipped[0] * i[0] + clipped[1] * i[1] + clipped[2] * i[2])
    zn = (settings.far - depth) * (1 / (settings.far - settings.near))
    in_range = (depth >= settings.near) & (depth <= settings.far)
    depth_weight = jnp.exp(
        jnp.where(in_range, zn - REFERENCE_DEPTH, 0) / settings.gamma
    )
    depth_weight = jnp.where(in_range, depth_weight, 0)
    return Shaded(
        here,
        optical_depth,
        coverage,
        depth_weight,
        coverage * depth_weight,
        clipped,
        1 / total,
        depth,
    )


def interpolate(shaded: Shaded, corner_values: Triple) -> jax.Array:
    """One channel's corner values (K, 1) at the pixels (K, P)."""
    c, v = shaded.clipped, corner_values
    return (c[0] * v[0] + c[1] * v[1] + c[2] * v[2]) * shaded.inverse_sum


def corner_gradients(
    triangles: Triangles,
    shaded: Shaded,
    grad_optical_depth: jax.Array,
    grad_weight: jax.Array,
    grad_clipped: Triple,
    settings: RasterSettings,
) -> tuple[Triple, Triple, Triple]:
    """Derivatives for the corners' x, y and z, each (K, P).

    Args:
      triangles: the faces.
      shaded: what `shade` returned for them.
      grad_optical_depth: cotangent of S at the pixel.
      grad_weight: cotangent of ω, through the sums W and A.
      grad_clipped: cotangents of the clipped barycentric coordinates, through the
        interpolated attributes.
      settings: as for `shade`.
    """
    s, here = shaded, shaded.here
    # ω = D·E with E = exp((zn − 1)/gamma): dE/dz = −E/(gamma (far − near))
    rate = -1 / (settings.gamma * (settings.far - settings.near))
    grad_depth = grad_weight * s.weight * rate
    grad_coverage = grad_weight * s.depth_weight
    # softplus' = sigmoid; D' = D (1 − D); D is 0 where the pair is skipped
    grad_x = s.coverage * (grad_optical_depth + grad_coverage * (1 - s.coverage))
    signed = jnp.where(here.inside, grad_x, -grad_x) * (1 / settings.sigma)

    # d² = |p − q|², q = (1 − t) v_i + t v_(i+1): at the closest point t may be held
    # fixed (it is either optimal or clamped), so ∂d²/∂v_i = −2 (1 − t)(p − q).
    pull = -2 * signed
    tail, head = pull * (1 - here.along), pull * here.along
    at_corner = [
        jnp.where(here.edge[k], tail, jnp.where(here.edge[k - 1], head, 0))
        for k in range(3)
    ]

    # z = Σc / Σ c/z_i: ∂z/∂c_i = (1 − z/z_i)·z/Σc and ∂z/∂z_i = c_i/Σc · (z/z_i)²
    inverse_z = triangles.inverse_z
    scale = grad_depth * s.depth * s.inverse_sum
    ratio = [s.depth * inverse_z[k] for k in range(3)]
    grad_z = [
        grad_depth * s.clipped[k] * s.inverse_sum * ratio[k] * ratio[k]
        for k in range(3)
    ]
    grad_b = [
        jnp.where(
            (here.barycentric[k] > 0) & (here.barycentric[k] < 1),
            grad_clipped[k] + scale * (1 - ratio[k]),
            0,
        )
        for k in range(3)
    ]
    # ∇_p b_k = (−dy, dx)_(k+1) / double_area, and moving corner j by δ moves the pixel
    # by −b_j δ in the triangle's own coordinates.
    gx = gy = jnp.zeros_like(grad_b[0])
    for k in range(3):
        edge = (k + 1) % 3
        gx = gx - grad_b[k] * triangles.dy[edge]
        gy = gy + grad_b[k] * triangles.dx[edge]
    gx, gy = gx * triangles.inverse_double_area, gy * triangles.inverse_double_area
    grad_x_corners = tuple(
        at_corner[k] * here.offset[0] - here.barycentric[k] * gx for k in range(3)
    )
    grad_y_corners = tuple(
        at_corner[k] * here.offset[1] - here.barycentric[k] * gy for k in range(3)
    )
    return grad_x_corners, grad_y_corners, tuple(grad_z)  # type: ignore[return-value]
