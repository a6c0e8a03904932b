"""Grids of vertices for what is worn or held and is not the body's surface."""

import dataclasses
import typing

import jax
import jax.numpy as jnp
import numpy as np

from dsr_jax.arrays import Array, Float, Int
from dsr_jax.data.synthetic.surface import Points
from dsr_jax.numerics import safe_normalize


@typing.no_type_check
@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Piece:
    """One person's skirt, hair or bag; all in one point where there is none."""

    vertices: Float[Array, "T 3"]
    """Metres, in the axes of the posed body."""
    normals: Float[Array, "T 3"]
    points: Points
    """Pattern coordinates."""


def grid_faces(rows: int, columns: int, first_vertex: int) -> Int[np.ndarray, "G 3"]:
    """The triangles of a grid, its vertices numbered row by row from `first_vertex`."""
    row, column = np.meshgrid(
        np.arange(rows - 1), np.arange(columns - 1), indexing="ij"
    )
    a = row * columns + column
    b, c, d = a + 1, a + columns, a + columns + 1
    quads = np.stack([np.stack([a, b, c], -1), np.stack([b, d, c], -1)], -2)
    return (first_vertex + quads.reshape(-1, 3)).astype(np.int32)


def grid_normals(
    vertices: Float[Array, "R K 3"], outward: Float[Array, "R K 3"]
) -> Float[Array, "R K 3"]:
    """Unit normals of a grid by finite differences, turned outwards."""
    around, along = (jnp.asarray(jnp.gradient(vertices, axis=axis)) for axis in (1, 0))
    normals = safe_normalize(jnp.cross(around, along))
    facing = jnp.sum(normals * outward, axis=-1, keepdims=True)
    return jnp.where(facing < 0, -normals, normals)
