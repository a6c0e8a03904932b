"""Random poses: an activity, a gesture, their variation, and no limb inside another."""

import jax
import jax.numpy as jnp
import numpy as np

from dsr_jax.arrays import Array, Float, Key
from dsr_jax.data.synthetic.activities import (
    ACTIVITIES,
    GESTURES,
    JOINT_SPREAD,
    Activity,
)
from dsr_jax.data.synthetic.collision import penetration
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
    body = _draw(draws, ACTIVITIES, settings.activities, settings)
    arms = _draw(draws, GESTURES, settings.gestures, settings)
    arms = jnp.where(draws.chance(0.5) > 0, mirror_angles(arms), arms)
    gesturing = draws.chance(settings.gesture_probability)
    with_gesture = jnp.where(IS_ARM, arms, body + arms * _IS_TRUNK)
    angles = jnp.where(gesturing > 0, with_gesture, body)
    angles = jnp.where(draws.chance(0.5) > 0, mirror_angles(angles), angles)
    return clip_to_limits(angles)


def _draw(
    draws: Draws,
    known: dict[str, Activity],
    weights: tuple[tuple[str, float], ...],
    settings: SyntheticSettings,
) -> Float[Array, "A"]:
    """Angles of one of the activities at a random phase, each joint varied."""
    names = tuple(known)
    index = draws.choice(weights, names)
    centre, cosine, sine = (
        jnp.asarray(np.stack([getattr(known[name], field) for name in names]))[index]
        for field in ("centre", "cosine", "sine")
    )
    spread = jnp.asarray(np.array([known[name].spread for name in names], np.float32))
    phase = draws.uniform((0, 2 * np.pi))
    noise = jnp.clip(draws.normal(len(ANGLE_NAMES)), -_TRUNCATION, _TRUNCATION)
    varied = settings.pose_spread * spread[index] * jnp.asarray(JOINT_SPREAD) * noise
    return centre + jnp.cos(phase) * cosine + jnp.sin(phase) * sine + varied
