"""Batch normalisation that agrees with PyTorch's, statistics included."""

import jax
import jax.numpy as jnp
from flax import nnx

from dsr_jax.arrays import Array, Float

# PyTorch's `momentum=0.1` is the weight of the new value.
_MOMENTUM = 0.9
_EPSILON = 1e-5


class BatchNorm(nnx.BatchNorm):
    """Ioffe and Szegedy, ICML 2015, with PyTorch's running statistics.

    The batch is normalised by its biased variance; the running variance gathers the
    unbiased one, with the factor n / (n − 1) of n = B·H·W values a channel. With
    `axis_name` all of it is over the examples of all devices along that mesh axis. A
    single value (n = 1), which PyTorch refuses, has variance 0.
    """

    def __call__(
        self,
        x: Float[Array, "B H W C"],
        use_running_average: bool | None = None,
        *,
        mask: Array | None = None,
    ) -> Float[Array, "B H W C"]:
        """Normalises the channels; `mask` is not supported."""
        if mask is not None:
            raise ValueError("mask is not supported: the shape counts the values")
        before = self.var[...]
        result = super().__call__(x, use_running_average)
        running = (
            self.use_running_average
            if use_running_average is None
            else use_running_average
        )
        if not running:
            count = x.size // x.shape[-1]
            if self.axis_name is not None:
                count *= jax.lax.axis_size(self.axis_name)
            after = self.var[...]
            # n / (n − 1) = 1 + 1 / (n − 1), applied to what this batch has added.
            self.var[...] = after + (after - self.momentum * before) / max(count - 1, 1)
        return result


def batch_norm(channels: int, dtype: jnp.dtype, rngs: nnx.Rngs) -> BatchNorm:
    """Statistics, scale and bias stay in float32 whatever the activations are."""
    return BatchNorm(
        channels,
        momentum=_MOMENTUM,
        epsilon=_EPSILON,
        dtype=dtype,
        promote_dtype=_keep_dtypes,
        rngs=rngs,
    )


def _keep_dtypes(arrays, /, *, dtype=None, inexact=True):
    """Leaves the statistics as they are: Flax would round them to the result's type."""
    del dtype, inexact
    return arrays
