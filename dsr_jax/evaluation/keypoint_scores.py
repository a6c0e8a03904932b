"""Shares of joints within a distance: metres in, percent out."""

from collections.abc import Sequence

import jax.numpy as jnp

from dsr_jax.arrays import Array, ArrayLike, Float
from dsr_jax.evaluation.joint_errors import Root, point_errors

# MPI-INF-3DHP's threshold and range (Mehta et al. 2017).
PCK_THRESHOLD_MM = 150.0
AUC_THRESHOLDS_MM = tuple(range(0, 151, 5))


def pck(
    predicted: Float[ArrayLike, "*batch J 3"],
    target: Float[ArrayLike, "*batch J 3"],
    threshold_mm: float = PCK_THRESHOLD_MM,
    root: Root = None,
) -> Float[Array, "*batch"]:
    """Percentage of joints within the threshold, of each example."""
    errors = point_errors(predicted, target, root)
    return 100 * jnp.mean((errors <= threshold_mm).astype(errors.dtype), axis=-1)


def auc(
    predicted: Float[ArrayLike, "*batch J 3"],
    target: Float[ArrayLike, "*batch J 3"],
    thresholds_mm: Sequence[float] = AUC_THRESHOLDS_MM,
    root: Root = None,
) -> Float[Array, "*batch"]:
    """Mean of the PCK over the thresholds, in percent, of each example."""
    errors = point_errors(predicted, target, root)
    limits = jnp.asarray(thresholds_mm, errors.dtype)
    limits = limits.reshape((1,) * errors.ndim + (-1,))
    return 100 * jnp.mean((errors[..., None] <= limits).astype(errors.dtype), (-2, -1))
