"""Distances between predicted and true points: metres in, millimetres out.

NumPy arrays are measured on the host in float64, JAX arrays in their own precision.
"""

from collections.abc import Sequence

from dsr_jax.arrays import ArrayLike, Float
from dsr_jax.evaluation.alignment import center_on, similarity_align
from dsr_jax.evaluation.library import lengths, one_library

MILLIMETRES = 1000.0

Root = int | Sequence[int] | None


def point_errors(
    predicted: Float[ArrayLike, "*batch N 3"],
    target: Float[ArrayLike, "*batch N 3"],
    root: Root = None,
) -> Float[ArrayLike, "*batch N"]:
    """Distance of each point, mm.

    Args:
      predicted: metres.
      target: metres.
      root: index, or indices whose mean, is moved to the origin in both first; by
        default nothing is moved.

    Raises:
      ValueError: the shapes differ.
    """
    if predicted.shape != target.shape:
        raise ValueError(
            f"predicted {predicted.shape} and target {target.shape} differ"
        )
    xp, (predicted, target) = one_library(predicted, target)
    if root is not None:
        predicted, target = center_on(predicted, root), center_on(target, root)
    return MILLIMETRES * lengths(xp, predicted - target)


def mpjpe(
    predicted: Float[ArrayLike, "*batch J 3"],
    target: Float[ArrayLike, "*batch J 3"],
    root: Root = None,
) -> Float[ArrayLike, "*batch"]:
    """Mean per-joint position error of each example, mm; see `point_errors`."""
    xp, (errors,) = one_library(point_errors(predicted, target, root))
    return xp.asarray(errors.mean(axis=-1))


def pa_mpjpe(
    predicted: Float[ArrayLike, "*batch J 3"], target: Float[ArrayLike, "*batch J 3"]
) -> Float[ArrayLike, "*batch"]:
    """The same after `similarity_align` of each example by itself, mm."""
    _, (predicted, target) = one_library(predicted, target)
    return mpjpe(similarity_align(predicted, target), target)


def per_vertex_error(
    predicted: Float[ArrayLike, "*batch V 3"],
    target: Float[ArrayLike, "*batch V 3"],
    predicted_root: Float[ArrayLike, "*batch 3"] | None = None,
    target_root: Float[ArrayLike, "*batch 3"] | None = None,
) -> Float[ArrayLike, "*batch"]:
    """Mean distance of corresponding vertices of each example, mm.

    Args:
      predicted: metres.
      target: metres.
      predicted_root: subtracted from the predicted vertices, such as the pelvis joint;
        with `target_root`, or neither.
      target_root: subtracted from the true ones.

    Raises:
      ValueError: the shapes differ, or only one root is given.
    """
    if (predicted_root is None) != (target_root is None):
        raise ValueError("give both roots or neither")
    if predicted_root is not None and target_root is not None:
        _, arrays = one_library(predicted, target, predicted_root, target_root)
        predicted = arrays[0] - arrays[2][..., None, :]
        target = arrays[1] - arrays[3][..., None, :]
    return mpjpe(predicted, target)
