"""Human joint angles, their limits, and the rotation matrices that they mean.

A pose is a vector of named angles in degrees, anatomical and the same for both sides:
flexion moves a limb forward (a knee backward), abduction moves it away from the middle,
internal rotation turns its front to the middle. All zero is standing upright with the
arms hanging straight down.
"""

import jax.numpy as jnp
import numpy as np

from dsr_jax.arrays import Array, Float
from dsr_jax.data.synthetic.skeleton import product
from dsr_jax.rotations import axis_angle_to_matrix

# Degrees. Ranges of healthy adults (American Academy of Orthopaedic Surgeons),
# rounded inwards; `tilt` and `roll` incline the pelvis in space and are unlimited.
TRUNK_LIMITS = {
    "tilt": (-95.0, 95.0),
    "roll": (-95.0, 95.0),
    "spine_bend": (-25.0, 65.0),
    "spine_side": (-32.0, 32.0),
    "spine_twist": (-42.0, 42.0),
    "head_bend": (-45.0, 45.0),
    "head_side": (-30.0, 30.0),
    "head_turn": (-65.0, 65.0),
}
SIDE_LIMITS = {
    "hip_flex": (-22.0, 122.0),
    "hip_abduct": (-14.0, 45.0),
    "hip_rotate": (-45.0, 32.0),
    "knee": (0.0, 140.0),
    "ankle": (-40.0, 28.0),
    "foot_side": (-15.0, 15.0),
    "toes": (-10.0, 50.0),
    "arm_flex": (-45.0, 172.0),
    "arm_abduct": (-25.0, 165.0),
    "arm_twist": (-90.0, 88.0),
    "elbow": (0.0, 142.0),
    "forearm_twist": (-75.0, 75.0),
    "wrist_flex": (-55.0, 65.0),
    "wrist_side": (-18.0, 28.0),
    "hand": (-8.0, 45.0),
}
ARM_ANGLES = tuple(SIDE_LIMITS)[7:]

ANGLE_NAMES = (
    *TRUNK_LIMITS,
    *(f"left_{name}" for name in SIDE_LIMITS),
    *(f"right_{name}" for name in SIDE_LIMITS),
)
LIMITS = np.array(
    [*TRUNK_LIMITS.values(), *SIDE_LIMITS.values(), *SIDE_LIMITS.values()], np.float32
)
IS_ARM = np.array([name.split("_", 1)[-1] in ARM_ANGLES for name in ANGLE_NAMES])

# Angle i of the mirrored person is MIRROR_SIGN[i] times angle MIRROR[i] of the person.
MIRROR = np.array(
    [
        ANGLE_NAMES.index(
            name.replace("left_", "R_")
            .replace("right_", "left_")
            .replace("R_", "right_")
        )
        for name in ANGLE_NAMES
    ]
)
_SIDEWAYS = ("roll", "spine_side", "spine_twist", "head_side", "head_turn")
MIRROR_SIGN = np.array(
    [-1.0 if name in _SIDEWAYS else 1.0 for name in ANGLE_NAMES], np.float32
)

# How a movement of the trunk spreads over spine1, spine2, spine3, and of the head over
# neck and head.
_SPINE_SHARE = (0.3, 0.35, 0.35)
_NECK_SHARE = (0.45, 0.55)
# The collarbone takes part of an arm's elevation above 40 degrees, and of its flexion
# (scapulohumeral rhythm).
_COLLAR_START = 40.0
_COLLAR_UP_SHARE = 0.28
_COLLAR_FORWARD_SHARE = 0.10


def vector(**degrees: float) -> Float[np.ndarray, "A"]:
    """An angle vector; a name without a side sets both sides."""
    values = np.zeros(len(ANGLE_NAMES), np.float32)
    # A name with a side wins over the same name without, in any order.
    for name in sorted(degrees, key=lambda name: name in ANGLE_NAMES):
        targets = [name] if name in ANGLE_NAMES else [f"left_{name}", f"right_{name}"]
        for target in targets:
            values[ANGLE_NAMES.index(target)] = degrees[name]
    return values


def mirror_angles(angles: Float[Array, "*batch A"]) -> Float[Array, "*batch A"]:
    """The angles of the person seen in a mirror."""
    mirrored = angles[..., MIRROR]
    return mirrored * jnp.broadcast_to(jnp.asarray(MIRROR_SIGN), mirrored.shape)


def clip_to_limits(angles: Float[Array, "*batch A"]) -> Float[Array, "*batch A"]:
    """Angles a person can take: each in its range, and arms off the trunk.

    An arm that hangs cannot cross the body, and one raised forwards cannot be raised
    sideways by the full angle as well.
    """
    limits = jnp.asarray(LIMITS, angles.dtype)
    shape = angles.shape
    angles = jnp.clip(
        angles,
        jnp.broadcast_to(limits[:, 0], shape),
        jnp.broadcast_to(limits[:, 1], shape),
    )
    for side in ("left", "right"):
        flex = angles[..., ANGLE_NAMES.index(f"{side}_arm_flex")]
        abduct = ANGLE_NAMES.index(f"{side}_arm_abduct")
        lowest, highest = arm_abduction_range(flex)
        angles = angles.at[..., abduct].set(
            jnp.clip(angles[..., abduct], lowest, highest)
        )
    return angles


def arm_abduction_range(flex: Array) -> tuple[Array, Array]:
    """The range of `arm_abduct` at an `arm_flex`, degrees."""
    across = jnp.clip((flex - 15) / 40, 0, 1)
    lowest = 8 - across * (8 - SIDE_LIMITS["arm_abduct"][0])
    highest = jnp.clip(SIDE_LIMITS["arm_abduct"][1] - jnp.abs(flex), 22, None)
    return lowest, highest


def angles_to_pose(angles: Float[Array, "*batch A"]) -> Float[Array, "*batch 24 3 3"]:
    """Joint rotations in SMPL's order; pose[0] stays in body axes: y up, z forward.

    Each joint is a product of three rotations, given as axis-angle vectors.
    """
    radians = jnp.deg2rad(angles)
    named = {name: radians[..., i] for i, name in enumerate(ANGLE_NAMES)}
    factors = _trunk(named)
    for offset, side, sign in ((0, "left", 1.0), (1, "right", -1.0)):
        own = {name: named[f"{side}_{name}"] for name in SIDE_LIMITS}
        for joint, factor in {**_leg(own, sign), **_arm(own, sign)}.items():
            factors[joint + offset] = factor
    stacked = jnp.stack([_stack(factors[joint]) for joint in range(24)], axis=-3)
    first, second, third = jnp.moveaxis(axis_angle_to_matrix(stacked), -3, 0)
    pose = product(product(first, second), third)
    # An arm's angles are those of the trunk: its collarbone has moved already.
    collars, shoulders = pose[..., 13:15, :, :], pose[..., 16:18, :, :]
    turned_back = product(jnp.swapaxes(collars, -1, -2), shoulders)
    return pose.at[..., 16:18, :, :].set(turned_back)


# Three axis-angle vectors, each a triple of coordinates.
_Factors = tuple[tuple[Array | float, ...], ...]


def _stack(factors: _Factors) -> Float[Array, "*batch 3 3"]:
    padded = [*factors, *[(0.0, 0.0, 0.0)] * (3 - len(factors))]
    entries = jnp.broadcast_arrays(*(jnp.asarray(c) for row in padded for c in row))
    return jnp.stack(entries, axis=-1).reshape(*entries[0].shape, 3, 3)


def _trunk(a: dict[str, Array]) -> dict[int, _Factors]:
    """Pelvis, spine, neck and head."""
    factors: dict[int, _Factors] = {0: ((a["tilt"], 0, 0), (0, 0, -a["roll"]))}
    spine = a["spine_bend"], a["spine_twist"], -a["spine_side"]
    head = a["head_bend"], a["head_turn"], -a["head_side"]
    for joint, share in zip((3, 6, 9), _SPINE_SHARE, strict=True):
        factors[joint] = (tuple(share * angle for angle in spine),)
    for joint, share in zip((12, 15), _NECK_SHARE, strict=True):
        factors[joint] = (tuple(share * angle for angle in head),)
    return factors


def _leg(a: dict[str, Array], sign: float) -> dict[int, _Factors]:
    """Hip, knee, ankle and foot, by their left-side joint numbers."""
    return {
        1: (
            (-a["hip_flex"], 0, 0),
            (0, 0, sign * a["hip_abduct"]),
            (0, -sign * a["hip_rotate"], 0),
        ),
        4: ((a["knee"], 0, 0),),
        7: ((-a["ankle"], 0, 0), (0, 0, sign * a["foot_side"])),
        10: ((-a["toes"], 0, 0),),
    }


def _arm(a: dict[str, Array], sign: float) -> dict[int, _Factors]:
    """Collar, shoulder, elbow, wrist and hand, by their left-side joint numbers.

    The rest pose holds the arms out horizontally, palms down: an abduction of 90°.
    """
    flex, abduct = a["arm_flex"], a["arm_abduct"]
    cosine = jnp.clip(jnp.cos(flex) * jnp.cos(abduct), -0.999, 0.999)
    raised = jnp.maximum(jnp.arccos(cosine) - jnp.deg2rad(_COLLAR_START), 0)
    forward = _COLLAR_FORWARD_SHARE * jnp.clip(flex, 0, jnp.pi / 2)
    half_twist = a["forearm_twist"] / 2
    return {
        13: ((0, 0, sign * _COLLAR_UP_SHARE * raised), (0, -sign * forward, 0)),
        16: (
            (-flex, 0, 0),
            (0, 0, sign * (abduct - jnp.pi / 2)),
            (a["arm_twist"], 0, 0),
        ),
        18: ((0, -sign * a["elbow"], 0), (half_twist, 0, 0)),
        20: (
            (half_twist, 0, 0),
            (0, -sign * a["wrist_side"], 0),
            (0, 0, -sign * a["wrist_flex"]),
        ),
        22: ((0, 0, -sign * a["hand"]),),
    }
