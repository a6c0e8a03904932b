"""ResNet-18 and ResNet-50 (He et al., CVPR 2016) in torchvision's layout.

Modules and their order carry torchvision's names, so that ImageNet, SPIN, EFT and DSR
weights map one to one (`torch_layout.py`). The stride of a bottleneck sits in its 3×3
convolution, as torchvision has it.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import nnx

from dsr_jax.arrays import Array, Float
from dsr_jax.regressor.batch_norm import batch_norm
from dsr_jax.regressor.convolution import (
    Convolution,
    initialize_convolutions,
    max_pool,
)

_STEM_CHANNELS = 64


class _Block(nnx.Module):
    """What both residual blocks share: the shortcut."""

    downsample: nnx.List

    def _shortcut(self, x: Array) -> Array:
        for layer in self.downsample:
            x = layer(x)
        return x


def _projection(
    inputs: int, outputs: int, stride: int, dtype: jnp.dtype, rngs: nnx.Rngs
) -> list[nnx.Module]:
    """A strided 1×1 convolution, or nothing where the shortcut is the identity."""
    if stride == 1 and inputs == outputs:
        return []
    convolution = Convolution(inputs, outputs, 1, stride, dtype)
    return [convolution, batch_norm(outputs, dtype, rngs)]


class BasicBlock(_Block):
    """Two 3×3 convolutions and a shortcut."""

    expansion = 1

    def __init__(
        self, inputs: int, width: int, stride: int, dtype: jnp.dtype, rngs: nnx.Rngs
    ):
        self.conv1 = Convolution(inputs, width, 3, stride, dtype)
        self.bn1 = batch_norm(width, dtype, rngs)
        self.conv2 = Convolution(width, width, 3, 1, dtype)
        self.bn2 = batch_norm(width, dtype, rngs)
        self.downsample = nnx.List(_projection(inputs, width, stride, dtype, rngs))

    def __call__(self, x: Float[Array, "B H W C"]) -> Float[Array, "B h w D"]:
        """Halves height and width where the stride is 2."""
        y = jax.nn.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return jax.nn.relu(y + self._shortcut(x))


class Bottleneck(_Block):
    """1×1, 3×3 and 1×1 convolutions and a shortcut."""

    expansion = 4

    def __init__(
        self, inputs: int, width: int, stride: int, dtype: jnp.dtype, rngs: nnx.Rngs
    ):
        outputs = width * self.expansion
        self.conv1 = Convolution(inputs, width, 1, 1, dtype)
        self.bn1 = batch_norm(width, dtype, rngs)
        self.conv2 = Convolution(width, width, 3, stride, dtype)
        self.bn2 = batch_norm(width, dtype, rngs)
        self.conv3 = Convolution(width, outputs, 1, 1, dtype)
        self.bn3 = batch_norm(outputs, dtype, rngs)
        self.downsample = nnx.List(_projection(inputs, outputs, stride, dtype, rngs))

    def __call__(self, x: Float[Array, "B H W C"]) -> Float[Array, "B h w D"]:
        """Halves height and width where the stride is 2."""
        y = jax.nn.relu(self.bn1(self.conv1(x)))
        y = jax.nn.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return jax.nn.relu(y + self._shortcut(x))


def residual_stage(
    block: type[BasicBlock] | type[Bottleneck],
    inputs: int,
    width: int,
    depth: int,
    dtype: jnp.dtype,
    rngs: nnx.Rngs,
) -> list[nnx.Module]:
    """`depth` blocks of one width; the first halves the image where widths change."""
    stride = 1 if width == _STEM_CHANNELS else 2
    blocks: list[nnx.Module] = [block(inputs, width, stride, dtype, rngs)]
    for _ in range(depth - 1):
        blocks.append(block(width * block.expansion, width, 1, dtype, rngs))
    return blocks


class ResNet(nnx.Module):
    """Four stages of residual blocks between a strided stem and a global average."""

    def __init__(
        self,
        block: type[BasicBlock] | type[Bottleneck],
        depths: Sequence[int],
        dtype: jnp.dtype,
        rngs: nnx.Rngs,
    ):
        wider = block.expansion
        self.conv1 = Convolution(3, _STEM_CHANNELS, 7, 2, dtype)
        self.bn1 = batch_norm(_STEM_CHANNELS, dtype, rngs)
        inputs = (_STEM_CHANNELS, 64 * wider, 128 * wider, 256 * wider)
        self.layer1, self.layer2, self.layer3, self.layer4 = (
            nnx.List(
                residual_stage(block, inputs[i], 64 * 2**i, depths[i], dtype, rngs)
            )
            for i in range(4)
        )
        self.features = 512 * wider
        initialize_convolutions(self, rngs)

    def __call__(self, image: Float[Array, "B H W 3"]) -> Float[Array, "B D"]:
        """Features of normalised images of any size, averaged over space in float32."""
        x = max_pool(jax.nn.relu(self.bn1(self.conv1(image))))
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            for block in stage:
                x = block(x)
        return jnp.mean(x.astype(jnp.float32), axis=(1, 2))


def resnet18(dtype: jnp.dtype, rngs: nnx.Rngs) -> ResNet:
    """512 features, 11,176,512 parameters."""
    return ResNet(BasicBlock, (2, 2, 2, 2), dtype, rngs)


def resnet50(dtype: jnp.dtype, rngs: nnx.Rngs) -> ResNet:
    """2048 features, 23,508,032 parameters."""
    return ResNet(Bottleneck, (3, 4, 6, 3), dtype, rngs)
