"""Bringing a prediction onto its ground truth before errors are measured."""

from collections.abc import Sequence

from dsr_jax.arrays import ArrayLike, Float
from dsr_jax.evaluation.library import einsum_of, one_library


def center_on(
    points: Float[ArrayLike, "*batch N 3"], root: int | Sequence[int]
) -> Float[ArrayLike, "*batch N 3"]:
    """Moves the point `root`, or the mean of several, to the origin."""
    xp, (points,) = one_library(points)
    chosen = xp.asarray([root] if isinstance(root, int) else list(root))
    middle = xp.mean(points[..., chosen, :], axis=-2, keepdims=True)
    return points - middle


def similarity_align(
    points: Float[ArrayLike, "*batch N 3"], target: Float[ArrayLike, "*batch N 3"]
) -> Float[ArrayLike, "*batch N 3"]:
    """The rotated, scaled and moved points that are nearest to the target.

    Procrustes analysis (Schönemann 1966, Umeyama 1991): minimises Σ |s R p + t − q|²
    over rotations R (never reflections), scales s ≥ 0 and translations t, for each
    example by itself. Points that all coincide are moved onto the target's centroid;
    for collinear points any of the equally good rotations is taken. Not meant to be
    differentiated: the singular vectors of symmetric sets are not unique.

    NumPy arrays are aligned in float64, JAX arrays in their own precision.

    Raises:
      ValueError: the shapes differ.
    """
    if points.shape != target.shape or points.shape[-1] != 3:
        raise ValueError(f"points {points.shape} and target {target.shape} differ")
    xp, (points, target) = one_library(points, target)
    einsum = einsum_of(xp)
    points_middle = xp.mean(points, axis=-2, keepdims=True)
    target_middle = xp.mean(target, axis=-2, keepdims=True)
    p, q = points - points_middle, target - target_middle
    left, singular, right = xp.linalg.svd(einsum("...na,...nb->...ab", q, p))
    # A reflection would fit better: give up the direction that matters least.
    mirrored = xp.linalg.det(left) * xp.linalg.det(right) < 0
    last = xp.where(mirrored, -1.0, 1.0).astype(points.dtype)
    signs = xp.stack([xp.ones_like(last), xp.ones_like(last), last], axis=-1)
    rotation = einsum("...ak,...k,...kb->...ab", left, signs, right)
    spread = xp.sum(xp.square(p), axis=(-2, -1))
    somewhere = spread > 0
    scale = xp.sum(singular * signs, axis=-1) / xp.where(somewhere, spread, 1)
    scale = xp.where(somewhere, scale, 0)
    turned = einsum("...ab,...nb->...na", rotation, p)
    return scale[..., None, None] * turned + target_middle
