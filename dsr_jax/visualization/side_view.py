"""The same body from the side: depth, which an overlay cannot show."""

import jax.numpy as jnp
import numpy as np

from dsr_jax.arrays import Array, Float, Int, UInt8
from dsr_jax.camera import (
    FOCAL_NDC,
    Crop,
    crop_ndc_to_image_ndc,
    project_weak_to_ndc,
)
from dsr_jax.visualization.body_picture import BODY_COLOUR, overlay_body


def turn_about_vertical(
    vertices: Float[np.ndarray | Array, "V 3"],
    pivot: Float[np.ndarray | Array, "3"],
    radians: float,
) -> Float[np.ndarray, "V 3"]:
    """Turns a body about the vertical (y) axis of the camera through `pivot`.

    At a right angle, what pointed at the camera points to the left of the picture.
    """
    cosine, sine = np.cos(radians), np.sin(radians)
    turn = np.array([[cosine, 0, sine], [0, 1, 0], [-sine, 0, cosine]])
    centre = np.asarray(pivot, np.float64)
    turned = (np.asarray(vertices, np.float64) - centre) @ turn.T + centre
    return turned.astype(np.float32)


def side_view(
    vertices: Float[np.ndarray | Array, "V 3"],
    faces: Int[np.ndarray | Array, "F 3"],
    pelvis: Float[np.ndarray | Array, "3"],
    camera: Float[np.ndarray | Array, "3"],
    image_size: tuple[int, int],
    crop: Crop | None = None,
    colour: tuple[int, int, int] = BODY_COLOUR,
    radians: float = np.pi / 2,
) -> UInt8[np.ndarray, "H W 3"]:
    """Draws the turned body on white, at the place and size that it has in the photo.

    Args:
      vertices: metres, camera axes, without the camera's translation.
      faces: corners.
      pelvis: the point on the axis, in the axes of `vertices`.
      camera: weak camera [s, tx, ty] of the crop.
      image_size: (H, W) of the picture.
      crop: where the crop lies in the picture; None if the picture is the crop.
      colour: RGB of the body.
      radians: how far it is turned.
    """
    turned = jnp.asarray(turn_about_vertical(vertices, pelvis, radians))
    points = project_weak_to_ndc(turned, jnp.asarray(camera))
    focal = FOCAL_NDC
    if crop is not None:
        points = crop_ndc_to_image_ndc(points, crop, image_size)
        focal *= float(crop.size_px) / min(image_size)
    paper = np.full((*image_size, 3), 255, np.uint8)
    return overlay_body(paper, points, faces, colour=colour, focal_ndc=focal)
