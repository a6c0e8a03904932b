"""An object between the camera and the person."""

import dataclasses
import typing

import jax
import jax.numpy as jnp

from dsr_jax.arrays import Array, Float
from dsr_jax.data.synthetic.sampling import Draws
from dsr_jax.data.synthetic.settings import SyntheticSettings


@typing.no_type_check
@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Occluder:
    """An ellipse or a rectangle; NDC, y up."""

    centre: Float[Array, "2"]
    half: Float[Array, "2"]
    """Half its width and height; 0 where there is none."""
    is_round: Float[Array, ""]
    colour: Float[Array, "3"]
    stripe: Float[Array, "3"]
    """What its stripes add to or take from the colour."""


def sample_occluder(draws: Draws, settings: SyntheticSettings) -> Occluder:
    """An object somewhere over the crop, or none. Takes 12 numbers."""
    return Occluder(
        half=draws.chance(settings.occluder_probability)
        * draws.uniform(settings.occluder_size, 2),
        centre=draws.uniform((-0.85, 0.85), 2),
        is_round=draws.chance(0.5),
        colour=draws.unit(3),
        stripe=0.2 * draws.normal(3),
    )


def covered(occluder: Occluder, x: Array, y: Array) -> Array:
    """Whether the object hides each point; NDC, y up."""
    there = occluder.half > 0
    half = jnp.where(there, occluder.half, 1)
    dx = jnp.abs(x - occluder.centre[0]) / half[0]
    dy = jnp.abs(y - occluder.centre[1]) / half[1]
    extent = jnp.where(occluder.is_round > 0, dx * dx + dy * dy, jnp.maximum(dx, dy))
    return there[0] & (extent < 1)


def draw_occluder(
    occluder: Occluder, picture: Float[Array, "3 S S"], hidden: Array
) -> Float[Array, "3 S S"]:
    """Paints the object over the pixels it hides."""
    size = picture.shape[-1]
    stripes = jnp.sign(jnp.sin(jnp.arange(size) * (40.0 / size)))[None, :, None]
    colour = occluder.colour[:, None, None] + occluder.stripe[:, None, None] * stripes
    return jnp.where(hidden[None], colour, picture)
