"""How a person is photographed: direction, crop, light, an object in front."""

import dataclasses
import typing

import jax
import jax.numpy as jnp

from dsr_jax.arrays import Array, Float, Key
from dsr_jax.body import JOINT_NAMES
from dsr_jax.data.synthetic.sampling import Draws
from dsr_jax.data.synthetic.settings import SyntheticSettings
from dsr_jax.data.synthetic.skeleton import product
from dsr_jax.rotations import axis_angle_to_matrix

# The rasterizer sees to 100 m; the weak camera puts a body of scale s at 44.64 / s m.
_SCALE_RANGE = (0.5, 3.0)
# The head and the hands and feet stick out of the box of the joints, metres.
_BEYOND_JOINTS = 0.08
_LEG_JOINTS = [
    i for i, name in enumerate(JOINT_NAMES) if name.endswith(("knee", "ankle", "foot"))
]


@typing.no_type_check
@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Occluder:
    """An ellipse or a rectangle in front of the person; NDC, y up."""

    centre: Float[Array, "2"]
    half: Float[Array, "2"]
    """Half its width and height; 0 where there is none."""
    is_round: Float[Array, ""]
    colour: Float[Array, "3"]
    stripe: Float[Array, "3"]


def sample_orientation(
    key: Key[Array, ""], settings: SyntheticSettings
) -> Float[Array, "3 3"]:
    """Rotation from upright body axes to camera axes: roll · pitch · Rx(π) · yaw."""
    draws = Draws(key, 16)
    limit = settings.yaw_limit_degrees
    anywhere = draws.uniform((-limit, limit))
    frontal = settings.frontal_spread_degrees * draws.normal()
    yaw = jnp.where(
        draws.chance(settings.frontal_probability) > 0,
        jnp.clip(frontal, -limit, limit),
        anywhere,
    )
    pitch = draws.uniform(settings.pitch_degrees)
    roll = settings.roll_spread_degrees * draws.normal()
    zero = jnp.zeros(())
    # Rx(π) takes y up and z forward to the camera's y down and z away.
    vectors = jnp.stack(
        [
            jnp.stack([zero, zero, jnp.deg2rad(jnp.clip(roll, -20, 20))]),
            jnp.stack([jnp.deg2rad(pitch) + jnp.pi, zero, zero]),
            jnp.stack([zero, jnp.deg2rad(yaw), zero]),
        ]
    )
    factors = axis_angle_to_matrix(vectors)
    return product(product(factors[0], factors[1]), factors[2])


def sample_camera(
    key: Key[Array, ""], joints: Float[Array, "24 3"], settings: SyntheticSettings
) -> Float[Array, "3"]:
    """A weak camera whose crop holds the person as the boxes of SPIN do.

    Args:
      key: random key.
      joints: posed joints in camera axes, metres.
      settings: margin, jitter, how often only the upper body is shown.
    """
    draws = Draws(key, 16)
    flat = joints[:, :2]
    whole = jnp.ones(len(JOINT_NAMES))
    upper = whole.at[jnp.array(_LEG_JOINTS)].set(0)
    keep = jnp.where(draws.chance(settings.truncation_probability) > 0, upper, whole)
    low = jnp.min(jnp.where(keep[:, None] > 0, flat, jnp.inf), axis=0) - _BEYOND_JOINTS
    high = (
        jnp.max(jnp.where(keep[:, None] > 0, flat, -jnp.inf), axis=0) + _BEYOND_JOINTS
    )
    half = 0.5 * settings.box_margin * jnp.max(high - low)
    scale = jnp.clip(draws.uniform(settings.scale_range) / half, *_SCALE_RANGE)
    limit = settings.shift_range
    shift = draws.uniform((-limit, limit), 2) / scale
    return jnp.concatenate([scale[None], shift - 0.5 * (low + high)])


def sample_occluder(key: Key[Array, ""], settings: SyntheticSettings) -> Occluder:
    """An object somewhere over the crop, or none."""
    draws = Draws(key, 16)
    there = draws.chance(settings.occluder_probability)
    half = draws.uniform(settings.occluder_size, 2)
    return Occluder(
        centre=draws.uniform((-0.85, 0.85), 2),
        half=there * half,
        is_round=draws.chance(0.5),
        colour=draws.unit(3),
        stripe=0.25 * draws.normal(3),
    )


def covered(occluder: Occluder, x: Array, y: Array) -> Array:
    """Whether the object hides each point; NDC, y up."""
    there = occluder.half > 0
    half = jnp.where(there, occluder.half, 1)
    dx = jnp.abs(x - occluder.centre[0]) / half[0]
    dy = jnp.abs(y - occluder.centre[1]) / half[1]
    extent = jnp.where(occluder.is_round > 0, dx * dx + dy * dy, jnp.maximum(dx, dy))
    return there[0] & (extent < 1)
