"""The contract of the rasterizer: settings, result, and the call that picks a form.

Screen triangles and channels go in, images come out; bodies and clothes are unknown
here. Vertices are given in NDC (x right, y up, the shorter image side spans [-1, 1])
with the camera depth z > 0 as third coordinate. With m = min(H, W), the centre of
column i, row j is x = (2i + 1 − W)/m, y = (H − 1 − 2j)/m; row 0 is the top.
"""

import dataclasses
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

Array = jax.Array | np.ndarray

DISTANCES = ("euclidean", "barycentric", "hard")
COLORS = ("softmax", "hard")
ALPHAS = ("product", "sum", "hard")


@dataclasses.dataclass(frozen=True)
class RasterSettings:
    """What is drawn and how softly; the defaults are those of the DSR paper.

    Attributes:
      image_size: (H, W) in pixels.
      sigma: width of an edge's sigmoid in NDC², see `distance`.
      gamma: temperature of the softmax over normalised depth.
      near: depth in metres before which a pixel's face adds no colour.
      far: depth in metres beyond which a pixel's face adds no colour.
      background_depth: normalised depth of the background in the softmax.
      support: coverage below which a (face, pixel) pair outside is skipped.
      distance: "euclidean" distance to the triangle's boundary, smallest
        "barycentric" coordinate, or "hard" (inside or not).
      color: "softmax" over depth, or "hard" (the nearest face).
      alpha: "product" 1 − Π(1 − D), "sum" Σ D / F, or "hard" (any D > ½).
      background: value of every channel where nothing is drawn.
      cull_backfaces: drop faces whose corners run clockwise on the screen.
    """

    image_size: tuple[int, int]
    sigma: float = 1e-5
    gamma: float = 1e-1
    near: float = 1.0
    far: float = 100.0
    background_depth: float = 1e-3
    support: float = 1e-4
    distance: str = "euclidean"
    color: str = "softmax"
    alpha: str = "product"
    background: float = 0.0
    cull_backfaces: bool = False

    def __post_init__(self) -> None:
        """Refuses values for which the equations have no meaning."""
        object.__setattr__(self, "image_size", tuple(self.image_size))
        if len(self.image_size) != 2 or min(self.image_size) < 1:
            raise ValueError(f"image_size must be (H, W) ≥ 1, not {self.image_size}")
        for name, choices in (
            ("distance", DISTANCES),
            ("color", COLORS),
            ("alpha", ALPHAS),
        ):
            if getattr(self, name) not in choices:
                given = getattr(self, name)
                raise ValueError(f"{name} must be one of {choices}, not {given!r}")
        if not (self.sigma > 0 and self.gamma > 0):
            raise ValueError("sigma and gamma must be positive")
        if not 0 < self.near < self.far:
            raise ValueError("near and far must satisfy 0 < near < far")
        if not 0 < self.support < 0.5:
            raise ValueError("support must lie between 0 and ½")

    @property
    def cutoff(self) -> float:
        """Signed distance (of the chosen kind, squared) beyond which D < support."""
        return self.sigma * math.log(1 / self.support - 1)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Raster:
    """A soft image: `attributes` (*batch, H, W, C) and `alpha` (*batch, H, W)."""

    attributes: jax.Array
    alpha: jax.Array


def rasterize(
    vertices: Array,
    faces: Array,
    settings: RasterSettings,
    vertex_attributes: Array | None = None,
    face_attributes: Array | None = None,
    implementation: str | None = None,
) -> Raster:
    """Draws the mesh softly, differentiably in vertices and attributes.

    With d² the squared NDC distance of a pixel to the boundary of face f, D_f =
    sigmoid(±d²/sigma) (+ inside), and zn the normalised depth (far − z)/(far − near):

        alpha = 1 − Π_f (1 − D_f)                                   SoftRas eq. 4
        colour = (Σ_f ω_f C_f + ω_b·background) / (Σ_f ω_f + ω_b)   SoftRas eq. 2, 3
        ω_f = D_f exp(zn_f/gamma),  ω_b = exp(background_depth/gamma)

    Depth and vertex attributes are interpolated with barycentric coordinates clipped to
    [0, 1] and renormalised. A face contributes nothing if a corner has depth z ≤ 0 or a
    coordinate that is not finite, or if it is degenerate: twice its screen area at most
    1e-6 times its longest edge squared. The depth range [near, far] limits colour only,
    as in SoftRas. The derivative is the true one of these formulas.

    Args:
      vertices: (*batch, V, 3) NDC x, y and camera depth z in metres.
      faces: (F, 3) int32 corner indices, shared by the batch.
      settings: what to draw.
      vertex_attributes: (*batch, V, C) or (V, C); or
      face_attributes: (*batch, F, C) or (F, C); exactly one of the two.
      implementation: "dense" (the oracle: every pair of face and pixel), "tiled" (the
        fast one) or None: "tiled" where it supports the settings, else "dense".

    Raises:
      ValueError: shapes that do not fit, both or neither kind of attributes, or a
        named implementation that cannot do what the settings ask.
    """
    from dsr_jax.rasterizer import dense, tiled

    implementations: dict[str, tuple[Callable, Callable]] = {
        "tiled": (tiled.why_not, tiled.rasterize_tiled),
        "dense": (dense.why_not, dense.rasterize_dense),
    }
    check_mesh(vertices, faces)
    vertices, faces = jnp.asarray(vertices), jnp.asarray(faces)
    attributes, per_vertex = _one_kind(vertex_attributes, face_attributes)
    count = vertices.shape[-2] if per_vertex else faces.shape[0]
    batch = vertices.shape[:-2]
    if attributes.ndim < 2 or attributes.shape[-2] != count:
        raise ValueError(
            f"attributes must be (..., {count}, C), not {attributes.shape}"
        )
    if attributes.shape[:-2] not in (batch, ()):
        raise ValueError(
            f"attributes have batch {attributes.shape[:-2]}, vertices have {batch}"
        )
    attributes = jnp.asarray(attributes, vertices.dtype)
    name = implementation or _first_that_can(implementations, settings)
    if name not in implementations:
        known = ", ".join(sorted(implementations))
        raise ValueError(f"implementation {name!r} is unknown; there are: {known}")
    why_not, draw = implementations[name]
    if reason := why_not(settings):
        raise ValueError(f"implementation {name!r} cannot run: {reason}")
    flat = vertices.reshape(-1, *vertices.shape[-2:])
    if attributes.ndim > 2:
        attributes = attributes.reshape(-1, *attributes.shape[-2:])
    image, alpha = draw(flat, faces, attributes, per_vertex, settings)
    return Raster(
        image.reshape(*batch, *image.shape[1:]), alpha.reshape(*batch, *alpha.shape[1:])
    )


def _first_that_can(implementations: dict, settings: RasterSettings) -> str:
    return next(
        n for n, (why_not, _) in implementations.items() if not why_not(settings)
    )


def check_mesh(vertices: Array, faces: Array) -> None:
    """Raises ValueError if the arrays are no batch of meshes."""
    if vertices.ndim < 2 or vertices.shape[-1] != 3:
        raise ValueError(f"vertices must be (*batch, V, 3), not {vertices.shape}")
    if not jnp.issubdtype(vertices.dtype, jnp.floating):
        raise ValueError(f"vertices must be floating point, not {vertices.dtype}")
    if faces.ndim != 2 or faces.shape[-1] != 3:
        raise ValueError(f"faces must be (F, 3), not {faces.shape}")
    if not jnp.issubdtype(faces.dtype, jnp.integer):
        raise ValueError(f"faces must be integers, not {faces.dtype}")


def _one_kind(
    vertex_attributes: Array | None, face_attributes: Array | None
) -> tuple[jax.Array, bool]:
    if (vertex_attributes is None) == (face_attributes is None):
        raise ValueError("give exactly one of vertex_attributes and face_attributes")
    if vertex_attributes is not None:
        return jnp.asarray(vertex_attributes), True
    assert face_attributes is not None
    return jnp.asarray(face_attributes), False
