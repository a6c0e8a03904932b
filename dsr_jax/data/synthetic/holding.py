"""What people hold: a box, a bottle, a telephone, a ball or a bag, in either hand.

All are one grid of vertices: a profile turned around an axis, its cross-section round
or square. Edges are sharp because their vertices are there twice, with both normals.
"""

import dataclasses
import typing

import jax
import jax.numpy as jnp
import numpy as np

from dsr_jax.arrays import Array, Float
from dsr_jax.body import JOINT_NAMES
from dsr_jax.data.synthetic.pieces import Piece, grid_faces
from dsr_jax.data.synthetic.sampling import Draws
from dsr_jax.data.synthetic.settings import OBJECTS, SyntheticSettings
from dsr_jax.data.synthetic.surface import Points
from dsr_jax.numerics import geometry_einsum, safe_normalize

ROWS, COLUMNS = 10, 17
OBJECT_VERTICES = ROWS * COLUMNS

# Profiles from the bottom up: (radius, height) in [0, 1] and [-1, 1].
_BLOCK = ((0.0, -1.0), (1.0, -1.0), (1.0, 1.0), (0.0, 1.0))
_BOTTLE = ((0, -1), (1, -1), (1, 0.35), (0.35, 0.6), (0.35, 1), (0, 1))
# The strap reaches up to the hand.
_BAG = ((0, -1), (1, -1), (0.9, 0.5), (0.06, 0.55), (0.06, 1), (0, 1))
_PROFILES = {"box": _BLOCK, "bottle": _BOTTLE, "telephone": _BLOCK, "bag": _BAG}
_ROUND = ("bottle", "ball")
# Half the extents in metres, along the fingers, along the thumb and across the palm:
# smallest and largest; of the bag across its front, up, and from front to back.
_HALVES = {
    "box": ((0.05, 0.06, 0.03), (0.12, 0.16, 0.10)),
    "bottle": ((0.03, 0.10, 0.03), (0.04, 0.15, 0.04)),
    "telephone": ((0.035, 0.07, 0.004), (0.04, 0.085, 0.006)),
    "ball": ((0.04, 0.04, 0.04), (0.12, 0.12, 0.12)),
    "bag": ((0.12, 0.18, 0.04), (0.20, 0.28, 0.09)),
}
# Objects lie this far beneath the bone of the hand, metres, and the strap of a bag in
# the bent fingers.
_PALM, _FINGERS = 0.018, 0.05


@typing.no_type_check
@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Held:
    """What one person holds."""

    is_there: Array
    kind: Array
    """An index into `OBJECTS`."""
    in_left: Array
    half: Float[Array, "3"]
    """Half the extents, metres."""
    colours: Float[Array, "2 3"]
    """Of the object and of a band around it."""


def sample_held(draws: Draws, settings: SyntheticSettings) -> Held:
    """Draws an object, or none. Takes 12 numbers."""
    kind = draws.choice(settings.objects, OBJECTS)
    low, high = jnp.asarray([_HALVES[name] for name in OBJECTS])[kind]
    fraction = draws.unit(3)
    # Bottles and balls are round.
    is_round = jnp.asarray([name in _ROUND for name in OBJECTS])[kind]
    is_ball = kind == OBJECTS.index("ball")
    fraction = fraction.at[2].set(jnp.where(is_round, fraction[0], fraction[2]))
    fraction = jnp.where(is_ball, fraction[:1], fraction)
    return Held(
        is_there=draws.chance(settings.object_probability),
        kind=kind,
        in_left=draws.chance(0.5),
        half=low + fraction * (high - low),
        colours=draws.unit(2, 3),
    )


def object_faces(first_vertex: int) -> np.ndarray:
    """The triangles of the object, its vertices numbered from `first_vertex`."""
    return grid_faces(ROWS, COLUMNS, first_vertex)


def hold(
    held: Held, joints: Float[Array, "24 3"], rotations: Float[Array, "24 3 3"]
) -> Piece:
    """Puts the object into the hand.

    Args:
      held: the object.
      joints: of the posed body, metres, camera axes.
      rotations: world rotation of each joint.
    """
    left = JOINT_NAMES.index("left_hand")
    hand = jnp.where(held.in_left > 0, left, left + 1)
    side = 2 * held.in_left - 1
    is_bag = held.kind == OBJECTS.index("bag")
    # Columns: along the fingers, the thumb (the object's axis), the back of the hand.
    fingers, back, thumb = rotations[hand].T
    grip = jnp.stack([side * fingers, thumb, back], axis=1)
    beneath = -(_PALM + held.half[2]) * grip[:, 2]
    down = jnp.array([0.0, 1.0, 0.0])
    hung = _FINGERS * grip[:, 0] + held.half[1] * down
    centre = joints[hand] + jnp.where(is_bag, hung, beneath)
    frame = jnp.where(is_bag, _upright(rotations[0]), grip)
    shape, normals = (jnp.asarray(table)[held.kind] for table in _SHAPES)
    vertices = centre[None] + geometry_einsum(
        "ij,nj->ni", frame, shape * held.half[None]
    )
    turned = geometry_einsum("ij,nj->ni", frame, normals / held.half[None])
    height = shape[:, 1]
    zero = jnp.zeros_like(height)
    return Piece(
        vertices=jnp.where(held.is_there > 0, vertices, centre[None]),
        normals=safe_normalize(turned),
        points=Points(x=shape[:, 0], y=height, z=zero, arm=zero, height=zero),
    )


def _upright(pelvis: Float[Array, "3 3"]) -> Float[Array, "3 3"]:
    """Columns: a horizontal axis, up, and the other; a bag hangs as people face."""
    up = jnp.array([0.0, -1.0, 0.0])
    # The camera's axis where the pelvis lies on its back.
    level = pelvis[:, 2].at[1].set(0) + 1e-3 * jnp.array([0.0, 0.0, 1.0])
    front = safe_normalize(level)
    return jnp.stack([front, up, jnp.cross(front, up)], axis=1)


def object_colour(held: Held, points: Points) -> Float[Array, "3 ..."]:
    """Its colour, with a band around the middle."""
    band = (jnp.abs(points.y) < 0.25)[None]
    first, second = (
        held.colours[i].reshape(3, *(1,) * points.y.ndim) for i in range(2)
    )
    return jnp.where(band, second, first)


def _profile(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Radius and height (ROWS, 2) up a profile, and the normals there."""
    if name == "ball":
        angle = np.linspace(-np.pi / 2, np.pi / 2, ROWS)
        ball = np.stack([np.cos(angle), np.sin(angle)], -1)
        return ball, ball
    knots = np.array(_PROFILES[name], float)
    pairs = np.stack([knots[:-1], knots[1:]], axis=1)
    across = pairs[:, 1] - pairs[:, 0]
    normals = np.stack([across[:, 1], -across[:, 0]], -1)[:, None].repeat(2, 1)
    missing = (0, ROWS // 2 - len(pairs))
    pad = (missing, (0, 0), (0, 0))
    pairs, normals = (np.pad(x, pad, mode="edge") for x in (pairs, normals))
    # What is added are points at the end of the profile.
    pairs[len(across) :, 0] = pairs[-1, 1]
    return pairs.reshape(ROWS, 2), normals.reshape(ROWS, 2)


def _section(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Points (COLUMNS, 2) around a circle or a square, and the normals there."""
    if name in _ROUND:
        turn = np.linspace(0, 2 * np.pi, COLUMNS)
        circle = np.stack([np.cos(turn), np.sin(turn)], -1)
        return circle, circle
    line = np.linspace(-1, 1, (COLUMNS - 1) // 4)
    one = np.ones_like(line)
    sides = [(one, line, 1, 0), (-line, one, 0, 1), (-one, -line, -1, 0)]
    sides.append((line, -one, 0, -1))
    points = np.concatenate([np.stack(side[:2], -1) for side in sides])
    normals = np.concatenate([np.tile(side[2:], (len(line), 1)) for side in sides])
    return np.vstack([points, points[:1]]), np.vstack([normals, normals[-1:]])


def _shapes() -> tuple[np.ndarray, np.ndarray]:
    """Vertices and normals (K, OBJECT_VERTICES, 3) of unit objects, in `OBJECTS`."""
    shapes, normals = [], []
    for name in OBJECTS:
        (profile, up), (section, out) = _profile(name), _section(name)
        shapes.append(_turned(profile, section))
        normals.append(_turned(up, out))
    return np.array(shapes, np.float32), np.array(normals, np.float32)


def _turned(profile: np.ndarray, section: np.ndarray) -> np.ndarray:
    """(OBJECT_VERTICES, 3): a profile (ROWS, 2) around a section (COLUMNS, 2)."""
    flat = profile[:, None, :1] * section[None]
    height = np.broadcast_to(profile[:, 1:, None], (ROWS, COLUMNS, 1))
    grid = np.concatenate([flat[..., :1], height, flat[..., 1:]], axis=-1)
    return grid.reshape(OBJECT_VERTICES, 3)


_SHAPES = _shapes()
