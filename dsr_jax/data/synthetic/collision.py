"""How far the limbs of a skeleton are inside each other: capsules along its bones."""

import dataclasses

import jax.numpy as jnp
import numpy as np

from dsr_jax.arrays import Array, Float
from dsr_jax.body import JOINT_NAMES
from dsr_jax.numerics import safe_divide, safe_norm


@dataclasses.dataclass(frozen=True)
class _Capsule:
    """A segment from `start` to `end`, in units of the bone from joint `a` to `b`."""

    a: str
    b: str
    radius: float
    start: float = 0.0
    end: float = 1.0


# Radii in metres of a slender adult: only gross penetration counts.
_CAPSULES = {
    "belly": _Capsule("pelvis", "spine3", 0.105),
    "chest": _Capsule("spine2", "neck", 0.105, 0.2, 0.8),
    "hips": _Capsule("left_hip", "right_hip", 0.095),
    "head": _Capsule("neck", "head", 0.085, 1.0, 1.9),
}
for _side in ("left", "right"):
    _CAPSULES |= {
        f"{_side} upper arm": _Capsule(
            f"{_side}_shoulder", f"{_side}_elbow", 0.040, 0.55, 1.0
        ),
        f"{_side} forearm": _Capsule(
            f"{_side}_elbow", f"{_side}_wrist", 0.036, 0.1, 1.0
        ),
        f"{_side} hand": _Capsule(f"{_side}_wrist", f"{_side}_hand", 0.035, 0.0, 1.5),
        f"{_side} thigh": _Capsule(f"{_side}_hip", f"{_side}_knee", 0.070, 0.25, 1.0),
        f"{_side} shin": _Capsule(f"{_side}_knee", f"{_side}_ankle", 0.048),
        f"{_side} foot": _Capsule(f"{_side}_ankle", f"{_side}_foot", 0.040, 0.0, 1.3),
    }
_TRUNK = ("belly", "chest", "hips", "head")


def _pairs() -> list[tuple[str, str]]:
    """Which capsules may not enter which; neighbours along a limb may touch."""
    pairs = []
    for side, other in (("left", "right"), ("right", "left")):
        arm = [f"{side} {part}" for part in ("upper arm", "forearm", "hand")]
        legs = [
            f"{s} {p}" for s in ("left", "right") for p in ("thigh", "shin", "foot")
        ]
        pairs += [(part, trunk) for part in arm for trunk in _TRUNK]
        pairs += [(part, leg) for part in arm[1:] for leg in legs]
        pairs += [(f"{side} {p}", f"{other} thigh") for p in ("shin", "foot")]
        pairs += [(f"{side} shin", f"{other} foot")]
    for part in ("forearm", "hand", "thigh", "shin", "foot"):
        pairs.append((f"left {part}", f"right {part}"))
    pairs += [("left forearm", "right hand"), ("right forearm", "left hand")]
    pairs += [("left upper arm", "right hand"), ("right upper arm", "left hand")]
    return pairs


_NAMES = list(_CAPSULES)
_FIRST, _SECOND = np.array([[_NAMES.index(a), _NAMES.index(b)] for a, b in _pairs()]).T
_A = np.array([JOINT_NAMES.index(c.a) for c in _CAPSULES.values()])
_B = np.array([JOINT_NAMES.index(c.b) for c in _CAPSULES.values()])
_START = np.array([c.start for c in _CAPSULES.values()], np.float32)
_END = np.array([c.end for c in _CAPSULES.values()], np.float32)
_RADIUS = np.array([c.radius for c in _CAPSULES.values()], np.float32)


def penetration(joints: Float[Array, "*batch 24 3"]) -> Float[Array, "*batch"]:
    """The sum over all pairs of capsules of how deep one is in the other, metres."""
    a, b = joints[..., _A, :], joints[..., _B, :]
    shape = a.shape[:-1]
    start = a + jnp.broadcast_to(_START, shape)[..., None] * (b - a)
    end = a + jnp.broadcast_to(_END, shape)[..., None] * (b - a)
    distance = segment_distance(
        start[..., _FIRST, :],
        end[..., _FIRST, :],
        start[..., _SECOND, :],
        end[..., _SECOND, :],
    )
    allowed = jnp.broadcast_to(_RADIUS[_FIRST] + _RADIUS[_SECOND], distance.shape)
    return jnp.sum(jnp.maximum(allowed - distance, 0), axis=-1)


def segment_distance(
    p0: Float[Array, "*batch 3"],
    p1: Float[Array, "*batch 3"],
    q0: Float[Array, "*batch 3"],
    q1: Float[Array, "*batch 3"],
) -> Float[Array, "*batch"]:
    """Smallest distance between the segments p0 p1 and q0 q1.

    Exact: the nearest point of the first segment to the other's line, clamped; then
    each clamped once more against the other (Ericson, Real-Time Collision Detection,
    5.1.9).
    """
    u, v, w = p1 - p0, q1 - q0, p0 - q0
    uu, vv, uv = _dot(u, u), _dot(v, v), _dot(u, v)
    uw, vw = _dot(u, w), _dot(v, w)
    s = jnp.clip(safe_divide(uv * vw - uw * vv, uu * vv - uv * uv), 0, 1)
    t = jnp.clip(safe_divide(uv * s + vw, vv), 0, 1)
    s = jnp.clip(safe_divide(uv * t - uw, uu), 0, 1)
    return safe_norm(w + s[..., None] * u - t[..., None] * v)


def _dot(a: Array, b: Array) -> Array:
    return jnp.sum(a * b, axis=-1)
