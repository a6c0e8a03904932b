"""Pixels in NDC, and the grid of small square tiles that the fast path works in."""

import dataclasses

import jax
import jax.numpy as jnp


def pixel_centers(image_size: tuple[int, int], dtype) -> tuple[jax.Array, jax.Array]:
    """NDC x (W,) of the columns and y (H,) of the rows, row 0 at the top."""
    height, width = image_size
    shorter = min(height, width)
    x = (2 * jnp.arange(width, dtype=dtype) + 1 - width) / shorter
    y = (height - 1 - 2 * jnp.arange(height, dtype=dtype)) / shorter
    return x, y


@dataclasses.dataclass(frozen=True)
class TileGrid:
    """The image cut into aligned squares of `tile` × `tile` pixels."""

    image_size: tuple[int, int]
    tile: int

    @property
    def rows(self) -> int:
        """Number of tiles from top to bottom."""
        return -(-self.image_size[0] // self.tile)

    @property
    def columns(self) -> int:
        """Number of tiles from left to right."""
        return -(-self.image_size[1] // self.tile)

    @property
    def count(self) -> int:
        """Number of tiles of one image."""
        return self.rows * self.columns

    @property
    def pixels(self) -> int:
        """Number of pixels of one tile."""
        return self.tile * self.tile

    def centers(self, tile_index: jax.Array, dtype) -> tuple[jax.Array, jax.Array]:
        """NDC x, y (..., pixels) of the pixels of tiles, numbered row by row."""
        height, width = self.image_size
        shorter = min(height, width)
        lane = jnp.arange(self.pixels).reshape((1,) * tile_index.ndim + (-1,))
        column = (tile_index % self.columns)[..., None] * self.tile + lane % self.tile
        row = (tile_index // self.columns)[..., None] * self.tile + lane // self.tile
        x = (2 * column + 1 - width).astype(dtype) / shorter
        y = (height - 1 - 2 * row).astype(dtype) / shorter
        return x, y

    def to_images(self, tiles: jax.Array) -> jax.Array:
        """(N, count, C, pixels) → (N, H, W, C)."""
        n, _, channels, _ = tiles.shape
        split = (n, self.rows, self.columns, channels, self.tile, self.tile)
        t = tiles.reshape(split).transpose(0, 1, 4, 2, 5, 3)
        full = t.reshape(n, self.rows * self.tile, self.columns * self.tile, channels)
        return full[:, : self.image_size[0], : self.image_size[1]]
