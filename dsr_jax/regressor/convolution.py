"""Two-dimensional convolution and max-pooling, in forms that XLA runs fast everywhere.

Images are (B, H, W, C), kernels (height, width, inputs, outputs). Padding is explicit
and symmetric, as in PyTorch: "SAME" would shift every strided layer by a pixel and with
it the meaning of converted weights.
"""

import math

import jax
import jax.numpy as jnp
from flax import nnx

from dsr_jax.arrays import Array, Float
from dsr_jax.regressor.initialization import fill_normal

_DIMENSIONS = ("NHWC", "HWIO", "NHWC")


class Convolution(nnx.Module):
    """Convolution without bias, as in every layer of a ResNet; starts from zeros."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        size: int,
        stride: int,
        dtype: jnp.dtype,
    ):
        self.kernel = nnx.Param(jnp.zeros((size, size, inputs, outputs), jnp.float32))
        self.stride = stride
        self.dtype = dtype

    def __call__(self, x: Float[Array, "B H W C"]) -> Float[Array, "B h w D"]:
        """Computes in the compute dtype; padding keeps ⌈size / stride⌉ pixels."""
        kernel = self.kernel[...].astype(self.dtype)
        padding = (kernel.shape[0] - 1) // 2
        return convolve(x.astype(self.dtype), kernel, self.stride, padding)


def initialize_convolutions(network: nnx.Module, rngs: nnx.Rngs) -> None:
    """Normal kernels of variance 2 / fan out, torchvision's choice.

    He et al., "Delving Deep into Rectifiers", ICCV 2015, eq. 14.
    """
    modules = (module for _, module in nnx.iter_modules(network))
    kernels = [m.kernel for m in modules if isinstance(m, Convolution)]
    fan_outs = [math.prod(kernel.shape) // kernel.shape[-2] for kernel in kernels]
    fill_normal(kernels, [math.sqrt(2 / fan) for fan in fan_outs], rngs.params())


def convolve(
    x: Float[Array, "B H W C"],
    kernel: Float[Array, "K K C D"],
    stride: int,
    padding: int,
) -> Float[Array, "B h w D"]:
    """Cross-correlation with `padding` zeros on each side.

    Two cases are one matrix product of patches. XLA's gradient of a 1×1 kernel was 2 to
    5 times slower on the CPU, and a result smaller than the kernel has no fast path
    there at all: 290 ms against 3 ms (3×3, 512 channels, 32 maps of 2×2).
    """
    height, width = (
        (size + 2 * padding - kernel.shape[0]) // stride + 1 for size in x.shape[1:3]
    )
    if kernel.shape[0] == 1 or min(height, width) < kernel.shape[0]:
        return _convolve_patches(x, kernel, stride, padding)
    return jax.lax.conv_general_dilated(
        x, kernel, (stride, stride), [(padding, padding)] * 2, None, None, _DIMENSIONS
    )


def _convolve_patches(x: Array, kernel: Array, stride: int, padding: int) -> Array:
    """The same convolution as one matrix product."""
    size, _, inputs, outputs = kernel.shape
    margin = (padding, padding)
    padded = jnp.pad(x, ((0, 0), margin, margin, (0, 0)))
    rows = [_every(padded, 1, i, size, stride) for i in range(size)]
    patches = [_every(row, 2, j, size, stride) for row in rows for j in range(size)]
    stacked = jnp.concatenate(patches, axis=-1)
    return jnp.matmul(stacked, kernel.reshape(size * size * inputs, outputs))


def _every(x: Array, axis: int, offset: int, size: int, stride: int) -> Array:
    """What element `offset` of a window of `size` sees along `axis` as it strides."""
    last = offset + (x.shape[axis] - size) // stride * stride
    return jax.lax.slice_in_dim(x, offset, last + 1, stride, axis)


def max_pool(x: Float[Array, "B H W C"]) -> Float[Array, "B h w C"]:
    """Maximum over 3×3 windows with stride 2 and one pixel of padding.

    As maxima of shifted copies, first rows then columns: XLA's own window reduction had
    a gradient 2 to 12 times slower on the CPU. Equal maxima share the gradient; after a
    ReLU those are zeros, where it is stopped anyway.
    """
    margin = (1, 1)
    padded = jnp.pad(
        x, ((0, 0), margin, margin, (0, 0)), constant_values=jnp.finfo(x.dtype).min
    )
    for axis in (1, 2):
        first, second, third = (_every(padded, axis, i, 3, 2) for i in range(3))
        padded = jnp.maximum(jnp.maximum(first, second), third)
    return padded
