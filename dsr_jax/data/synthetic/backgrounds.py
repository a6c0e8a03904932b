"""What is behind the person: a procedural scene, or a part of a given image."""

import jax.numpy as jnp
import numpy as np

from dsr_jax.arrays import Array, Float, UInt8
from dsr_jax.data.synthetic.sampling import Draws

_RECTANGLES = 5
_BLOBS = 3
# Cells of the noise grids along a side, and their amplitudes.
_OCTAVES = ((3, 0.16), (7, 0.10), (19, 0.06))

# Random numbers that a background takes at most.
BACKGROUND_DRAWS = 600

Channels = tuple[Array, Array, Array]


def procedural_background(draws: Draws, size: int) -> Channels:
    """Wall and floor, furniture-like rectangles, blobs and noise; (size, size) each.

    Values are about [0, 1].
    """
    across, down = _coordinates(size)
    horizon = draws.uniform((0.3, 1.3))
    floor = down > horizon + draws.uniform((-0.15, 0.15)) * across
    colours = _colours(draws, 4)
    scene = []
    slope = draws.uniform((-0.5, 0.5), 2)
    ramp = 0.5 + slope[0] * across + slope[1] * down
    for c in range(3):
        wall = colours[0, c] + ramp * (colours[1, c] - colours[0, c])
        ground = colours[2, c] + (down - horizon) * (colours[3, c] - colours[2, c])
        scene.append(jnp.where(floor, ground, wall))
    scene = _shapes(draws, scene, across, down)
    noise = _noise(draws, size)
    grain = draws.uniform((0.4, 1.6), 3)
    return tuple(scene[c] + grain[c] * noise for c in range(3))  # type: ignore[return-value]


def image_background(
    draws: Draws, images: UInt8[Array, "N H W 3"], size: int
) -> Channels:
    """A random square part of one of the images, mirrored at random; values in [0, 1]."""
    count, height, width = images.shape[:3]
    side = draws.uniform((0.5, 1.0)) * min(height, width)
    top = draws.unit() * (height - side)
    left = draws.unit() * (width - side)
    steps = (jnp.arange(size) + 0.5) / size
    mirrored = jnp.where(draws.chance(0.5) > 0, 1 - steps, steps)
    rows = jnp.clip((top + side * steps).astype(jnp.int32), 0, height - 1)
    columns = jnp.clip((left + side * mirrored).astype(jnp.int32), 0, width - 1)
    which = draws.integer(count)
    part = images[which, rows[:, None], columns[None, :]].astype(jnp.float32) / 255
    return part[..., 0], part[..., 1], part[..., 2]


def _coordinates(size: int) -> tuple[Array, Array]:
    """Right and down, from −1 to 1."""
    line = (2 * jnp.arange(size, dtype=jnp.float32) + 1 - size) / size
    shape = (size, size)
    return jnp.broadcast_to(line[None, :], shape), jnp.broadcast_to(
        line[:, None], shape
    )


def _colours(draws: Draws, count: int) -> Float[Array, "N 3"]:
    """Mostly greyish."""
    grey = draws.uniform((0.12, 0.92), count)[:, None]
    strength = draws.uniform((0, 0.3), count)[:, None]
    return jnp.clip(grey + strength * draws.normal(count, 3), 0, 1)


def _shapes(
    draws: Draws, scene: list[Array], across: Array, down: Array
) -> list[Array]:
    """Rectangles and soft ellipses at random places."""
    count = _RECTANGLES + _BLOBS
    centres = draws.uniform((-1.1, 1.1), count, 2)
    halves = draws.uniform((0.04, 0.55), count, 2)
    colours = _colours(draws, count)
    shown = draws.unit(count) < 0.6
    for i in range(count):
        dx = jnp.abs(across - centres[i, 0]) / halves[i, 0]
        dy = jnp.abs(down - centres[i, 1]) / halves[i, 1]
        if i < _RECTANGLES:
            weight = (jnp.maximum(dx, dy) < 1).astype(jnp.float32)
        else:
            weight = jnp.clip(2 - 2 * (dx * dx + dy * dy), 0, 1)
        weight = weight * shown[i]
        scene = [c + weight * (colours[i, n] - c) for n, c in enumerate(scene)]
    return scene


def _noise(draws: Draws, size: int) -> Float[Array, "S S"]:
    """Value noise: random grids of several resolutions, linearly interpolated."""
    total = jnp.zeros((size, size))
    for cells, amplitude in _OCTAVES:
        values = draws.normal(cells, cells)
        weights = _interpolation(size, cells)
        total += amplitude * (weights @ values @ weights.T)
    return total


def _interpolation(size: int, cells: int) -> Float[np.ndarray, "S C"]:
    """Matrix of linear interpolation from `cells` knots to `size` pixels."""
    position = np.linspace(0, cells - 1, size)
    distance = np.abs(position[:, None] - np.arange(cells)[None, :])
    return np.maximum(1 - distance, 0).astype(np.float32)
