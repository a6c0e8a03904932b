"""Between normalized device coordinates and pixels, for one image size.

NDC: x right, y up, the shorter image side spans [-1, 1]. Pixels: u right, v down, the
centre of the top-left pixel is (0, 0), so the image covers [-0.5, W - 0.5] across.
With m = min(H, W): u = (x·m + W - 1) / 2 and v = (H - 1 - y·m) / 2.
"""

import jax.numpy as jnp

from dsr_jax.arrays import Array, Float


def ndc_to_pixels(
    points_ndc: Float[Array, "*batch 2"], image_size: tuple[int, int]
) -> Float[Array, "*batch 2"]:
    """Pixel coordinates (u, v) of NDC points (x, y) in an image of (H, W) pixels."""
    height, width = image_size
    shorter = min(height, width)
    x, y = points_ndc[..., 0], points_ndc[..., 1]
    return jnp.stack(
        [(x * shorter + width - 1) / 2, (height - 1 - y * shorter) / 2], -1
    )


def pixels_to_ndc(
    points_px: Float[Array, "*batch 2"], image_size: tuple[int, int]
) -> Float[Array, "*batch 2"]:
    """NDC points (x, y) of pixel coordinates (u, v): the inverse of `ndc_to_pixels`."""
    height, width = image_size
    shorter = min(height, width)
    u, v = points_px[..., 0], points_px[..., 1]
    return jnp.stack(
        [(2 * u + 1 - width) / shorter, (height - 1 - 2 * v) / shorter], -1
    )
