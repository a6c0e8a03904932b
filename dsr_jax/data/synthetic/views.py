"""How a person is photographed: direction, crop, light, surroundings."""

import dataclasses
import typing

import jax
import jax.numpy as jnp

from dsr_jax.arrays import Array, Float, Key
from dsr_jax.body import KEYPOINT_NAMES_49
from dsr_jax.data.synthetic.backgrounds import Scene, sample_scene
from dsr_jax.data.synthetic.bystanders import Bystander, sample_bystander
from dsr_jax.data.synthetic.lighting import Light, sample_light
from dsr_jax.data.synthetic.occluders import Occluder, sample_occluder
from dsr_jax.data.synthetic.photograph import Exposure, sample_exposure
from dsr_jax.data.synthetic.sampling import Draws
from dsr_jax.data.synthetic.settings import SyntheticSettings
from dsr_jax.data.synthetic.skeleton import product
from dsr_jax.rotations import axis_angle_to_matrix

# The rasterizer sees to 100 m; the weak camera puts a body of scale s at 44.64 / s m.
_SCALE_RANGE = (0.5, 3.0)
_LARGEST_ROLL = 20.0
# Folded into a key whose children by `split`, numbered from 0, are used for the rest.
_BYSTANDER_KEY = 1_000_003
# Of the 24 ground-truth joints, which end at the head's top.
_LEG_JOINTS = [
    i
    for i, name in enumerate(KEYPOINT_NAMES_49[25:])
    if name.endswith(("knee", "ankle"))
]


@typing.no_type_check
@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class View:
    """One photograph of one person, before it is taken."""

    orientation: Float[Array, "3 3"]
    """From upright body axes to camera axes."""
    is_truncated: Array
    """1 if the crop holds the upper body only."""
    size: Array
    """Factor on the size of the person in the crop."""
    shift: Float[Array, "2"]
    """Of the person, in half-sides of the crop."""
    occluder: Occluder
    light: Light
    scene: Scene
    exposure: Exposure
    bystander: Bystander | None = None


def sample_view(key: Key[Array, ""], settings: SyntheticSettings) -> View:
    """Draws everything about a photograph but the person."""
    numbers, noise = jax.random.split(key)
    draws = Draws(numbers, 608)
    limit = settings.shift_range
    bystander = None
    if settings.bystander_probability > 0:
        company = jax.random.fold_in(key, _BYSTANDER_KEY)
        bystander = sample_bystander(Draws(company, 8), settings)
    return View(
        orientation=_sample_orientation(draws, settings),
        is_truncated=draws.chance(settings.truncation_probability),
        size=draws.uniform(settings.scale_range),
        shift=draws.uniform((-limit, limit), 2),
        occluder=sample_occluder(draws, settings),
        light=sample_light(draws, settings),
        scene=sample_scene(draws, settings),
        exposure=sample_exposure(draws, noise, settings),
        bystander=bystander,
    )


def _sample_orientation(
    draws: Draws, settings: SyntheticSettings
) -> Float[Array, "3 3"]:
    """Roll · pitch · Rx(π) · yaw; positive pitch looks down on the person."""
    limit = settings.yaw_limit_degrees
    anywhere = draws.uniform((-limit, limit))
    frontal = jnp.clip(settings.frontal_spread_degrees * draws.normal(), -limit, limit)
    is_frontal = draws.chance(settings.frontal_probability) > 0
    yaw = jnp.where(is_frontal, frontal, anywhere)
    # Rx(π) takes y up and z forward to the camera's y down and z away.
    pitch = draws.uniform(settings.pitch_degrees) + 180
    roll = jnp.clip(
        settings.roll_spread_degrees * draws.normal(), -_LARGEST_ROLL, _LARGEST_ROLL
    )
    zero = jnp.zeros_like(yaw)
    rows = [[zero, zero, roll], [pitch, zero, zero], [zero, yaw, zero]]
    axis_angles = jnp.deg2rad(jnp.stack([jnp.stack(row) for row in rows]))
    factors = axis_angle_to_matrix(axis_angles)
    return product(product(factors[0], factors[1]), factors[2])


def aim(
    view: View, joints: Float[Array, "24 3"], settings: SyntheticSettings
) -> Float[Array, "3"]:
    """The weak camera [s, tx, ty] whose crop holds the person as SPIN's boxes do.

    Args:
      view: how to crop.
      joints: the posed `gt24` joints in camera axes, metres.
      settings: the box's margin.
    """
    flat = joints[:, :2]
    on_leg = jnp.zeros(len(joints)).at[jnp.array(_LEG_JOINTS)].set(1)
    keep = (view.is_truncated * on_leg < 0.5)[:, None]
    low = jnp.min(jnp.where(keep, flat, jnp.inf), axis=0)
    high = jnp.max(jnp.where(keep, flat, -jnp.inf), axis=0)
    half = 0.5 * settings.box_margin * jnp.max(high - low)
    scale = jnp.clip(view.size / half, *_SCALE_RANGE)
    return jnp.concatenate([scale[None], view.shift / scale - 0.5 * (low + high)])
