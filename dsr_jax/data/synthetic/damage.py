"""What a photograph goes through: a moving camera, few pixels, a JPEG file."""

import jax
import jax.numpy as jnp
import numpy as np

from dsr_jax.arrays import Array, Float, Key, UInt8
from dsr_jax.data.synthetic.sampling import Draws, numbered_keys
from dsr_jax.data.synthetic.settings import SyntheticSettings

# Of a line of motion; between them lies less than a pixel and a half at 224 px.
_TAPS = 9
_BLOCK = 8
# ITU-T T.81, tables K.1 and K.2: quantisation of luminance and chrominance.
_LUMINANCE = np.array(
    [
        *((16, 11, 10, 16, 24, 40, 51, 61), (12, 12, 14, 19, 26, 58, 60, 55)),
        *((14, 13, 16, 24, 40, 57, 69, 56), (14, 17, 22, 29, 51, 87, 80, 62)),
        *((18, 22, 37, 56, 68, 109, 103, 77), (24, 35, 55, 64, 81, 104, 113, 92)),
        *((49, 64, 78, 87, 103, 121, 120, 101), (72, 92, 95, 98, 112, 100, 103, 99)),
    ],
    np.float32,
)
_CHROMINANCE = np.full((8, 8), 99, np.float32)
_CHROMINANCE[:4, :4] = (
    *((17, 18, 24, 47), (18, 21, 26, 66), (24, 26, 56, 99), (47, 66, 99, 99)),
)
# JFIF: from RGB to Y, Cb and Cr, the latter two about 0.
_TO_YCC = np.array(
    [
        *((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5)),
        (0.5, -0.418688, -0.081312),
    ],
    np.float32,
)


def damages(settings: SyntheticSettings) -> bool:
    """Whether the settings damage any photograph."""
    return (
        settings.motion_blur_probability > 0
        or settings.low_resolution_probability > 0
        or settings.jpeg_probability > 0
    )


def damage(
    key: Key[Array, ""],
    images: UInt8[Array, "B H W 3"],
    settings: SyntheticSettings,
    first: int | Array = 0,
) -> UInt8[Array, "B H W 3"]:
    """Blurs some images by motion, coarsens some, and compresses some, in this order.

    Args:
      key: the same key damages alike.
      images: RGB.
      settings: how often and how much; what never happens is left out of the program.
      first: number of the first image, which decides its damage.
    """
    keys = numbered_keys(key, first, len(images))
    return jax.vmap(lambda k, one: _damage(Draws(k, 8), one, settings))(keys, images)


def _damage(
    draws: Draws, image: UInt8[Array, "H W 3"], settings: SyntheticSettings
) -> UInt8[Array, "H W 3"]:
    picture = jnp.moveaxis(image, -1, 0).astype(jnp.float32)
    size = max(image.shape[:2])
    if settings.motion_blur_probability > 0:
        length, turn = draws.uniform(settings.motion_blur), draws.uniform((0, np.pi))
        step = size * length * jnp.stack([jnp.sin(turn), jnp.cos(turn)])
        happens = draws.chance(settings.motion_blur_probability)
        largest = int(np.ceil(size * settings.motion_blur[1] / 2))
        picture = motion_blur(picture, happens * step, largest)
    if settings.low_resolution_probability > 0:
        factor = draws.uniform(settings.low_resolution)
        happens = draws.chance(settings.low_resolution_probability) > 0
        picture = jnp.where(happens, coarsen(picture, factor), picture)
    if settings.jpeg_probability > 0:
        quality = draws.uniform(settings.jpeg_quality)
        happens = draws.chance(settings.jpeg_probability) > 0
        picture = jnp.where(happens, jpeg(picture, quality), picture)
    whole = jnp.clip(jnp.round(picture), 0, 255).astype(jnp.uint8)
    return jnp.moveaxis(whole, 0, -1)


def motion_blur(
    picture: Float[Array, "3 H W"], step: Float[Array, "2"], largest: int
) -> Float[Array, "3 H W"]:
    """The mean of the picture along a line; beyond its border it goes on unchanged.

    Args:
      picture: of any range.
      step: pixels down and right from one end of the line to the other.
      largest: half the length of the longest line, whole pixels.
    """
    pad = [(0, 0), (largest, largest), (largest, largest)]
    padded = jnp.pad(picture, pad, mode="edge")
    total = jnp.zeros_like(picture)
    for along in np.linspace(-0.5, 0.5, _TAPS):
        row, column = largest + jnp.round(along * step).astype(jnp.int32)
        total += jax.lax.dynamic_slice(padded, (0, row, column), picture.shape)
    return total / _TAPS


def coarsen(
    picture: Float[Array, "3 H W"], factor: Float[Array, ""]
) -> Float[Array, "3 H W"]:
    """The picture taken with pixels `factor` times as large, linearly enlarged."""
    rows, columns = (_coarsening(size, factor) for size in picture.shape[1:])
    return jnp.einsum("ij,cjk,lk->cil", rows, picture, columns)


def _coarsening(size: int, factor: Array) -> Float[Array, "S S"]:
    """Averages over cells of `factor` pixels, interpolated between their centres."""
    pixel = jnp.arange(size)
    cell = jnp.floor((pixel + 0.5) / factor)
    inside = (cell[None, :] == pixel[:, None]).astype(jnp.float32)
    count = jnp.sum(inside, axis=1, keepdims=True)
    mean = inside / jnp.maximum(count, 1)
    position = jnp.clip((pixel + 0.5) / factor - 0.5, 0, jnp.max(cell))
    weight = jnp.maximum(1 - jnp.abs(position[:, None] - pixel[None, :]), 0)
    return weight @ mean


def jpeg(
    picture: Float[Array, "3 H W"], quality: Float[Array, ""]
) -> Float[Array, "3 H W"]:
    """What is left after JPEG with 4:2:0 chroma, of values in [0, 255].

    Args:
      picture: RGB.
      quality: from 1 to 100, on the scale of the Independent JPEG Group.
    """
    height, width = picture.shape[1:]
    even = [(0, 0), *((0, -size % (2 * _BLOCK)) for size in (height, width))]
    padded = jnp.pad(picture, even, mode="edge")
    planes = jnp.einsum("dc,chw->dhw", _TO_YCC, padded)
    light = _quantised(planes[:1] - 128, _table(_LUMINANCE, quality)) + 128
    colour = planes[1:].reshape(2, planes.shape[1] // 2, 2, planes.shape[2] // 2, 2)
    colour = _quantised(jnp.mean(colour, axis=(2, 4)), _table(_CHROMINANCE, quality))
    colour = jnp.repeat(jnp.repeat(colour, 2, axis=1), 2, axis=2)
    inverse = np.linalg.inv(_TO_YCC).astype(np.float32)
    whole = jnp.einsum("dc,chw->dhw", inverse, jnp.concatenate([light, colour]))
    return jnp.clip(whole[:, :height, :width], 0, 255)


def _table(table: np.ndarray, quality: Array) -> Float[Array, "8 8"]:
    """A table of the standard at a quality, as the Independent JPEG Group scales it."""
    percent = jnp.where(quality < 50, 5000 / quality, 200 - 2 * quality)
    return jnp.clip(jnp.floor((table * percent + 50) / 100), 1, 255)


def _quantised(
    planes: Float[Array, "C H W"], table: Float[Array, "8 8"]
) -> Float[Array, "C H W"]:
    """Each block of 8 × 8 to its cosine coefficients, rounded, and back."""
    count, height, width = planes.shape
    blocks = planes.reshape(count, height // _BLOCK, _BLOCK, width // _BLOCK, _BLOCK)
    cosines = _cosines()
    coefficients = jnp.einsum("ui,vj,cyixj->cyuxv", cosines, cosines, blocks)
    step = table[None, None, :, None, :]
    rounded = jnp.round(coefficients / step) * step
    return jnp.einsum("ui,vj,cyuxv->cyixj", cosines, cosines, rounded).reshape(
        planes.shape
    )


def _cosines() -> Float[np.ndarray, "8 8"]:
    """The orthonormal cosine transform: row u is the wave of frequency u."""
    line = np.arange(_BLOCK)
    waves = np.cos(np.pi * line[:, None] * (2 * line[None, :] + 1) / (2 * _BLOCK))
    norm = np.where(line == 0, 1, 2)[:, None] / _BLOCK
    return (np.sqrt(norm) * waves).astype(np.float32)
