"""Dropout whose mask an example keeps wherever it is computed."""

import jax
import jax.numpy as jnp
from flax import nnx

from dsr_jax.arrays import Array, Float, Integer


class ExampleDropout(nnx.Dropout):
    """Srivastava et al., JMLR 2014, with a key of its own for every example.

    An example's mask depends on the random stream and on its place in the whole batch.
    So a batch that is split over devices, or into parts one after the other, drops the
    same units as one that is not, and no device draws masks for the others.
    """

    def __call__(  # type: ignore[override]
        self, x: Float[Array, "B D"], rows: Integer[Array, "B"] | None = None
    ) -> Float[Array, "B D"]:
        """Drops units in training mode, and scales the others by 1 / (1 - rate).

        Args:
          x: features of B examples.
          rows: their places in the whole batch; by default they are all of it.
        """
        if self.deterministic or self.rate == 0:
            return x
        rows = jnp.arange(x.shape[0]) if rows is None else rows
        key = self.rngs()
        keys = jax.vmap(jax.random.fold_in, (None, 0))(key, rows)
        keep = 1 - self.rate
        kept = jax.vmap(lambda k: jax.random.bernoulli(k, keep, x.shape[1:]))(keys)
        return jnp.where(kept, x / keep, 0)
