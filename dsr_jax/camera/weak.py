"""The weak camera [s, tx, ty] that regressors predict, as a far perspective camera.

The released code of SPIN and DSR turns the scale s of the crop into the depth at which
a camera of focal length 5000 px sees the body that large in a 224 px crop. The result
is a perspective camera, so that projection and rendering agree to the last digit.
"""

import jax.numpy as jnp

from dsr_jax.arrays import Array, Float

FOCAL_LENGTH = 5000.0  # px, of a crop of CROP_SIZE; source: SPIN
CROP_SIZE = 224  # px; source: SPIN
# Half a crop is one NDC unit: the same focal length for a crop of any resolution.
FOCAL_NDC = 2 * FOCAL_LENGTH / CROP_SIZE

# A body of scale 1e-3 is a tenth of a pixel of a 224 px crop.
MINIMUM_SCALE = 1e-3
# Metres; only points that the rasterizer drops (its near plane is at 1) are closer.
MINIMUM_DEPTH = 1e-2


def weak_camera_translation(
    camera: Float[Array, "*batch 3"],
) -> Float[Array, "*batch 3"]:
    """Translation (tx, ty, 2·5000/(224·s)) of the body in camera axes, in metres.

    A scale below `MINIMUM_SCALE`, zero and negative ones included, counts as
    `MINIMUM_SCALE`, and its derivative is 0: depth and gradient stay finite for every
    finite camera.

    Args:
      camera: [s, tx, ty]; s is crop half-sides per metre, tx right and ty down in
        metres.
    """
    scale = jnp.maximum(camera[..., 0], MINIMUM_SCALE)
    return jnp.stack([camera[..., 1], camera[..., 2], FOCAL_NDC / scale], -1)


def project_weak_to_ndc(
    points: Float[Array, "*batch N 3"], camera: Float[Array, "*batch 3"]
) -> Float[Array, "*batch N 3"]:
    """Projects points in camera axes into the crop: (F·X/Z, -F·Y/Z, Z).

    (X, Y, Z) is the point moved by `weak_camera_translation`, and F is `FOCAL_NDC`: the
    crop may have any resolution. The divisor Z counts as `MINIMUM_DEPTH` where it is
    smaller; the third output is the true depth.

    Args:
      points: metres, camera axes (y down), around the body's origin.
      camera: [s, tx, ty].

    Returns:
      NDC x (right), y (up) of the square crop, and camera depth in metres.
    """
    moved = points + weak_camera_translation(camera)[..., None, :]
    x, y, depth = moved[..., 0], moved[..., 1], moved[..., 2]
    factor = FOCAL_NDC / jnp.maximum(depth, MINIMUM_DEPTH)
    return jnp.stack([factor * x, -factor * y, depth], -1)
