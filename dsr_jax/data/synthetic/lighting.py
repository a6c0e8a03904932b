"""Light on a person: a lamp, light from all around, and folds in the cloth."""

import dataclasses
import typing

import jax
import jax.numpy as jnp

from dsr_jax.arrays import Array, Float, Int
from dsr_jax.data.synthetic.garments import LAYERS
from dsr_jax.data.synthetic.sampling import Draws
from dsr_jax.data.synthetic.settings import SyntheticSettings
from dsr_jax.data.synthetic.surface import Points
from dsr_jax.numerics import safe_divide, safe_normalize, safe_sqrt

# How much folds change the light on each layer.
_FOLDS = {"socks": 0.05, "lower": 0.13, "upper": 0.13, "coat": 0.10}
_FOLDS |= {"scarf": 0.2, "hair": 0.22, "gloves": 0.05}
# The inside of hanging cloth lies in its own shadow.
_INSIDE = 0.55


@typing.no_type_check
@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Light:
    """A lamp far away and light from everywhere."""

    towards: Float[Array, "3"]
    """Unit vector to the lamp, camera axes."""
    ambient: Float[Array, ""]
    tint: Float[Array, "3"]


def sample_light(draws: Draws, settings: SyntheticSettings) -> Light:
    """A lamp above, anywhere but behind the person. Takes 7 numbers."""
    across = draws.uniform((-0.9, 0.9))
    above, before = draws.uniform((0.15, 1.0)), draws.uniform((0.25, 1.0))
    return Light(
        towards=safe_normalize(jnp.stack([across, -above, -before])),
        ambient=draws.uniform(settings.ambient_light),
        tint=1 + 0.05 * draws.normal(3),
    )


def shade(
    normal: tuple[Array, Array, Array],
    points: Points,
    layer: Int[Array, "H W"],
    hangs: Array,
    light: Light,
    wrinkles: Float[Array, "4"],
) -> Float[Array, "H W"]:
    """Lambert's law plus ambient light, in about [0.2, 1.1].

    Args:
      normal: x, y and z in camera axes, of any length.
      points: surface coordinates, where the folds lie.
      layer: index into `LAYERS`.
      hangs: whether the point is on hanging cloth, whose inside can be seen.
      light: the lamp.
      wrinkles: phases of the folds.
    """
    nx, ny, nz = normal
    inverse = safe_divide(jnp.ones_like(nx), safe_sqrt(nx * nx + ny * ny + nz * nz))
    inside = hangs & (nz > 0)
    inverse = jnp.where(inside, -inverse, inverse)
    lx, ly, lz = light.towards
    lambert = jnp.maximum((nx * lx + ny * ly + nz * lz) * inverse, 0)
    sky = 1 - 0.22 * ny * inverse
    lit = light.ambient * sky + (1.12 - light.ambient) * lambert
    folds = jnp.asarray([_FOLDS.get(name, 0.0) for name in LAYERS])[layer]
    lit = lit * (1 + folds * _folds(points, wrinkles))
    return jnp.where(inside, _INSIDE * lit, lit)


def _folds(points: Points, phase: Array) -> Array:
    """Two families of crossing waves in [−1, 1], a few centimetres long."""
    bend = jnp.sin(19 * points.x + 11 * points.z + phase[0])
    slanted = jnp.sin(60 * points.y + 45 * points.x + 2.2 * bend + phase[1])
    steep = jnp.sin(85 * points.x - 30 * points.z - 24 * points.y + 2 * bend + phase[2])
    return 0.5 * slanted + 0.5 * steep
