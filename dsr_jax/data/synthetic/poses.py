"""Random poses: an activity, a gesture, their variation, and no limb inside another."""

import jax
import jax.numpy as jnp
import numpy as np

from dsr_jax.arrays import Array, Float, Int, Key
from dsr_jax.data.synthetic.activities import ACTIVITIES, JOINT_SPREAD
from dsr_jax.data.synthetic.collision import penetration
from dsr_jax.data.synthetic.gestures import GESTURES
from dsr_jax.data.synthetic.joint_angles import (
    ANGLE_NAMES,
    IS_ARM,
    angles_to_pose,
    clip_to_limits,
    mirror_angles,
)
from dsr_jax.data.synthetic.sampling import Draws
from dsr_jax.data.synthetic.settings import SyntheticSettings
from dsr_jax.data.synthetic.skeleton import joint_positions, world_rotations

# The least penetrating of this many draws is kept; with 6, fewer than 1 person in 100
# keeps more than 3 cm.
_CANDIDATES = 6
# Metres of penetration that soft tissue takes up: the first such draw will do.
_TOLERANCE = 0.02
# Angles vary by at most this many standard deviations.
_TRUNCATION = 2.0
# A gesture decides what the arms do and adds its part to the spine and the head.
_IS_TRUNK = np.array([name.startswith(("head", "spine")) for name in ANGLE_NAMES])

_FIELDS = ("centre", "cosine", "sine")
_KINDS = (*ACTIVITIES.values(), *GESTURES.values())
_CURVES = np.array([[getattr(kind, field) for kind in _KINDS] for field in _FIELDS])
_SPREADS = np.array([kind.spread * JOINT_SPREAD for kind in _KINDS])


def sample_pose(
    key: Key[Array, ""], rest_joints: Float[Array, "24 3"], settings: SyntheticSettings
) -> Float[Array, "24 3 3"]:
    """Joint rotations of one person; pose[0] in body axes (y up), upright but tilted.

    Args:
      key: random key.
      rest_joints: the skeleton on which penetration is measured, metres.
      settings: weights of activities and gestures, spread.
    """
    keys = jax.random.split(key, _CANDIDATES)
    angles = jax.vmap(sample_angles, in_axes=(0, None))(keys, settings)
    pose = angles_to_pose(angles)
    depth = penetration(joint_positions(world_rotations(pose), rest_joints))
    return pose[jnp.argmin(jnp.maximum(depth, _TOLERANCE))]


def sample_angles(
    key: Key[Array, ""], settings: SyntheticSettings
) -> Float[Array, "A"]:
    """One angle vector in degrees, within the limits of `joint_angles`."""
    draws = Draws(key, 2 * len(ANGLE_NAMES) + 16)
    activity = draws.choice(settings.activities, tuple(ACTIVITIES))
    gesture = draws.choice(settings.gestures, tuple(GESTURES))
    kinds = jnp.stack([activity, len(ACTIVITIES) + gesture])
    body, arms = _vary(draws, kinds, settings.pose_spread)
    arms = jnp.where(draws.chance(0.5) > 0, mirror_angles(arms), arms)
    gesturing = draws.chance(settings.gesture_probability)
    with_gesture = jnp.where(IS_ARM, arms, body + arms * _IS_TRUNK)
    angles = jnp.where(gesturing > 0, with_gesture, body)
    angles = jnp.where(draws.chance(0.5) > 0, mirror_angles(angles), angles)
    return clip_to_limits(angles)


def _vary(draws: Draws, kinds: Int[Array, "N"], spread: float) -> Float[Array, "N A"]:
    """Each of some kinds of activity at a random phase, each of its joints varied."""
    count = kinds.shape[0]
    centre, cosine, sine = jnp.asarray(_CURVES)[:, kinds]
    phase = draws.uniform((0, 2 * np.pi), count)[:, None]
    noise = jnp.clip(draws.normal(count, len(ANGLE_NAMES)), -_TRUNCATION, _TRUNCATION)
    varied = spread * jnp.asarray(_SPREADS)[kinds] * noise
    return centre + jnp.cos(phase) * cosine + jnp.sin(phase) * sine + varied
