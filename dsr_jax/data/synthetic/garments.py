"""Garments cut on the body's surface: which layer covers a point, and how thickly.

A garment is a margin: a function of surface coordinates that is positive inside and
0 at its border, about metres. The outermost garment of positive margin is what one
sees; every garment of positive margin pushes the surface outwards. Vertices and pixels
go through the same functions, so that borders are sharp on the coarsest of meshes.
"""

import jax.numpy as jnp

from dsr_jax.arrays import Array, Float, Int
from dsr_jax.data.synthetic.outfits import Outfit
from dsr_jax.data.synthetic.surface import Landmarks, Points
from dsr_jax.semantics import CIHP

# Layers from the skin outwards.
LAYERS = (
    *("skin", "socks", "shoes", "lower", "upper", "coat", "gloves", "scarf"),
    *("hair", "hat", "sunglasses"),
)
LAYER = {name: index for index, name in enumerate(LAYERS)}

# Metres of a unit of `Points.height` and of `Points.arm`.
_HEIGHT_UNIT = 0.42
_ARM_UNIT = 0.25
# A margin that never decides.
_NO_LIMIT = 1.0
# A point is on a leg below the hip, and on an arm beyond the shoulder.
_LEG_STARTS, _ARM_STARTS = -0.2, -0.1


def margins(
    points: Points, outfit: Outfit, marks: Landmarks
) -> dict[str, Float[Array, "..."]]:
    """The margin of every layer but the skin at each point."""
    return {
        "socks": _HEIGHT_UNIT * (outfit.sock_top - points.height),
        "shoes": _HEIGHT_UNIT * (outfit.shoe_top - points.height),
        "lower": _HEIGHT_UNIT
        * jnp.minimum(outfit.waist - points.height, points.height - outfit.lower_hem),
        "upper": _upper(points, outfit, marks),
        "coat": _coat(points, outfit, marks),
        "gloves": _ARM_UNIT * (points.arm - outfit.glove_cuff),
        "scarf": _scarf(points, outfit, marks),
        "hair": _hair(points, outfit, marks),
        "hat": _hat(points, outfit, marks),
        "sunglasses": _sunglasses(points, outfit, marks),
    }


def visible_layer(margin: dict[str, Array]) -> Int[Array, "..."]:
    """The outermost layer of positive margin, an index into `LAYERS`."""
    layer = jnp.zeros_like(margin["socks"], jnp.int32)
    for name, value in margin.items():
        layer = jnp.where(value > 0, LAYER[name], layer)
    return layer


def layer_labels(outfit: Outfit) -> Int[Array, "K"]:
    """CIHP label of each layer; skin and shoes depend on the point: `skin_label`."""
    upper = jnp.where(
        outfit.upper_is_dress > 0, CIHP.index("dress"), CIHP.index("upper-clothes")
    )
    lower = jnp.where(
        outfit.lower_is_skirt > 0, CIHP.index("skirt"), CIHP.index("pants")
    )
    socks = jnp.asarray(CIHP.index("socks"))
    if outfit.has_leggings is not None:
        socks = jnp.where(outfit.has_leggings > 0, CIHP.index("pants"), socks)
    by_outfit = {"socks": socks, "lower": lower, "upper": upper}
    fixed = {
        **dict(skin="torso-skin", shoes="left-shoe", coat="coat"),
        **dict(gloves="glove", scarf="scarf", hair="hair", hat="hat"),
        "sunglasses": "sunglasses",
    }
    return jnp.stack(
        [
            by_outfit[name]
            if name in by_outfit
            else jnp.asarray(CIHP.index(fixed[name]))
            for name in LAYERS
        ]
    )


def skin_label(points: Points, marks: Landmarks) -> Int[Array, "..."]:
    """CIHP label of bare skin: face, an arm, a leg, or the rest of the trunk."""
    left = points.x > 0
    _, up, forward = head_coordinates(points, marks)
    label = jnp.full_like(points.x, CIHP.index("torso-skin"), jnp.int32)
    for region, part in (
        (points.height < _LEG_STARTS, "leg"),
        (points.arm > _ARM_STARTS, "arm"),
    ):
        side = jnp.where(left, CIHP.index(f"left-{part}"), CIHP.index(f"right-{part}"))
        label = jnp.where(region, side, label)
    # From beneath the chin up to the nape.
    return jnp.where(up > 0.10 - 0.44 * forward, CIHP.index("face"), label)


def shoe_label(points: Points) -> Int[Array, "..."]:
    """CIHP label of a shoe."""
    return jnp.where(points.x > 0, CIHP.index("left-shoe"), CIHP.index("right-shoe"))


def head_coordinates(points: Points, marks: Landmarks) -> tuple[Array, Array, Array]:
    """Left, up from the chin, and forward, in heights of the head."""
    return (
        points.x / marks.head_height,
        (points.y - marks.chin_y) / marks.head_height,
        (points.z - marks.head_z) / marks.head_height,
    )


def _upper(points: Points, outfit: Outfit, marks: Landmarks) -> Array:
    """A shirt or a dress: from its hem to the collar and to the end of its sleeves."""
    depth = marks.neck_y - outfit.neckline - points.y
    up = jnp.clip(-depth / jnp.maximum(outfit.neckline, 0.02), 0, 1)
    half = outfit.neckline_width * jnp.where(outfit.neckline_is_v > 0, up, jnp.sqrt(up))
    opening = jnp.maximum(jnp.abs(points.x) - half, depth)
    opening = jnp.where(points.z > marks.neck_z, opening, _NO_LIMIT)
    return _least(
        _HEIGHT_UNIT * (points.height - outfit.upper_hem),
        _ARM_UNIT * (outfit.upper_sleeve - points.arm),
        _below_collar(points, marks, outfit.collar),
        jnp.where(outfit.neckline > 0, opening, _NO_LIMIT),
    )


def _coat(points: Points, outfit: Outfit, marks: Landmarks) -> Array:
    """A coat or jacket; if open, its front edges part downwards from the collar."""
    fall = jnp.clip(marks.neck_y - points.y, 0, 0.5)
    front = jnp.abs(points.x) - outfit.coat_open * (0.8 + fall)
    front = jnp.maximum(front, marks.neck_z + 0.01 - points.z)
    return _least(
        _HEIGHT_UNIT * (points.height - outfit.coat_hem),
        _ARM_UNIT * (outfit.coat_sleeve - points.arm),
        _below_collar(points, marks, jnp.asarray(0.022)),
        jnp.where(outfit.coat_open > 0, front, _NO_LIMIT),
    )


def _below_collar(points: Points, marks: Landmarks, collar: Array) -> Array:
    """A plane that slopes down to the front; the shoulders are below it."""
    return (
        (marks.neck_y + collar - points.y)
        - 0.5 * (points.z - marks.neck_z)
        + 1.2 * jnp.maximum(jnp.abs(points.x) - 0.065, 0)
    )


def _scarf(points: Points, outfit: Outfit, marks: Landmarks) -> Array:
    """A ring around the neck and an end that hangs down in front."""
    above = points.y - marks.neck_y + 0.5 * (points.z - marks.neck_z)
    ring = _least(above + 0.02, 0.05 - above, 0.10 - jnp.abs(points.x))
    hanging = _least(
        0.035 - jnp.abs(points.x - 0.035),
        points.z - marks.neck_z - 0.02,
        marks.neck_y + 0.01 - points.y,
        points.y - marks.neck_y + outfit.scarf_length,
    )
    either = jnp.maximum(ring, jnp.where(outfit.scarf_length > 0, hanging, -1))
    return jnp.where(outfit.has_scarf > 0, either, -1)


def _hair(points: Points, outfit: Outfit, marks: Landmarks) -> Array:
    """Behind a plane from the hairline to the ears; long hair falls on the back."""
    x, up, forward = head_coordinates(points, marks)
    slope = 0.36 / (outfit.hairline - 0.48)
    behind = slope * (up - 0.48) - 0.01 - forward
    hangs = (outfit.hair_length > -0.05) & (up < 0.55)
    behind = jnp.where(hangs, jnp.maximum(behind, -0.04 - forward), behind)
    # On the shoulders it stays at the nape and the back.
    curtain = jnp.where(up < -0.15, jnp.maximum(forward + 0.2, 0), 0)
    off_arms = 0.40 - jnp.abs(x) - curtain
    end = points.y - marks.chin_y + outfit.hair_length
    margin = _least(marks.head_height * jnp.minimum(behind, off_arms), end)
    return jnp.where(outfit.has_hair > 0, margin, -1)


def _hat(points: Points, outfit: Outfit, marks: Landmarks) -> Array:
    _, up, forward = head_coordinates(points, marks)
    margin = marks.head_height * (up - outfit.hat_line - 0.15 * forward)
    return jnp.where(outfit.has_hat > 0, margin, -1)


def _sunglasses(points: Points, outfit: Outfit, marks: Landmarks) -> Array:
    x, up, forward = head_coordinates(points, marks)
    lens = 0.075 - jnp.hypot((jnp.abs(x) - 0.15) * 0.75, up - 0.5)
    bar = 0.018 - jnp.abs(up - 0.52)
    on_front = _least(jnp.maximum(lens, bar), forward - 0.02)
    margin = marks.head_height * on_front
    return jnp.where(outfit.has_sunglasses > 0, margin, -1)


def _least(*margins: Array) -> Array:
    least = margins[0]
    for margin in margins[1:]:
        least = jnp.minimum(least, margin)
    return least
