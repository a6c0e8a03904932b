"""A square crop of a full image, and the camera of one in terms of the other.

The crop covers [c - b/2, c + b/2] of the full image both ways, in pixel coordinates
whose origin is the centre of the top-left pixel, and spans [-1, 1] of its own NDC. It
may reach over the image's border. Its resolution plays no role here.
"""

import dataclasses
import typing

import jax
import jax.numpy as jnp

from dsr_jax.arrays import Array, Float
from dsr_jax.camera.pixels import pixels_to_ndc
from dsr_jax.camera.weak import MINIMUM_SCALE


# JAX rebuilds it with whatever a tree map returns: shapes, shardings, None.
@typing.no_type_check
@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Crop:
    """Where a square crop lies in its full image."""

    center_px: Float[Array, "*batch 2"]
    """(u, v) of the crop's centre."""
    size_px: Float[Array, "*batch"]
    """Side of the square, in pixels of the full image."""


def crop_ndc_to_pixels(
    points_ndc: Float[Array, "*batch N 2"], crop: Crop
) -> Float[Array, "*batch N 2"]:
    """Full-image pixel coordinates of points in the crop's NDC."""
    half = crop.size_px[..., None] / 2
    u = crop.center_px[..., :1] + half * points_ndc[..., 0]
    v = crop.center_px[..., 1:] - half * points_ndc[..., 1]
    return jnp.stack([u, v], -1)


def pixels_to_crop_ndc(
    points_px: Float[Array, "*batch N 2"], crop: Crop
) -> Float[Array, "*batch N 2"]:
    """The crop's NDC of full-image pixels: the inverse of `crop_ndc_to_pixels`."""
    half = crop.size_px[..., None] / 2
    x = (points_px[..., 0] - crop.center_px[..., :1]) / half
    y = (crop.center_px[..., 1:] - points_px[..., 1]) / half
    return jnp.stack([x, y], -1)


def crop_ndc_to_image_ndc(
    points_ndc: Float[Array, "*batch N 3"], crop: Crop, image_size: tuple[int, int]
) -> Float[Array, "*batch N 3"]:
    """Moves projected points from the crop to the full image; depth is kept.

    Exact for every point: the way to draw a body over its whole photo.
    """
    pixels = crop_ndc_to_pixels(points_ndc[..., :2], crop)
    return jnp.concatenate(
        [pixels_to_ndc(pixels, image_size), points_ndc[..., 2:]], axis=-1
    )


def crop_camera_to_full(
    camera: Float[Array, "*batch 3"],
    crop: Crop,
    image_size: tuple[int, int],
    focal_length_px: float,
) -> Float[Array, "*batch 3"]:
    """Translation of the body before a camera with a centred principal point.

    The body's origin, and every point at its depth, keeps its full-image pixel:
    Tz = 2·f/(s·b), Tx = tx + (c_u - W'/2)·Tz/f, Ty = ty + (c_v - H'/2)·Tz/f, where
    (W'/2, H'/2) is the image's centre ((W - 1)/2, (H - 1)/2). A point at another depth
    Δz moves by about Δz/Tz of its distance to the image's centre, because a camera that
    looks straight ahead sees an off-centre body slightly from the side; if f differs
    from 5000·b/224, by as much of its distance to the crop's centre, too.

    Args:
      camera: [s, tx, ty] of the crop; s is kept above `MINIMUM_SCALE`.
      crop: the crop's place in the full image.
      image_size: (H, W) of the full image.
      focal_length_px: f; 5000·b/224 is the crop's own camera.

    Returns:
      (Tx, Ty, Tz) in metres, camera axes.
    """
    scale = jnp.maximum(camera[..., 0], MINIMUM_SCALE)
    height, width = image_size
    # Pixels of the full image a metre at the body's depth.
    pixels_per_metre = scale * crop.size_px / 2
    offset_u = crop.center_px[..., 0] - (width - 1) / 2
    offset_v = crop.center_px[..., 1] - (height - 1) / 2
    return jnp.stack(
        [
            camera[..., 1] + offset_u / pixels_per_metre,
            camera[..., 2] + offset_v / pixels_per_metre,
            focal_length_px / pixels_per_metre,
        ],
        -1,
    )
