"""How far clothes and hair stand off the skin."""

import jax.numpy as jnp

from dsr_jax.arrays import Array, Float
from dsr_jax.data.synthetic.garments import head_coordinates, margins
from dsr_jax.data.synthetic.outfits import Outfit
from dsr_jax.data.synthetic.surface import Landmarks, Points, Surface

# Metres from a garment's border to its full thickness.
_HEM = 0.012
# Metres that full looseness adds: everywhere, towards the hem, and towards the cuff.
_LOOSE, _LOOSE_HEM, _LOOSE_CUFF = 0.008, 0.026, 0.016
_SHOE_THICKNESS = 0.011
_SCARF_THICKNESS = 0.026
# Long hair hides the hollow of the neck.
_HAIR_FILLS_NECK = 0.036


def cloth_offsets(surface: Surface, outfit: Outfit) -> Float[Array, "V 3"]:
    """How far clothes and hair push each vertex outwards, in the rest pose, metres."""
    points, marks = surface.points, surface.landmarks
    margin = margins(points, outfit, marks)
    inside = {name: jnp.clip(m / _HEM, 0, 1) for name, m in margin.items()}
    thickness = _thickness(points, outfit, marks, inside)
    total = jnp.zeros_like(points.x)
    for name, layer in thickness.items():
        total += inside[name] * layer
    brim = _brim(points, outfit, marks, margin["hat"])
    level = surface.cloth_normals.at[:, 1].set(0)
    return total[:, None] * surface.cloth_normals + brim[:, None] * level


def _thickness(
    points: Points, outfit: Outfit, marks: Landmarks, inside: dict[str, Array]
) -> dict[str, Array]:
    """Thickness of each layer where it is worn, metres."""
    cloth = outfit.thickness
    downwards = jnp.clip((0.9 - points.height) / 1.0, 0, 1)
    along_arm = jnp.clip(points.arm, 0, 1.9)
    sleeve = _LOOSE_CUFF * along_arm
    upper = outfit.upper_loose * (_LOOSE + _LOOSE_HEM * downwards + sleeve)
    coat = outfit.coat_loose * (_LOOSE + 0.5 * _LOOSE_HEM * downwards + sleeve)
    to_hem = jnp.clip((0.2 - points.height) / 2, 0, 1)
    lower = outfit.lower_loose * (_LOOSE * to_hem * 2 + _LOOSE_HEM * to_hem)
    lower = jnp.where(outfit.lower_is_skirt > 0, 0, lower)
    _, up, _ = head_coordinates(points, marks)
    at_neck = jnp.exp(-jnp.square((up - 0.04) / 0.17)) * (outfit.hair_length > -0.05)
    hair = outfit.hair_volume * (1 - 0.6 * inside["hat"]) + _HAIR_FILLS_NECK * at_neck
    return {
        "socks": jnp.full_like(points.x, 0.002),
        "shoes": jnp.full_like(points.x, _SHOE_THICKNESS),
        "lower": cloth + lower,
        "upper": cloth + jnp.where(outfit.upper_is_dress > 0, 0.3, 1.0) * upper,
        "coat": 0.008 + cloth + coat,
        "gloves": jnp.full_like(points.x, 0.003),
        "scarf": jnp.full_like(points.x, _SCARF_THICKNESS),
        "hair": hair,
        "hat": jnp.broadcast_to(outfit.hat_volume, points.x.shape),
        "sunglasses": jnp.full_like(points.x, 0.004),
    }


def _brim(points: Points, outfit: Outfit, marks: Landmarks, margin: Array) -> Array:
    """How far the brim stands out: near the rim, to the front or all around."""
    _, _, forward = head_coordinates(points, marks)
    in_front = jnp.clip((forward - 0.1) / 0.1, 0, 1)
    where = jnp.where(outfit.hat_brim_is_round > 0, 1, in_front)
    near = jnp.exp(-jnp.square((margin - 0.006) / 0.012))
    return outfit.has_hat * outfit.hat_brim * where * near
