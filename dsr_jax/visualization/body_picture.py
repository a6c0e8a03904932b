"""Shaded bodies over photos, drawn by the project's own rasterizer: no display needed.

Only the window of the picture that the body covers is rendered, at twice its resolution
in both directions, and averaged. Window sides come from a short ladder, so that a
folder of photos compiles a handful of programs and not one a person.
"""

import dataclasses
import functools

import cv2
import jax
import jax.numpy as jnp
import numpy as np

from dsr_jax.arrays import Array, Float, Int, UInt8
from dsr_jax.camera import FOCAL_NDC, ndc_to_pixels, pixels_to_ndc
from dsr_jax.rasterizer import VisibleFaces, visible_faces
from dsr_jax.visualization.shading import lambert, vertex_normals

BODY_COLOUR = (152, 186, 226)  # RGB

_WINDOW_SIDES = tuple(
    side for power in range(6, 13) for side in (2**power, 3 * 2 ** (power - 1))
)
_SUPERSAMPLING = 2
# Larger windows are rendered at their own resolution: 4096² samples are enough memory.
_LARGEST_SUPERSAMPLED = 2048


@dataclasses.dataclass(frozen=True)
class _Window:
    """A square of the picture: its top-left pixel, its side, samples a pixel."""

    left: int
    top: int
    side: int
    samples: int


def overlay_body(
    image: UInt8[np.ndarray, "H W 3"],
    vertices_ndc: Float[np.ndarray | Array, "V 3"],
    faces: Int[np.ndarray | Array, "F 3"],
    colour: tuple[int, int, int] = BODY_COLOUR,
    opacity: float = 1.0,
    focal_ndc: float = FOCAL_NDC,
) -> UInt8[np.ndarray, "H W 3"]:
    """Draws one body over a picture.

    Args:
      image: RGB; it is not changed.
      vertices_ndc: NDC of this picture and depth in metres, > 0 where visible.
      faces: corners, counter-clockwise from outside or all clockwise.
      colour: RGB of a surface that faces the light.
      opacity: 1 hides the photo behind the body, 0 hides the body.
      focal_ndc: focal length in NDC units, by which the shading undoes perspective: a
        crop's `FOCAL_NDC` by default; for a crop of side b drawn in its photo, that
        times b / min(H, W).

    Returns:
      The picture; a copy of the photo if the body lies outside.
    """
    height, width = image.shape[:2]
    vertices = np.asarray(vertices_ndc, np.float32)
    pixels = np.asarray(ndc_to_pixels(jnp.asarray(vertices[:, :2]), (height, width)))
    window = _window_of(pixels, (height, width))
    if window is None:
        return image.copy()
    hit = _visible(window, pixels, vertices[:, 2], faces)
    scale = np.array([1, -1, focal_ndc], np.float32)
    depth = vertices[:, 2:]
    metric = np.concatenate([vertices[:, :2] * depth, depth], 1) * scale
    shaded = _shade(hit, vertex_normals(metric, np.asarray(faces)), np.asarray(faces))
    brightness, coverage = _average(shaded, np.asarray(hit.face) >= 0, window)
    return _blend(image, brightness * np.asarray(colour), coverage, opacity, window)


def _window_of(
    pixels: Float[np.ndarray, "V 2"], image_size: tuple[int, int]
) -> _Window | None:
    """The smallest window of the ladder around the body's part inside the picture."""
    height, width = image_size
    low = np.clip(np.floor(pixels.min(0)), 0, [width, height]).astype(int)
    high = np.clip(np.ceil(pixels.max(0)) + 1, 0, [width, height]).astype(int)
    extent = int((high - low).max())
    if (high <= low).any():
        return None
    side = next((s for s in _WINDOW_SIDES if s >= extent), extent)
    samples = _SUPERSAMPLING if side <= _LARGEST_SUPERSAMPLED else 1
    return _Window(int(low[0]), int(low[1]), side, samples)


@functools.partial(jax.jit, static_argnames="side")
def _faces_of_square(vertices: Array, faces: Array, side: int) -> VisibleFaces:
    return visible_faces(vertices, faces, image_size=(side, side))


def _visible(
    window: _Window,
    pixels: Float[np.ndarray, "V 2"],
    depth: Float[np.ndarray, "V"],
    faces: Int[np.ndarray | Array, "F 3"],
) -> VisibleFaces:
    side = window.side * window.samples
    corner = np.array([window.left, window.top], np.float32)
    fine = (pixels - corner + 0.5) * window.samples - 0.5
    points = pixels_to_ndc(jnp.asarray(fine), (side, side))
    vertices = jnp.concatenate([points, jnp.asarray(depth)[:, None]], -1)
    return _faces_of_square(vertices, jnp.asarray(faces), side)


def _shade(
    hit: VisibleFaces,
    normals: Float[np.ndarray, "V 3"],
    faces: Int[np.ndarray, "F 3"],
) -> Float[np.ndarray, "S S"]:
    """Brightness of every sample, 0 where there is no body."""
    face = np.asarray(hit.face)
    seen = face >= 0
    corners = normals[faces[face[seen]]]
    weights = np.asarray(hit.barycentric)[seen]
    brightness = np.zeros(face.shape, np.float32)
    brightness[seen] = lambert(np.einsum("nk,nkc->nc", weights, corners))
    return brightness


def _average(
    brightness: Float[np.ndarray, "S S"], covered: np.ndarray, window: _Window
) -> tuple[Float[np.ndarray, "R R 1"], Float[np.ndarray, "R R 1"]]:
    """Mean over the samples of each pixel: premultiplied brightness, and coverage."""
    size = (window.side, window.side)
    both = np.stack([brightness, covered.astype(np.float32)], -1)
    both = cv2.resize(both, size, interpolation=cv2.INTER_AREA)
    return both[..., :1], both[..., 1:]


def _blend(
    image: UInt8[np.ndarray, "H W 3"],
    body: Float[np.ndarray, "R R 3"],
    coverage: Float[np.ndarray, "R R 1"],
    opacity: float,
    window: _Window,
) -> UInt8[np.ndarray, "H W 3"]:
    """The body, its colours multiplied by its coverage already, over the photo."""
    result = image.copy()
    part = result[window.top :, window.left :][: window.side, : window.side]
    height, width = part.shape[:2]
    behind = part * (1 - opacity * coverage[:height, :width])
    mixed = behind + opacity * body[:height, :width]
    part[:] = np.clip(np.rint(mixed), 0, 255).astype(np.uint8)
    return result
