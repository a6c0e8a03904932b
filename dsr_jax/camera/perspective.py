"""The pinhole camera of a full image, given by its 3 × 3 intrinsics in pixels."""

import jax.numpy as jnp

from dsr_jax.arrays import Array, Float
from dsr_jax.camera.pixels import pixels_to_ndc
from dsr_jax.camera.weak import MINIMUM_DEPTH
from dsr_jax.numerics import geometry_einsum


def perspective_to_pixels(
    points_cam: Float[Array, "*batch N 3"], intrinsics: Float[Array, "*cameras 3 3"]
) -> Float[Array, "*batch N 2"]:
    """Pixel coordinates (u, v) of points in camera axes, in metres.

    Args:
      points_cam: x right, y down, z away; z counts as `MINIMUM_DEPTH` where smaller.
      intrinsics: [[fx, skew, cx], [0, fy, cy], [0, 0, 1]] in pixels, the centre of the
        top-left pixel at (0, 0); one for all points or one for each batch element.
    """
    depth = jnp.maximum(points_cam[..., 2:], MINIMUM_DEPTH)
    directions = jnp.concatenate(
        [points_cam[..., :2] / depth, jnp.ones_like(depth)], axis=-1
    )
    return geometry_einsum("...ij,...nj->...ni", intrinsics[..., :2, :], directions)


def perspective_to_ndc(
    points_cam: Float[Array, "*batch N 3"],
    intrinsics: Float[Array, "*cameras 3 3"],
    image_size: tuple[int, int],
) -> Float[Array, "*batch N 3"]:
    """NDC x (right), y (up) in an image of (H, W) pixels, and the depth in metres."""
    points_ndc = pixels_to_ndc(
        perspective_to_pixels(points_cam, intrinsics), image_size
    )
    return jnp.concatenate([points_ndc, points_cam[..., 2:]], axis=-1)


def centred_intrinsics(focal_length_px: float, image_size: tuple[int, int]) -> Array:
    """Intrinsics (3, 3) with the principal point at the image's centre."""
    height, width = image_size
    return jnp.array(
        [
            [focal_length_px, 0.0, (width - 1) / 2],
            [0.0, focal_length_px, (height - 1) / 2],
            [0.0, 0.0, 1.0],
        ]
    )
