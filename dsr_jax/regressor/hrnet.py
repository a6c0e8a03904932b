"""HRNet-W32 and HRNet-W48 (Sun et al., CVPR 2019), with the published weights' names.

Parallel branches at 1/4, 1/8, 1/16 and 1/32 of the image, each twice as wide as the one
before, exchange their maps again and again. Modules carry the names of the authors'
pose and classification networks, whose heads (`final_layer`, `incre_modules`,
`downsamp_modules`, `classifier`) have no place here.

The features are those of HMR with this backbone, as PARE trains it: every branch is
enlarged to the finest one (bilinear, corners aligned), all are joined, 15 × W channels,
and averaged over space.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from dsr_jax.arrays import Array, Float
from dsr_jax.regressor.batch_norm import batch_norm
from dsr_jax.regressor.convolution import Convolution, initialize_convolutions
from dsr_jax.regressor.resnet import BasicBlock, Bottleneck, residual_stage

# An `nnx.List`, whose own type would warn where the tests check types.
Layers = Sequence[Any]

_STEM_CHANNELS = 64
_FIRST_STAGE = 64 * Bottleneck.expansion
_BLOCKS = 4
# Of stages 2, 3 and 4, which have as many branches as their number.
_MODULES = (1, 4, 3)
_BRANCHES = 4
# The coarsest branch sees one pixel in this many of the image.
SIZE_MULTIPLE = 32
HRNETS = ("hrnet_w32", "hrnet_w48")


def _unit(
    inputs: int, outputs: int, size: int, stride: int, dtype: jnp.dtype, rngs: nnx.Rngs
) -> Layers:
    """A convolution and its normalisation, the items 0 and 1 of a Sequential."""
    convolution = Convolution(inputs, outputs, size, stride, dtype)
    return nnx.List([convolution, batch_norm(outputs, dtype, rngs)])


def _apply(unit: Layers, x: Array) -> Array:
    convolution, norm = unit
    return norm(convolution(x))


class Exchange(nnx.Module):
    """One module of a stage: residual blocks in each branch, then all to all."""

    def __init__(
        self, widths: Sequence[int], blocks: int, dtype: jnp.dtype, rngs: nnx.Rngs
    ):
        self.branches = nnx.List([_branch(w, blocks, dtype, rngs) for w in widths])
        every = range(len(widths))
        self.fuse_layers = nnx.List(
            [
                nnx.List([_fusion(widths, i, j, dtype, rngs) for j in every])
                for i in every
            ]
        )

    def __call__(self, maps: list[Array]) -> list[Array]:
        """Maps of every branch, finest first, in and out."""
        seen = []
        for branch, x in zip(self.branches, maps, strict=True):
            for block in branch:
                x = block(x)
            seen.append(x)
        return [
            jax.nn.relu(sum(_fuse(row[j], x, i, j) for j, x in enumerate(seen)))
            for i, row in enumerate(self.fuse_layers)
        ]


def _branch(width: int, blocks: int, dtype: jnp.dtype, rngs: nnx.Rngs) -> Layers:
    return nnx.List([BasicBlock(width, width, 1, dtype, rngs) for _ in range(blocks)])


def _fusion(
    widths: Sequence[int], to: int, source: int, dtype: jnp.dtype, rngs: nnx.Rngs
) -> Layers:
    """What takes the map of one branch to the resolution and width of another."""
    if to == source:
        return nnx.List([])
    if source > to:
        return _unit(widths[source], widths[to], 1, 1, dtype, rngs)
    # Each step halves; only the last one changes the width.
    outputs = [widths[source]] * (to - source - 1) + [widths[to]]
    return nnx.List([_unit(widths[source], w, 3, 2, dtype, rngs) for w in outputs])


def _fuse(layers: Layers, x: Array, to: int, source: int) -> Array:
    if source > to:
        return _enlarged(_apply(layers, x), 2 ** (source - to))
    for step in range(to - source):
        x = _apply(layers[step], x)
        x = jax.nn.relu(x) if step < to - source - 1 else x
    return x


def _enlarged(x: Array, factor: int) -> Array:
    """Every pixel as a square of `factor` × `factor`."""
    return jnp.repeat(jnp.repeat(x, factor, axis=1), factor, axis=2)


class HRNet(nnx.Module):
    """A strided stem, bottlenecks, and three stages of exchanging branches."""

    def __init__(
        self,
        width: int,
        dtype: jnp.dtype,
        rngs: nnx.Rngs,
        modules: Sequence[int] = _MODULES,
        blocks: int = _BLOCKS,
    ):
        widths = [width * 2**i for i in range(_BRANCHES)]
        self.conv1 = Convolution(3, _STEM_CHANNELS, 3, 2, dtype)
        self.bn1 = batch_norm(_STEM_CHANNELS, dtype, rngs)
        self.conv2 = Convolution(_STEM_CHANNELS, _STEM_CHANNELS, 3, 2, dtype)
        self.bn2 = batch_norm(_STEM_CHANNELS, dtype, rngs)
        self.layer1 = nnx.List(
            residual_stage(Bottleneck, _STEM_CHANNELS, 64, blocks, dtype, rngs)
        )
        first = _unit(_FIRST_STAGE, widths[0], 3, 1, dtype, rngs)
        second = _unit(_FIRST_STAGE, widths[1], 3, 2, dtype, rngs)
        self.transition1 = nnx.List([first, nnx.List([second])])
        stages = [
            nnx.List(
                [Exchange(widths[: i + 2], blocks, dtype, rngs) for _ in range(count)]
            )
            for i, count in enumerate(modules)
        ]
        self.stage2, self.stage3, self.stage4 = stages
        self.transition2 = _new_branch(2, widths, dtype, rngs)
        self.transition3 = _new_branch(3, widths, dtype, rngs)
        self.features = sum(widths)
        initialize_convolutions(self, rngs)

    def __call__(self, image: Float[Array, "B H W 3"]) -> Float[Array, "B D"]:
        """Features of normalised images, averaged over space in float32.

        Raises:
          ValueError: H or W is not a multiple of 32.
        """
        if image.shape[1] % SIZE_MULTIPLE or image.shape[2] % SIZE_MULTIPLE:
            raise ValueError(
                f"HRNet takes images whose sides are multiples of {SIZE_MULTIPLE}, not "
                f"{image.shape[1]} x {image.shape[2]}"
            )
        x = jax.nn.relu(self.bn1(self.conv1(image)))
        x = jax.nn.relu(self.bn2(self.conv2(x)))
        for block in self.layer1:
            x = block(x)
        finest, (coarser,) = self.transition1
        maps = [jax.nn.relu(_apply(unit, x)) for unit in (finest, coarser)]
        for module in self.stage2:
            maps = module(maps)
        for transition, stage in (
            (self.transition2, self.stage3),
            (self.transition3, self.stage4),
        ):
            (unit,) = transition[len(maps)]
            maps = [*maps, jax.nn.relu(_apply(unit, maps[-1]))]
            for module in stage:
                maps = module(maps)
        _, height, width, _ = maps[0].shape
        means = [_enlarged_mean(x, (height, width)) for x in maps]
        return jnp.concatenate(means, axis=-1)


def _new_branch(
    branches: int, widths: Sequence[int], dtype: jnp.dtype, rngs: nnx.Rngs
) -> Layers:
    """One more branch out of the coarsest; the others go on as they are."""
    unit = _unit(widths[branches - 1], widths[branches], 3, 2, dtype, rngs)
    # Empty lists keep the places that PyTorch's network leaves empty, and the numbers.
    return nnx.List([*(nnx.List([]) for _ in range(branches)), nnx.List([unit])])


def _enlarged_mean(
    x: Float[Array, "B h w C"], size: tuple[int, int]
) -> Float[Array, "B C"]:
    """The spatial mean of the map enlarged to `size`, in float32, without enlarging.

    Bilinear interpolation is linear in the map: its mean is one weighted sum.
    """
    rows, columns = (
        jnp.asarray(_mean_weights(n, m), jnp.float32)
        for n, m in zip(x.shape[1:3], size, strict=True)
    )
    return jnp.einsum(
        "bhwc,h,w->bc",
        x.astype(jnp.float32),
        rows,
        columns,
        precision=jax.lax.Precision.HIGHEST,
    )


def _mean_weights(count: int, enlarged: int) -> np.ndarray:
    """How much each of `count` samples weighs in the mean of `enlarged` of them.

    Sample i of the enlarged ones lies at i·(count − 1)/(enlarged − 1): the first ones
    coincide, and so do the last ones.
    """
    places = np.linspace(0, count - 1, enlarged)
    distance = np.abs(places[:, None] - np.arange(count)[None])
    return np.maximum(1 - distance, 0).mean(0)


def hrnet_w32(dtype: jnp.dtype, rngs: nnx.Rngs) -> HRNet:
    """480 features, see `HRNet`."""
    return HRNet(32, dtype, rngs)


def hrnet_w48(dtype: jnp.dtype, rngs: nnx.Rngs) -> HRNet:
    """720 features, see `HRNet`."""
    return HRNet(48, dtype, rngs)
