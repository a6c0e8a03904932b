"""Rotations as axis-angle vectors, matrices and the continuous 6D representation.

Matrices act on column vectors from the left. The 6D representation (Zhou et al.,
"On the Continuity of Rotation Representations", CVPR 2019) holds the first two columns
of the matrix as a row-major (3, 2) array: (R00, R01, R10, R11, R20, R21). That is the
order of `smpl_mean_params.npz` and of the weights of HMR, SPIN, EFT and DSR.
"""

import jax.numpy as jnp

from dsr_jax.arrays import Array, Float
from dsr_jax.numerics import (
    safe_divide,
    safe_norm,
    safe_normalize,
    safe_sqrt,
)

# Below this squared angle (radians²) the Taylor series is exact in float32 and float64.
_SMALL_ANGLE_SQUARED = 1e-4
# A column shorter than this has no direction; see `rotation_6d_to_matrix`.
_DEGENERATE_NORM = 1e-12
# Nor has what remains of a column once its part along the other one is removed.
_PARALLEL_ULPS = 16


def axis_angle_to_matrix(
    axis_angle: Float[Array, "*batch 3"],
) -> Float[Array, "*batch 3 3"]:
    """Rodrigues' formula: R = I + (sin θ/θ) K + ((1 − cos θ)/θ²) K², θ in radians.

    Smooth everywhere, the zero vector included: near it both factors are their Taylor
    series in θ², so derivatives of any order are exact and finite.
    """
    x, y, z = jnp.moveaxis(axis_angle, -1, 0)
    squared = x * x + y * y + z * z
    sine_factor, cosine_factor = _rodrigues_factors(squared)
    zero = jnp.zeros_like(x)
    cross = jnp.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1)
    cross = cross.reshape(*axis_angle.shape[:-1], 3, 3)
    identity = jnp.broadcast_to(jnp.eye(3, dtype=axis_angle.dtype), cross.shape)
    # K² without a matrix product, which loses bits on accelerators.
    square = axis_angle[..., :, None] * axis_angle[..., None, :]
    square = square - squared[..., None, None] * identity
    return (
        identity
        + sine_factor[..., None, None] * cross
        + cosine_factor[..., None, None] * square
    )


def _rodrigues_factors(squared: Array) -> tuple[Array, Array]:
    """Sin θ/θ and (1 − cos θ)/θ² from θ²."""
    small = squared < _SMALL_ANGLE_SQUARED
    guarded = jnp.where(small, 1, squared)
    angle = jnp.sqrt(guarded)
    sine = jnp.where(
        small,
        1 - squared / 6 * (1 - squared / 20 * (1 - squared / 42)),
        jnp.sin(angle) / angle,
    )
    # 1 − cos θ = 2 sin²(θ/2) does not cancel at small angles.
    cosine = jnp.where(
        small,
        0.5 - squared / 24 * (1 - squared / 30 * (1 - squared / 56)),
        2 * jnp.square(jnp.sin(angle / 2)) / guarded,
    )
    return sine, cosine


def rotation_6d_to_matrix(
    rotation_6d: Float[Array, "*batch 6"],
) -> Float[Array, "*batch 3 3"]:
    """Gram-Schmidt on the two columns of a (3, 2) array (Zhou et al., eq. 6).

    A zero first column becomes the x axis; a second column parallel to the first
    becomes a fixed direction orthogonal to it: the result is always a rotation and the
    gradient of the degenerate column is zero.
    """
    columns = rotation_6d.reshape(*rotation_6d.shape[:-1], 3, 2)
    first = _direction_or(
        columns[..., 0], _DEGENERATE_NORM, _axis_like(columns[..., 0], 0)
    )
    second = columns[..., 1]
    # What is left of a nearly parallel column is rounding noise below this length.
    noise = _PARALLEL_ULPS * jnp.finfo(second.dtype).eps * safe_norm(second)[..., None]
    second = _direction_or(
        _without(second, first), noise + _DEGENERATE_NORM, _any_orthogonal(first)
    )
    # Once more: the first subtraction leaves noise / length along `first`.
    second = safe_normalize(_without(second, first))
    return jnp.stack([first, second, jnp.cross(first, second)], axis=-1)


def _without(vector: Array, unit: Array) -> Array:
    """The part of the vector that is orthogonal to the unit vector."""
    return vector - jnp.sum(unit * vector, -1, keepdims=True) * unit


def _direction_or(vector: Array, shortest: Array | float, fallback: Array) -> Array:
    """The unit vector, or `fallback` where the vector is not longer than `shortest`."""
    # Written so that NaN counts as usable: a fallback would hide it.
    usable = ~(safe_norm(vector)[..., None] <= shortest)
    return jnp.where(usable, safe_normalize(jnp.where(usable, vector, 1)), fallback)


def _axis_like(vector: Array, axis: int) -> Array:
    unit = jnp.zeros(3, vector.dtype).at[axis].set(1)
    return jnp.broadcast_to(unit, vector.shape)


def _any_orthogonal(unit: Array) -> Array:
    """A unit vector orthogonal to `unit`: its cross product with the farther axis."""
    mostly_x = (jnp.abs(unit[..., :1]) > 0.9).astype(unit.dtype)
    helper = mostly_x * _axis_like(unit, 1) + (1 - mostly_x) * _axis_like(unit, 0)
    return safe_normalize(jnp.cross(unit, helper))


def matrix_to_rotation_6d(
    matrix: Float[Array, "*batch 3 3"],
) -> Float[Array, "*batch 6"]:
    """The first two columns, row by row: the inverse of `rotation_6d_to_matrix`."""
    return matrix[..., :2].reshape(*matrix.shape[:-2], 6)


def matrix_to_axis_angle(
    matrix: Float[Array, "*batch 3 3"],
) -> Float[Array, "*batch 3"]:
    """Axis times angle in [0, π] radians; at angle π one of the two axes.

    Goes through the quaternion whose largest component is taken from the diagonal, so
    that it is accurate at small angles and at π alike.
    """
    quaternion = matrix_to_quaternion(matrix)
    real, imaginary = quaternion[..., 0], quaternion[..., 1:]
    sine = safe_norm(imaginary)  # sin(θ/2)
    small = sine < 1e-4
    # θ / sin(θ/2): its series at 0 is 2 + sin²(θ/2)/3 + …
    angle = 2 * jnp.arctan2(jnp.where(small, 1, sine), jnp.where(small, 1, real))
    scale = jnp.where(small, 2 + sine * sine / 3, safe_divide(angle, sine))
    return scale[..., None] * imaginary


def matrix_to_quaternion(
    matrix: Float[Array, "*batch 3 3"],
) -> Float[Array, "*batch 4"]:
    """Unit quaternion (w, x, y, z) with w ≥ 0."""
    m = matrix
    xx, yy, zz = m[..., 0, 0], m[..., 1, 1], m[..., 2, 2]
    # Four times the square of each component; the largest is at least 1.
    squares = jnp.stack(
        [1 + xx + yy + zz, 1 + xx - yy - zz, 1 - xx + yy - zz, 1 - xx - yy + zz], -1
    )
    a, b, c = (
        m[..., 2, 1] - m[..., 1, 2],
        m[..., 0, 2] - m[..., 2, 0],
        m[..., 1, 0] - m[..., 0, 1],
    )
    d, e, f = (
        m[..., 1, 0] + m[..., 0, 1],
        m[..., 0, 2] + m[..., 2, 0],
        m[..., 2, 1] + m[..., 1, 2],
    )
    w2, x2, y2, z2 = jnp.moveaxis(squares, -1, 0)
    rows = jnp.stack(
        [
            jnp.stack([w2, a, b, c], -1),
            jnp.stack([a, x2, d, e], -1),
            jnp.stack([b, d, y2, f], -1),
            jnp.stack([c, e, f, z2], -1),
        ],
        -2,
    )
    largest = jnp.argmax(squares, -1)
    chosen = jnp.take_along_axis(rows, largest[..., None, None], -2)[..., 0, :]
    pivot = jnp.take_along_axis(squares, largest[..., None], -1)
    quaternion = chosen / (2 * safe_sqrt(pivot))
    return jnp.where(quaternion[..., :1] < 0, -quaternion, quaternion)
