"""Bringing a prediction onto its ground truth before errors are measured."""

from collections.abc import Sequence

import jax.numpy as jnp

from dsr_jax.arrays import Array, ArrayLike, Float
from dsr_jax.numerics import geometry_einsum, safe_divide


def center_on(
    points: Float[ArrayLike, "*batch N 3"], root: int | Sequence[int]
) -> Float[Array, "*batch N 3"]:
    """Moves the point `root`, or the mean of several, to the origin."""
    points = jnp.asarray(points)
    chosen = jnp.asarray([root] if isinstance(root, int) else list(root))
    middle = jnp.mean(points[..., chosen, :], axis=-2, keepdims=True)
    return points - middle


def similarity_align(
    points: Float[ArrayLike, "*batch N 3"], target: Float[ArrayLike, "*batch N 3"]
) -> Float[Array, "*batch N 3"]:
    """The rotated, scaled and moved points that are nearest to the target.

    Procrustes analysis (Schönemann 1966, Umeyama 1991): minimises Σ |s R p + t − q|²
    over rotations R (never reflections), scales s ≥ 0 and translations t, for each
    example by itself. Points that all coincide are moved onto the target's centroid;
    for collinear points any of the equally good rotations is taken. Not meant to be
    differentiated: the singular vectors of symmetric sets are not unique.

    Raises:
      ValueError: the shapes differ.
    """
    if points.shape != target.shape or points.shape[-1] != 3:
        raise ValueError(f"points {points.shape} and target {target.shape} differ")
    points, target = jnp.asarray(points), jnp.asarray(target)
    points_middle = jnp.mean(points, axis=-2, keepdims=True)
    target_middle = jnp.mean(target, axis=-2, keepdims=True)
    p, q = points - points_middle, target - target_middle
    covariance = geometry_einsum("...na,...nb->...ab", q, p)
    left, singular, right = jnp.linalg.svd(covariance)
    # A reflection would fit better: give up the direction that matters least.
    mirrored = jnp.linalg.det(left) * jnp.linalg.det(right) < 0
    last = jnp.where(mirrored, -1.0, 1.0).astype(points.dtype)
    signs = jnp.stack([jnp.ones_like(last), jnp.ones_like(last), last], axis=-1)
    rotation = geometry_einsum("...ak,...k,...kb->...ab", left, signs, right)
    spread = jnp.sum(jnp.square(p), axis=(-2, -1))
    scale = safe_divide(jnp.sum(singular * signs, axis=-1), spread)
    turned = geometry_einsum("...ab,...nb->...na", rotation, p)
    return scale[..., None, None] * turned + target_middle
