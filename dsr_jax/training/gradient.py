"""What one device does in a step: its examples' share of the loss and of its gradient.

Every device works on its own examples. The devices speak to each other only through

    counts       how many examples of the batch each loss term is valid for,
    batch norm   two numbers a channel, forth and back,
    gradients    once, at the end, in one all-reduce that the metrics travel with,

so that nothing of an image's size ever leaves a device.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jax.sharding import PartitionSpec

from dsr_jax.arrays import Array, Bool, Float, Integer
from dsr_jax.data import Batch
from dsr_jax.losses import inactive_dsr_terms, term_validity, weighted_sum
from dsr_jax.pipeline import PipelineSettings, Scene, objective_terms, predict
from dsr_jax.training.devices import BATCH_AXIS
from dsr_jax.training.state import Network, changed_by_call

Means = dict[str, Float[Array, ""]]


class BatchGradient(NamedTuple):
    """Of the whole batch, the same on every device."""

    gradient: Any
    """Like the weights; of one that is split over the devices, the device's part."""
    means: Means
    """The loss and every term's mean before weighting."""
    counts: Means
    """How many examples each term is valid for."""
    stop: Float[Array, ""]
    """How many devices' hosts were asked to stop."""
    rng: nnx.State
    """The random streams after the batch."""
    statistics: nnx.State
    """The running statistics after the batch."""


class _Sums(NamedTuple):
    """What the parts of a batch add up to, and what they hand on."""

    gradient: Any
    means: Means
    rng: nnx.State
    statistics: nnx.State


@dataclasses.dataclass(frozen=True)
class DeviceGradient:
    """One device's work, to be mapped over the mesh axis `BATCH_AXIS`."""

    network: Network
    settings: PipelineSettings
    parts: int
    """The device's examples are taken in so many parts, one after the other."""
    specs: Any
    """Like the weights: how each leaf's gradient is split over the devices."""

    def __call__(
        self,
        variables: tuple[nnx.State, nnx.State, nnx.State],
        use_dsr: Bool[Array, ""],
        scene: Scene,
        batch: Batch,
        stop: Float[Array, "1"],
    ) -> BatchGradient:
        """The gradient of the whole batch.

        Args:
          variables: weights, random streams and running statistics, whole.
          use_dsr: whether the semantic terms count.
          scene: body and prior.
          batch: the device's examples.
          stop: 1 if the device's host was asked to stop, else 0.
        """
        params, rng, statistics = variables
        counts = self._counts(batch, use_dsr)
        count = batch.image.shape[0]
        rows = jax.lax.axis_index(BATCH_AXIS) * count + jnp.arange(count)

        def of_part(statistics: nnx.State, part: tuple[Batch, Array]) -> _Sums:
            loss = self._loss_of(rng, statistics, use_dsr, scene, counts, *part)
            gradient, aux = jax.grad(loss, has_aux=True)(params)
            return _Sums(gradient, *aux)

        sums = self._over_parts(of_part, statistics, (batch, rows))
        with jax.named_scope("reduce_gradients"):
            gradient, means, stopping = self._reduce(
                sums.gradient, sums.means, jnp.sum(stop)
            )
        return BatchGradient(
            gradient, means, counts, stopping, sums.rng, sums.statistics
        )

    def _counts(self, batch: Batch, use_dsr: Bool[Array, ""]) -> Means:
        where = term_validity(batch, self.settings.objective)
        semantic = inactive_dsr_terms(where["camera"])
        own = {
            name: jnp.sum(w) * (use_dsr if name in semantic else 1)
            for name, w in where.items()
        }
        totals = jax.lax.psum(jnp.stack(list(own.values())), BATCH_AXIS)
        return dict(zip(own, totals, strict=True))

    def _loss_of(
        self,
        rng: nnx.State,
        statistics: nnx.State,
        use_dsr: Bool[Array, ""],
        scene: Scene,
        counts: Means,
        batch: Batch,
        rows: Integer[Array, "B"],
    ) -> Callable[[nnx.State], tuple[Array, tuple[Means, nnx.State, nnx.State]]]:
        """Weights → these examples' share of the batch's loss, and what has changed."""

        def loss_of(params: nnx.State) -> tuple[Array, Any]:
            regressor = self.network.for_training(params, rng, statistics, BATCH_AXIS)
            prediction = predict(regressor, jnp.asarray(batch.image), rows)
            terms = objective_terms(scene, prediction, batch, use_dsr, self.settings)
            with jax.named_scope("objective"):
                loss, means = weighted_sum(terms, self.settings.objective, counts)
            return loss, (means, *changed_by_call(regressor))

        return loss_of

    def _over_parts(
        self,
        of_part: Callable[[nnx.State, tuple[Batch, Array]], _Sums],
        statistics: nnx.State,
        examples: tuple[Batch, Array],
    ) -> _Sums:
        """Adds up the parts; running statistics go from each to the next."""
        if self.parts == 1:
            return of_part(statistics, examples)
        split = jax.tree.map(
            lambda leaf: jnp.reshape(leaf, (self.parts, -1, *leaf.shape[1:])), examples
        )
        first = jax.tree.map(lambda leaf: leaf[0], split)
        rest = jax.tree.map(lambda leaf: leaf[1:], split)

        def add(sums: _Sums, part: tuple[Batch, Array]) -> tuple[_Sums, None]:
            new = of_part(sums.statistics, part)
            gradient, means = jax.tree.map(
                jnp.add, (sums.gradient, sums.means), (new.gradient, new.means)
            )
            return _Sums(gradient, means, new.rng, new.statistics), None

        return jax.lax.scan(add, of_part(statistics, first), rest)[0]

    def _reduce(
        self, gradient: Any, means: Means, stop: Float[Array, ""]
    ) -> tuple[Any, Means, Float[Array, ""]]:
        """Sums over the devices: one all-reduce of all that every device needs whole.

        A single vector, because one transfer of 100 MB takes less time than 160 small
        ones, and because not every backend joins them by itself.
        """
        if jax.lax.axis_size(BATCH_AXIS) == 1:
            # A vector of all gradients would only be written and read once more.
            return gradient, means, stop
        leaves, tree = jax.tree.flatten(gradient)
        specs = jax.tree.leaves(self.specs, is_leaf=lambda s: s is None)
        whole = [
            leaf for leaf, spec in zip(leaves, specs, strict=True) if not any(spec)
        ]
        numbers = jnp.stack([*means.values(), stop])
        flat = jnp.concatenate([leaf.reshape(-1) for leaf in (*whole, numbers)])
        flat = jax.lax.psum(flat, BATCH_AXIS)
        summed = iter(_split_like(flat, [*whole, numbers]))
        reduced = [
            _scatter(leaf, spec) if any(spec) else next(summed)
            for leaf, spec in zip(leaves, specs, strict=True)
        ]
        *mean_values, stopping = next(summed)
        names = dict(zip(means, mean_values, strict=True))
        return jax.tree.unflatten(tree, reduced), names, stopping


def _scatter(leaf: Array, spec: PartitionSpec) -> Array:
    """The sum over the devices, of which each keeps its own part."""
    axis = list(spec).index(BATCH_AXIS)
    return jax.lax.psum_scatter(leaf, BATCH_AXIS, scatter_dimension=axis, tiled=True)


def _split_like(flat: Array, leaves: list[Array]) -> list[Array]:
    parts, start = [], 0
    for leaf in leaves:
        parts.append(flat[start : start + leaf.size].reshape(leaf.shape))
        start += leaf.size
    return parts
