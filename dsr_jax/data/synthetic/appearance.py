"""Colours and patterns of a person, and the paint at each point of the surface."""

import dataclasses
import typing

import jax
import jax.numpy as jnp
import numpy as np

from dsr_jax.arrays import Array, Float, Int, Key
from dsr_jax.data.synthetic.garments import LAYER, LAYERS, head_coordinates
from dsr_jax.data.synthetic.sampling import Draws
from dsr_jax.data.synthetic.settings import SyntheticSettings
from dsr_jax.data.synthetic.surface import Landmarks, Points

# RGB in [0, 1], from light to dark.
_SKIN = np.array(
    [
        *((0.96, 0.82, 0.73), (0.92, 0.74, 0.62), (0.84, 0.65, 0.50)),
        *((0.71, 0.51, 0.37), (0.53, 0.36, 0.25), (0.36, 0.24, 0.17)),
    ],
    np.float32,
)
_HAIR = np.array(
    [
        *((0.06, 0.05, 0.05), (0.14, 0.09, 0.06), (0.28, 0.17, 0.10)),
        *((0.42, 0.27, 0.14), (0.70, 0.54, 0.30), (0.55, 0.53, 0.51)),
        *((0.45, 0.18, 0.08), (0.10, 0.07, 0.06)),
    ],
    np.float32,
)
# What many clothes are: black, white, greys, navy, denim, khaki, brown, beige.
_MUTED = np.array(
    [
        *((0.07, 0.07, 0.08), (0.93, 0.93, 0.91), (0.55, 0.55, 0.56)),
        *((0.30, 0.31, 0.33), (0.10, 0.13, 0.27), (0.24, 0.35, 0.52)),
        *((0.45, 0.42, 0.28), (0.33, 0.22, 0.15), (0.78, 0.70, 0.57)),
        (0.40, 0.52, 0.68),
    ],
    np.float32,
)
_PLAIN, _RINGS, _PALES, _CHECKS, _DOTS = range(5)
_LIP_TINT = np.array([0.80, 0.52, 0.52], np.float32)
_PATTERNED = ("socks", "lower", "upper", "coat", "scarf", "hat")


@typing.no_type_check
@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Appearance:
    """Paint of one person; one row for each of `LAYERS`."""

    primary: Float[Array, "K 3"]
    secondary: Float[Array, "K 3"]
    pattern: Int[Array, "K"]
    period: Float[Array, "K"]
    """Of the pattern, metres."""
    logo: Float[Array, ""]
    """Radius of the print on the chest, metres; 0 for none."""
    buttons: Float[Array, ""]
    beard: Float[Array, ""]
    wrinkles: Float[Array, "4"]
    """Phases of the folds in the cloth."""


def sample_appearance(key: Key[Array, ""], settings: SyntheticSettings) -> Appearance:
    """Draws the colours of one person."""
    count = len(LAYERS)
    draws = Draws(key, 24 * count + 32)
    primary, secondary = _cloth_colours(draws), _cloth_colours(draws)
    tone = draws.uniform((0, len(_SKIN) - 1.001))
    low = tone.astype(jnp.int32)
    skin = _mix(jnp.asarray(_SKIN)[low], jnp.asarray(_SKIN)[low + 1], tone - low)
    hair = jnp.asarray(_HAIR)[draws.integer(len(_HAIR))]
    skin = jnp.clip(skin + 0.03 * draws.normal(3), 0, 1)
    sole = jnp.where(draws.chance(0.6) > 0, 0.92, 0.12)
    primary = primary.at[LAYER["skin"]].set(skin)
    primary = primary.at[LAYER["hair"]].set(hair)
    primary = primary.at[LAYER["sunglasses"]].set(0.05)
    secondary = secondary.at[LAYER["shoes"]].set(sole)
    kind = _RINGS + draws.integer(_DOTS, count)
    plain = draws.unit(count) >= settings.pattern_probability
    may = jnp.array([name in _PATTERNED for name in LAYERS])
    return Appearance(
        primary=primary,
        secondary=secondary,
        pattern=jnp.where(plain | ~may, _PLAIN, kind),
        period=draws.uniform((0.03, 0.11), count),
        logo=draws.chance(0.35) * draws.uniform((0.03, 0.08)),
        buttons=draws.chance(0.3),
        beard=draws.chance(0.16),
        wrinkles=draws.uniform((0, 2 * np.pi), 4),
    )


def _cloth_colours(draws: Draws) -> Float[Array, "K 3"]:
    """Half of them muted, half of any hue."""
    count = len(LAYERS)
    muted = jnp.asarray(_MUTED)[draws.integer(len(_MUTED), count)]
    hue = draws.unit(count)[:, None] + jnp.array([[0.0, 2 / 3, 1 / 3]])
    pure = jnp.clip(jnp.abs(jnp.mod(hue, 1.0) * 6 - 3) - 1, 0, 1)
    saturation = draws.uniform((0.35, 0.95), count)[:, None]
    value = draws.uniform((0.25, 0.95), count)[:, None]
    vivid = value * (1 - saturation * (1 - pure))
    is_muted = draws.unit(count)[:, None] < 0.5
    jitter = 0.04 * draws.normal(count, 3)
    return jnp.clip(jnp.where(is_muted, muted, vivid) + jitter, 0, 1)


def _mix(a: Array, b: Array, fraction: Array) -> Array:
    return a + fraction * (b - a)


def paint(
    points: Points,
    layer: Int[Array, "D D"],
    appearance: Appearance,
    marks: Landmarks,
) -> Float[Array, "3 D D"]:
    """Colour of each point before light falls on it."""
    second = _pattern_weight(points, layer, appearance)
    second = jnp.where(_details(points, layer, appearance, marks), 1, second)
    dark = _darkening(points, layer, appearance, marks)
    lips = jnp.where(_lips(points, layer, marks)[None], _LIP_TINT[:, None, None], 1)
    first = appearance.primary.T[:, layer]
    colour = first + second[None] * (appearance.secondary.T[:, layer] - first)
    return colour * dark[None] * lips


def _pattern_weight(points: Points, layer: Array, appearance: Appearance) -> Array:
    """Weight of the second colour: rings, vertical stripes, checks or dots."""
    frequency = (2 * np.pi / appearance.period)[layer]
    on_arm = points.arm > 0
    along = points.y - 0.25 * jnp.maximum(points.arm, 0)
    around = jnp.where(on_arm, 1.5 * points.z, points.x)
    rings, pales = jnp.sin(frequency * along), jnp.sin(frequency * around)
    kind = appearance.pattern[layer]
    weight = jnp.where(kind == _RINGS, rings > 0.1, 0.0)
    weight = jnp.where(kind == _PALES, pales > 0.3, weight)
    checks = 0.5 * (rings > 0.2) + 0.5 * (pales > 0.2)
    weight = jnp.where(kind == _CHECKS, checks, weight)
    return jnp.where(kind == _DOTS, rings * pales > 0.45, weight)


def _details(
    points: Points, layer: Array, appearance: Appearance, marks: Landmarks
) -> Array:
    """Where the second colour always shows: soles and a print on the chest."""
    sole = (layer == LAYER["shoes"]) & (points.height < -2.82)
    print_y = marks.neck_y - 0.13
    inside = (
        jnp.square(points.x) + jnp.square(points.y - print_y)
        < jnp.square(appearance.logo)
    ) & (points.z > marks.neck_z)
    return sole | (inside & (layer == LAYER["upper"]))


def _darkening(
    points: Points, layer: Array, appearance: Appearance, marks: Landmarks
) -> Array:
    """Eyes, brows, a beard, the front edge of a buttoned garment: factors up to 1."""
    x, up, forward = head_coordinates(points, marks)
    beside = jnp.abs(x)
    is_skin, front = layer == LAYER["skin"], forward > 0.05
    eye = jnp.square((beside - 0.15) / 0.065) + jnp.square((up - 0.49) / 0.035) < 1
    brow = (jnp.abs(up - 0.575) < 0.018) & (jnp.abs(beside - 0.15) < 0.085)
    dark = jnp.where(is_skin & front & (eye | brow), 0.25, 1.0)
    chin = (up < 0.30) & (up > 0.08 - 0.44 * forward) & (forward > -0.12)
    dark = jnp.where(is_skin & chin & (appearance.beard > 0), 0.45 * dark, dark)
    edge = (jnp.abs(points.x) < 0.006) & (points.z > marks.neck_z)
    buttoned = (layer == LAYER["coat"]) | (
        (layer == LAYER["upper"]) & (appearance.buttons > 0)
    )
    return jnp.where(edge & buttoned, 0.55 * dark, dark)


def _lips(points: Points, layer: Array, marks: Landmarks) -> Array:
    x, up, forward = head_coordinates(points, marks)
    inside = jnp.square(x / 0.11) + jnp.square((up - 0.195) / 0.035) < 1
    return inside & (forward > 0.05) & (layer == LAYER["skin"])
