"""Shares of joints within a distance: metres in, percent out.

The field pools: the mean over all joints of all images, which is the mean of these
per-example values, because every example has the same joints.
"""

from collections.abc import Sequence

from dsr_jax.arrays import ArrayLike, Float
from dsr_jax.evaluation.joint_errors import Root, point_errors
from dsr_jax.evaluation.library import one_library

# MPI-INF-3DHP's threshold and range (Mehta et al. 2017).
PCK_THRESHOLD_MM = 150.0
AUC_THRESHOLDS_MM = tuple(range(0, 151, 5))


def share_within(
    errors_mm: Float[ArrayLike, "*batch J"], thresholds_mm: Sequence[float]
) -> Float[ArrayLike, "*batch"]:
    """Percentage of joints at most as far off as a threshold, mean over thresholds."""
    xp, (errors,) = one_library(errors_mm)
    limits = xp.asarray(thresholds_mm, errors.dtype)
    limits = limits.reshape((1,) * errors.ndim + (-1,))
    within = (errors[..., None] <= limits).astype(errors.dtype)
    return xp.asarray(100 * within.mean(axis=(-2, -1)))


def pck(
    predicted: Float[ArrayLike, "*batch J 3"],
    target: Float[ArrayLike, "*batch J 3"],
    threshold_mm: float = PCK_THRESHOLD_MM,
    root: Root = None,
) -> Float[ArrayLike, "*batch"]:
    """Percentage of joints within the threshold, of each example."""
    return share_within(point_errors(predicted, target, root), (threshold_mm,))


def auc(
    predicted: Float[ArrayLike, "*batch J 3"],
    target: Float[ArrayLike, "*batch J 3"],
    thresholds_mm: Sequence[float] = AUC_THRESHOLDS_MM,
    root: Root = None,
) -> Float[ArrayLike, "*batch"]:
    """Mean of the PCK over the thresholds, in percent, of each example."""
    return share_within(point_errors(predicted, target, root), thresholds_mm)
