"""From samples to pixels: averages, votes, and what a camera does to an image."""

import dataclasses
import typing

import jax
import jax.numpy as jnp

from dsr_jax.arrays import Array, Float, Int, Key, UInt8
from dsr_jax.data.synthetic.sampling import Draws
from dsr_jax.data.synthetic.settings import SyntheticSettings


@typing.no_type_check
@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Exposure:
    """How the camera is set."""

    brightness: Array
    contrast: Array
    blur: Array
    """Weight of the neighbouring pixels."""
    noise: Array
    """Standard deviation, of a full scale of 1."""
    key: Key[Array, ""]
    """Of the noise."""


def sample_exposure(
    draws: Draws, key: Key[Array, ""], settings: SyntheticSettings
) -> Exposure:
    """Draws the camera's settings. Takes 4 numbers."""
    return Exposure(
        brightness=draws.uniform(settings.brightness),
        contrast=draws.uniform(settings.contrast),
        blur=draws.uniform(settings.blur),
        noise=draws.uniform(settings.noise),
        key=key,
    )


def expose(image: Float[Array, "3 S S"], exposure: Exposure) -> UInt8[Array, "S S 3"]:
    """Brightness, contrast, blur and noise; 8 bits a channel."""
    image = exposure.brightness * ((image - 0.5) * exposure.contrast + 0.5)
    image = _blur(image, exposure.blur)
    noise = jax.random.normal(exposure.key, image.shape)
    image = jnp.clip(image + exposure.noise * noise, 0, 1)
    return jnp.moveaxis(jnp.round(255 * image).astype(jnp.uint8), 0, -1)


def _blur(image: Float[Array, "3 S S"], weight: Array) -> Float[Array, "3 S S"]:
    """Averages neighbours along both axes, as products with a band matrix.

    A product is a stage of its own for the compiler; shifted sums would be fused with
    all that made the image, and compute each pixel nine times.
    """
    size = image.shape[-1]
    band = jnp.eye(size) + 0.5 * weight * (jnp.eye(size, k=1) + jnp.eye(size, k=-1))
    band = band / jnp.sum(band, axis=1, keepdims=True)
    down = jnp.einsum("ij,cjk->cik", band, image)
    return jnp.einsum("cik,lk->cil", down, band)


def average(image: Float[Array, "*batch D D"], samples: int) -> Array:
    """Mean of each pixel's `samples` × `samples` samples."""
    size = image.shape[-1] // samples
    blocks = image.reshape(*image.shape[:-2], size, samples, size, samples)
    return blocks.mean(axis=(-3, -1))


def majority(labels: Int[Array, "D D"], samples: int) -> Int[Array, "S S"]:
    """The most frequent label among each pixel's samples; of equals, the first."""
    size = labels.shape[0] // samples
    blocks = labels.reshape(size, samples, size, samples)
    each = [blocks[:, i, :, j] for i in range(samples) for j in range(samples)]
    best, most = each[0], jnp.zeros_like(each[0])
    for candidate in each:
        votes = sum((candidate == other).astype(jnp.int32) for other in each)
        best = jnp.where(votes > most, candidate, best)
        most = jnp.maximum(votes, most)
    return best
