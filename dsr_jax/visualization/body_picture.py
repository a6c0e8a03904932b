"""Shaded bodies over photos, drawn by the project's own rasterizer: no display needed.

Only the window of the picture that the body covers is rendered, in squares of a few
fixed sizes, at twice the resolution in both directions, and averaged. So photos of any
size take the same memory, and a folder of them compiles a handful of programs.
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

# Sides of the squares in pixels; a larger window is a grid of the largest.
_SIDES = (64, 128, 256, 512)
_SAMPLES = 2


@dataclasses.dataclass(frozen=True)
class _Square:
    """A part of the picture: its top-left pixel and its side."""

    left: int
    top: int
    side: int


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
      faces: corners; seen from the other side, a surface is lit as well.
      colour: RGB of a surface that faces the light.
      opacity: 1 hides the photo behind the body, 0 hides the body.
      focal_ndc: focal length in NDC units, by which the shading undoes perspective: a
        crop's `FOCAL_NDC` by default; for a crop of side b drawn in its photo, that
        times b / min(H, W).

    Returns:
      The picture; a copy of the photo if the body lies outside.
    """
    vertices, corners = np.asarray(vertices_ndc, np.float32), np.asarray(faces)
    size = (image.shape[0], image.shape[1])
    pixels = np.asarray(ndc_to_pixels(jnp.asarray(vertices[:, :2]), size))
    scale = np.array([1, -1, focal_ndc], np.float32)
    depth = vertices[:, 2:]
    metric = np.concatenate([vertices[:, :2] * depth, depth], 1) * scale
    normals = vertex_normals(metric, corners)[corners] * _sides_seen(vertices, corners)
    result = image.copy()
    for square in _squares(pixels, size):
        hit = _visible(square, pixels, vertices[:, 2], faces)
        brightness, coverage = _average(hit, normals, square.side)
        _blend(result, brightness * np.asarray(colour), coverage, opacity, square)
    return result


def _sides_seen(
    vertices_ndc: Float[np.ndarray, "V 3"], faces: Int[np.ndarray, "F 3"]
) -> Float[np.ndarray, "F 1 1"]:
    """1 for faces that are seen from outside, -1 for those that are seen from inside.

    A surface seen from inside is lit as the side that is seen.
    """
    a, b, c = (vertices_ndc[faces[:, i], :2] for i in range(3))
    area = np.cross(np.pad(b - a, ((0, 0), (0, 1))), np.pad(c - a, ((0, 0), (0, 1))))
    return np.where(area[:, 2] < 0, -1, 1).astype(np.float32)[:, None, None]


def _squares(
    pixels: Float[np.ndarray, "V 2"], image_size: tuple[int, int]
) -> list[_Square]:
    """Squares that cover the body's part inside the picture; none if there is none."""
    height, width = image_size
    low = np.clip(np.floor(pixels.min(0)), 0, [width, height]).astype(int)
    high = np.clip(np.ceil(pixels.max(0)) + 1, 0, [width, height]).astype(int)
    if (high <= low).any():
        return []
    extent = int((high - low).max())
    side = next((s for s in _SIDES if s >= extent), _SIDES[-1])
    lefts = range(int(low[0]), int(high[0]), side)
    tops = range(int(low[1]), int(high[1]), side)
    return [_Square(left, top, side) for top in tops for left in lefts]


@functools.partial(jax.jit, static_argnames="side")
def _faces_of_square(vertices: Array, faces: Array, side: int) -> VisibleFaces:
    return visible_faces(vertices, faces, image_size=(side, side))


def _visible(
    square: _Square,
    pixels: Float[np.ndarray, "V 2"],
    depth: Float[np.ndarray, "V"],
    faces: Int[np.ndarray | Array, "F 3"],
) -> VisibleFaces:
    """The faces at the samples of a square."""
    side = square.side * _SAMPLES
    corner = np.array([square.left, square.top], np.float32)
    samples = (pixels - corner + 0.5) * _SAMPLES - 0.5
    points = pixels_to_ndc(jnp.asarray(samples), (side, side))
    vertices = jnp.concatenate([points, jnp.asarray(depth)[:, None]], -1)
    return _faces_of_square(vertices, jnp.asarray(faces), side)


def _average(
    hit: VisibleFaces, normals: Float[np.ndarray, "F 3 3"], side: int
) -> tuple[Float[np.ndarray, "R R 1"], Float[np.ndarray, "R R 1"]]:
    """Mean over each pixel's samples of brightness (0 where empty) and of coverage."""
    face = np.asarray(hit.face)
    seen = face >= 0
    weights = np.asarray(hit.barycentric)[seen]
    both = np.zeros((*face.shape, 2), np.float32)
    both[seen, 0] = lambert(np.einsum("nk,nkc->nc", weights, normals[face[seen]]))
    both[seen, 1] = 1
    both = cv2.resize(both, (side, side), interpolation=cv2.INTER_AREA)
    return both[..., :1], both[..., 1:]


def _blend(
    picture: UInt8[np.ndarray, "H W 3"],
    body: Float[np.ndarray, "R R 3"],
    coverage: Float[np.ndarray, "R R 1"],
    opacity: float,
    square: _Square,
) -> None:
    """Paints the body, its colours multiplied by its coverage already."""
    part = picture[square.top :, square.left :][: square.side, : square.side]
    height, width = part.shape[:2]
    behind = part * (1 - opacity * coverage[:height, :width])
    mixed = behind + opacity * body[:height, :width]
    part[:] = np.clip(np.rint(mixed), 0, 255).astype(np.uint8)
