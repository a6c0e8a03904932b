"""Hard z-buffer: which face is nearest at each pixel centre, and where on it."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np

from dsr_jax.rasterizer.devices import on_each_device
from dsr_jax.rasterizer.nearest import look_up, nearest_face
from dsr_jax.rasterizer.triangles import contributes, corners_of, replace_where_not


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class VisibleFaces:
    """What a pixel centre sees first.

    Attributes:
      face: (*batch, H, W) int32 index of the nearest face, −1 where there is none.
      depth: (*batch, H, W) its depth in metres, inf where there is none.
      barycentric: (*batch, H, W, 3) screen-space barycentric coordinates of the pixel
        centre in that face, 0 where there is none. Divide by the corners' depths and
        renormalise for perspective-correct weights.
    """

    face: jax.Array
    depth: jax.Array
    barycentric: jax.Array


def visible_faces(
    vertices: jax.Array | np.ndarray,
    faces: jax.Array | np.ndarray,
    image_size: tuple[int, int],
    cull_backfaces: bool = False,
) -> VisibleFaces:
    """Nearest face at each pixel centre; of equally near ones, the lowest index.

    Depth and barycentric coordinates are differentiable in the vertices; the choice of
    the face is constant.

    Args:
      vertices: (*batch, V, 3) NDC x, y and camera depth z > 0 in metres.
      faces: (F, 3) int32, shared by the batch.
      image_size: (H, W) in pixels.
      cull_backfaces: ignore faces whose corners run clockwise on the screen.

    Raises:
      ValueError: shapes that do not fit.
    """
    from dsr_jax.rasterizer.api import check_mesh

    check_mesh(vertices, faces)
    arrays = jnp.asarray(vertices), jnp.asarray(faces)
    size = int(image_size[0]), int(image_size[1])
    find = functools.partial(
        _visible_faces, image_size=size, cull_backfaces=cull_backfaces
    )
    return on_each_device(find, vertices.ndim - 2, (True, False), *arrays)


@functools.partial(jax.jit, static_argnames=("image_size", "cull_backfaces"))
def _visible_faces(
    vertices: jax.Array,
    faces: jax.Array,
    image_size: tuple[int, int],
    cull_backfaces: bool,
) -> VisibleFaces:
    batch = vertices.shape[:-2]
    flat = vertices.reshape(-1, *vertices.shape[-2:])
    corners = corners_of(flat, faces)
    keep = contributes(corners, cull_backfaces)
    corners = replace_where_not(keep, corners)
    face = nearest_face(jax.lax.stop_gradient(corners), keep, image_size)
    shape = (*batch, *image_size)
    hit = face >= 0
    if corners.shape[-1] == 0:
        depth = jnp.full(face.shape, jnp.inf, corners.dtype)
        barycentric = jnp.zeros((*face.shape, 3), corners.dtype)
    else:
        weights, depth, _ = look_up(face, corners, image_size)
        depth = jnp.where(hit, depth, jnp.inf)
        barycentric = jnp.where(hit[..., None], jnp.stack(weights, -1), 0)
    return VisibleFaces(
        face.reshape(shape), depth.reshape(shape), barycentric.reshape(*shape, 3)
    )
