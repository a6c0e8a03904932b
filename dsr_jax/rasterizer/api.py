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

from dsr_jax.rasterizer.devices import on_each_device

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
      background: value where nothing is drawn, of every channel or one for each.
      cull_backfaces: drop faces whose corners run clockwise on the screen.
      perspective_correct: interpolate vertex attributes linearly on the face in 3D,
        not on the screen (SoftRas's way). Depth is always that of the plane in 3D.
      anti_aliasing: draw at twice the size and average each 2 × 2 pixels.
      pairs_at_once: pairs of face and 4 × 4-pixel tile that "tiled" holds at once:
        bounds its memory and changes no result but for the order of sums. 0: 4096 on
        CPUs, 65536 on GPUs and TPUs.
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
    background: float | tuple[float, ...] = 0.0
    cull_backfaces: bool = False
    perspective_correct: bool = False
    anti_aliasing: bool = False
    pairs_at_once: int = 0

    def __post_init__(self) -> None:
        """Refuses values for which the equations have no meaning."""
        object.__setattr__(self, "image_size", tuple(self.image_size))
        if not isinstance(self.background, int | float):
            object.__setattr__(self, "background", tuple(self.background))
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
        if not 1e-15 <= self.support < 0.5:
            raise ValueError("support must lie between 1e-15 and ½")
        if self.pairs_at_once < 0:
            raise ValueError("pairs_at_once must be 0 (the platform's) or more")

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
    [0, 1] and renormalised. The depth range [near, far] limits colour only, as in
    SoftRas. A face draws nothing at all if it is culled; if a corner lies behind the
    camera or less than 1e-6 m before it; if a coordinate is NaN, infinite or beyond
    1e12; if its longest edge is at most 1e-6 (NDC), or twice its screen area at most
    1e-6 times that edge squared.

    The derivative (reverse mode) is the true one of these formulas, in x, y, z and the
    attributes. "tiled" has no forward mode and no second derivatives: JAX says so when
    they are asked for; "dense" has both.

    Args:
      vertices: (*batch, V, 3) NDC x, y and camera depth z in metres.
      faces: (F, 3) int32 corner indices, shared by the batch.
      settings: what to draw.
      vertex_attributes: (*batch, V, C) or (V, C); or
      face_attributes: (*batch, F, C) or (F, C); exactly one of the two.
      implementation: "dense" (the oracle: every pair of face and pixel) or "tiled" (the
        fast one); None is "tiled".

    Raises:
      ValueError: shapes that do not fit, both or neither kind of attributes, a wrong
        number of background values, or an unknown implementation.
    """
    from dsr_jax.rasterizer import dense, tiled

    implementations: dict[str, Callable] = {
        "tiled": tiled.rasterize_tiled,
        "dense": dense.rasterize_dense,
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
    _check_background(settings, attributes.shape[-1])
    name = implementation or "tiled"
    if name not in implementations:
        known = ", ".join(sorted(implementations))
        raise ValueError(f"implementation {name!r} is unknown; there are: {known}")
    draw = implementations[name]

    def draw_batch(vertices, faces, attributes) -> Raster:
        batch = vertices.shape[:-2]
        flat = vertices.reshape(-1, *vertices.shape[-2:])
        if attributes.ndim > 2:
            attributes = attributes.reshape(-1, *attributes.shape[-2:])
        image, alpha = _draw(draw, flat, faces, attributes, per_vertex, settings)
        return Raster(
            image.reshape(*batch, *image.shape[1:]),
            alpha.reshape(*batch, *alpha.shape[1:]),
        )

    batched = (True, False, attributes.ndim > 2)
    return on_each_device(draw_batch, len(batch), batched, vertices, faces, attributes)


def _draw(draw: Callable, vertices, faces, attributes, per_vertex, settings):
    """A flat batch; anti-aliased as in SoftRas: twice the size, 2 × 2 averaged."""
    if not settings.anti_aliasing:
        return draw(vertices, faces, attributes, per_vertex, settings)
    height, width = settings.image_size
    settings = dataclasses.replace(
        settings, image_size=(2 * height, 2 * width), anti_aliasing=False
    )
    image, alpha = draw(vertices, faces, attributes, per_vertex, settings)
    n, _, _, channels = image.shape
    image = image.reshape(n, height, 2, width, 2, channels).mean((2, 4))
    return image, alpha.reshape(n, height, 2, width, 2).mean((2, 4))


def _check_background(settings: RasterSettings, channels: int) -> None:
    given = settings.background
    if isinstance(given, tuple) and len(given) != channels:
        raise ValueError(
            f"background has {len(given)} values, the attributes {channels} channels"
        )


def check_mesh(vertices: Array, faces: Array) -> None:
    """Raises ValueError if the arrays are no batch of meshes."""
    if vertices.ndim < 2 or vertices.shape[-1] != 3:
        raise ValueError(f"vertices must be (*batch, V, 3), not {vertices.shape}")
    if not jnp.issubdtype(vertices.dtype, jnp.floating):
        raise ValueError(f"vertices must be floating point, not {vertices.dtype}")
    if jnp.dtype(vertices.dtype).itemsize < 4:
        raise ValueError(
            f"vertices are {vertices.dtype}, too coarse for pixels: make them float32"
        )
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
