"""Cloth that hangs around both legs: skirts, dresses, long coats.

A tube of rings around the convex hull of the trunk and the legs, slice by slice of the
posed and clothed body: it follows every shape and every pose without cutting through a
leg, and spans the gap between the legs as a skirt does.
"""

import jax
import jax.numpy as jnp
import numpy as np

from dsr_jax.arrays import Array, Float, Int
from dsr_jax.body import JOINT_NAMES
from dsr_jax.data.synthetic.outfits import Outfit
from dsr_jax.data.synthetic.pieces import Piece, grid_faces, grid_normals
from dsr_jax.data.synthetic.surface import LEVELS, Points, Surface
from dsr_jax.numerics import geometry_einsum, safe_normalize

RINGS = 10
SEGMENTS = 24
TUBE_VERTICES = RINGS * (SEGMENTS + 1)

# How sharply a direction picks the outermost point of a slice, 1/metres.
_SHARPNESS = 70.0
# A skirt narrows by at most this from one slice (of 8 cm) to the next, metres.
_NARROWING = 0.012
# Its clearance from the clothes beneath, metres.
_CLEARANCE = 0.010
# Metres of a unit of `Points.height`, for the pattern on the cloth.
_HEIGHT_UNIT = 0.42
_PATTERN_RADIUS = 0.16


def tube_faces(first_vertex: int) -> Int[np.ndarray, "G 3"]:
    """The triangles of the tube, its vertices numbered from `first_vertex`."""
    return grid_faces(RINGS, SEGMENTS + 1, first_vertex)


def hang(
    clothed: Float[Array, "V 3"],
    rotations: Float[Array, "24 3 3"],
    surface: Surface,
    outfit: Outfit,
) -> Piece:
    """Wraps the tube around a posed body.

    Args:
      clothed: vertices of the posed body in its other clothes, metres.
      rotations: world rotation of each joint.
      surface: of the body model.
      outfit: how long, how wide, how open.
    """
    turns = _turns(outfit)
    centre, point, outward = _slices(clothed[surface.levels], _frames(rotations), turns)
    heights = _ring_heights(outfit)
    index = (LEVELS[0] - heights) / (LEVELS[0] - LEVELS[1])
    centre, point, outward = (_between(x, index) for x in (centre, point, outward))
    down = jnp.linspace(0, 1, RINGS)
    wave = jnp.cos(outfit.fold_count * turns)
    stands_off = down[:, None] * (1 + outfit.folds * wave[None, :]) * outfit.flare
    vertices = point + (stands_off + _CLEARANCE)[..., None] * outward
    vertices = jnp.where(outfit.has_flare > 0, vertices, vertices[:1, :1])
    normals = grid_normals(vertices, vertices - centre)
    return Piece(
        vertices.reshape(-1, 3), normals.reshape(-1, 3), _pattern(turns, heights)
    )


def _turns(outfit: Outfit) -> Float[Array, "K"]:
    """The angle of each column: 0 is the person's left, π/2 the front.

    The seam is in front, where an open coat leaves a gap.
    """
    is_coat = outfit.coat_hem < -0.5
    gap = jnp.where(is_coat, 3.5 * outfit.coat_open, 0.0)
    return jnp.pi / 2 + gap + jnp.linspace(0, 1, SEGMENTS + 1) * 2 * (jnp.pi - gap)


def _ring_heights(outfit: Outfit) -> Float[Array, "R"]:
    start = jnp.minimum(outfit.flare_start, LEVELS[0])
    hem = jnp.maximum(outfit.flare_hem, LEVELS[-1])
    heights = start + jnp.linspace(0, 1, RINGS) * (hem - start)
    return jnp.clip(heights, LEVELS[-1], LEVELS[0])


def _frames(rotations: Array) -> Float[Array, "L 3 3"]:
    """Rows: to the left, to the front, and down, at each level of the posed body."""

    def down(*names: str) -> Array:
        joints = np.array([JOINT_NAMES.index(name) for name in names])
        return -jnp.sum(rotations[joints, :, 1], axis=0)

    pelvis = down("pelvis")
    # A trace of the pelvis decides where the legs cancel each other.
    thighs = safe_normalize(down("left_hip", "right_hip") + 0.2 * pelvis)
    shins = safe_normalize(down("left_knee", "right_knee") + 0.2 * pelvis)
    knots = jnp.stack([shins, thighs, pelvis])
    levels = jnp.array(LEVELS)
    along = [
        jnp.interp(levels, jnp.array([-1.4, -0.6, 0.2]), knots[:, i]) for i in range(3)
    ]
    down_axis = safe_normalize(jnp.stack(along, -1))
    left = jnp.broadcast_to(rotations[0][:, 0], down_axis.shape)
    front = safe_normalize(jnp.cross(down_axis, left))
    return jnp.stack([jnp.cross(front, down_axis), front, down_axis], axis=1)


def _slices(
    around: Float[Array, "L M 3"], frames: Float[Array, "L 3 3"], turns: Array
) -> tuple[Array, Array, Array]:
    """Centre, hull point and outward direction: (L, 1, 3), (L, K, 3), (L, K, 3)."""
    centre = jnp.mean(around, axis=1, keepdims=True)
    local = geometry_einsum("lij,lmj->lmi", frames, around - centre)
    cosine, sine = jnp.cos(turns), jnp.sin(turns)
    directions = jnp.stack([cosine, sine], -1)
    across = jnp.stack([-sine, cosine], -1)
    reach = geometry_einsum("ki,lmi->lkm", directions, local[..., :2])
    support = jnp.max(reach, axis=-1)
    weight = jax.nn.softmax(_SHARPNESS * reach, axis=-1)
    picked = geometry_einsum("lkm,lmi->lki", weight, local)
    sideways = jnp.sum(picked[..., :2] * across[None], axis=-1)
    # Cloth does not follow the legs inwards below the hips.
    fall = _NARROWING * jnp.arange(len(LEVELS), dtype=support.dtype)[:, None]
    support = jax.lax.cummax(support + fall, axis=0) - fall
    flat = support[..., None] * directions[None] + sideways[..., None] * across[None]
    hull = jnp.concatenate([flat, picked[..., 2:]], axis=-1)
    point = centre + geometry_einsum("lij,lki->lkj", frames, hull)
    outward = geometry_einsum("lij,ki->lkj", frames[:, :2], directions)
    return centre, point, outward


def _between(rows: Float[Array, "L K 3"], index: Float[Array, "R"]) -> Array:
    """Rows at fractional indices, linearly interpolated."""
    lower = jnp.clip(jnp.floor(index).astype(jnp.int32), 0, len(LEVELS) - 2)
    fraction = (index - lower)[:, None, None]
    return (1 - fraction) * rows[lower] + fraction * rows[lower + 1]


def _pattern(turns: Array, heights: Array) -> Points:
    """Unrolled coordinates: metres around from the front, metres up."""
    shape = (RINGS, SEGMENTS + 1)
    front = jnp.broadcast_to(jnp.sin(turns)[None, :], shape)
    around = jnp.broadcast_to((turns - 1.5 * jnp.pi)[None, :], shape)
    height = jnp.broadcast_to(heights[:, None], shape)
    return Points(
        x=(_PATTERN_RADIUS * around).reshape(-1),
        y=(_HEIGHT_UNIT * height).reshape(-1),
        z=(_PATTERN_RADIUS * front).reshape(-1),
        arm=jnp.full(TUBE_VERTICES, -1.0),
        height=height.reshape(-1),
    )
