"""What is behind the person: a procedural scene, or a part of a given image."""

import dataclasses
import typing

import jax
import jax.numpy as jnp

from dsr_jax.arrays import Array, Float, UInt8
from dsr_jax.data.synthetic.sampling import Draws, smooth_field
from dsr_jax.data.synthetic.settings import SyntheticSettings

_RECTANGLES = 5
_BLOBS = 3
# Cells of the noise grids along a side, and their amplitudes.
_OCTAVES = ((3, 0.16), (7, 0.10), (19, 0.06))


@typing.no_type_check
@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Scene:
    """A background: numbers only; `draw_scene` makes its picture."""

    horizon: Float[Array, "2"]
    """Height of the floor's edge, down from the middle, and its slope."""
    ramp: Float[Array, "2"]
    """How the wall's colour changes to the right and down."""
    colours: Float[Array, "4 3"]
    """Of the wall and of the floor, from and to."""
    shape_centres: Float[Array, "N 2"]
    shape_halves: Float[Array, "N 2"]
    shape_colours: Float[Array, "N 3"]
    shape_weights: Float[Array, "N"]
    grain: Float[Array, "3"]
    """Strength of the noise in each channel."""
    noise: tuple[Float[Array, "C C"], ...]
    uses_image: Array
    cutout: Float[Array, "5"]
    """Which image, side, top and left of the part, mirrored or not; in [0, 1]."""


def sample_scene(draws: Draws, settings: SyntheticSettings) -> Scene:
    """Draws a background. Takes at most 560 numbers."""
    count = _RECTANGLES + _BLOBS
    return Scene(
        horizon=jnp.stack([draws.uniform((0.25, 1.3)), draws.uniform((-0.15, 0.15))]),
        ramp=draws.uniform((-0.5, 0.5), 2),
        colours=_colours(draws, 4),
        shape_centres=draws.uniform((-1.1, 1.1), count, 2),
        shape_halves=draws.uniform((0.04, 0.55), count, 2),
        shape_colours=_colours(draws, count),
        shape_weights=(draws.unit(count) < 0.6).astype(jnp.float32),
        grain=draws.uniform((0.5, 1.3)) + draws.uniform((-0.15, 0.15), 3),
        noise=tuple(a * draws.normal(cells, cells) for cells, a in _OCTAVES),
        uses_image=draws.chance(settings.image_background_probability),
        cutout=draws.unit(5),
    )


def _colours(draws: Draws, count: int) -> Float[Array, "N 3"]:
    """Mostly greyish."""
    grey = draws.uniform((0.12, 0.92), count)[:, None]
    strength = draws.uniform((0, 0.14), count)[:, None]
    return jnp.clip(grey + strength * draws.normal(count, 3), 0, 1)


def draw_scene(
    scene: Scene, size: int, images: UInt8[Array, "P h w 3"] | None
) -> Float[Array, "3 S S"]:
    """The picture of a background, values about [0, 1], channels first."""
    across, down = _coordinates(size)
    procedural = _shapes(scene, _wall_and_floor(scene, across, down), across, down)
    procedural = procedural + scene.grain[:, None, None] * _noise(scene, size)[None]
    if images is None:
        return procedural
    return jnp.where(scene.uses_image > 0, _cut_out(scene, images, size), procedural)


def _coordinates(size: int) -> tuple[Array, Array]:
    """Right and down, from −1 to 1."""
    line = (2 * jnp.arange(size, dtype=jnp.float32) + 1 - size) / size
    across, down = jnp.meshgrid(line, line, indexing="xy")
    return across, down


def _wall_and_floor(scene: Scene, across: Array, down: Array) -> Float[Array, "3 S S"]:
    colour = scene.colours[:, :, None, None]
    ramp = (0.5 + scene.ramp[0] * across + scene.ramp[1] * down)[None]
    wall = colour[0] + ramp * (colour[1] - colour[0])
    below = down - scene.horizon[0] - scene.horizon[1] * across
    floor = colour[2] + below[None] * (colour[3] - colour[2])
    return jnp.where(below[None] > 0, floor, wall)


def _shapes(
    scene: Scene, picture: Float[Array, "3 S S"], across: Array, down: Array
) -> Float[Array, "3 S S"]:
    """Rectangles and soft ellipses."""
    for i in range(_RECTANGLES + _BLOBS):
        dx = jnp.abs(across - scene.shape_centres[i, 0]) / scene.shape_halves[i, 0]
        dy = jnp.abs(down - scene.shape_centres[i, 1]) / scene.shape_halves[i, 1]
        if i < _RECTANGLES:
            inside = (jnp.maximum(dx, dy) < 1).astype(jnp.float32)
        else:
            inside = jnp.clip(2 - 2 * (dx * dx + dy * dy), 0, 1)
        weight = (inside * scene.shape_weights[i])[None]
        colour = scene.shape_colours[i][:, None, None]
        picture = picture + weight * (colour - picture)
    return picture


def _noise(scene: Scene, size: int) -> Float[Array, "S S"]:
    """Value noise: random grids of several resolutions, linearly interpolated."""
    total = jnp.zeros((size, size))
    for values in scene.noise:
        total += smooth_field(values, (size, size))
    return total


def _cut_out(
    scene: Scene, images: UInt8[Array, "P h w 3"], size: int
) -> Float[Array, "3 S S"]:
    """A square part of one of the images, at least half as large as its short side."""
    count, height, width = images.shape[:3]
    which, side, top, left, mirrored = scene.cutout
    side = (0.5 + 0.5 * side) * min(height, width)
    steps = (jnp.arange(size) + 0.5) / size
    rows = top * (height - side) + side * steps
    steps = jnp.where(mirrored > 0.5, 1 - steps, steps)
    columns = left * (width - side) + side * steps
    rows = jnp.clip(rows.astype(jnp.int32), 0, height - 1)
    columns = jnp.clip(columns.astype(jnp.int32), 0, width - 1)
    which = jnp.minimum((which * count).astype(jnp.int32), count - 1)
    part = images[which, rows[:, None], columns[None, :]]
    return jnp.moveaxis(part, -1, 0).astype(jnp.float32) / 255
