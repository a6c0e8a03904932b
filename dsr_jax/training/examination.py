"""A step looked at part by part: what of it is finite, example by example.

Each part is a program of its own, compiled when it is asked for: a step that is not
finite seldom needs more than the first two.
"""

import functools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, PartitionSpec

from dsr_jax.arrays import Array, Bool
from dsr_jax.data import Batch
from dsr_jax.losses import TERMS
from dsr_jax.numerics import masked_sum
from dsr_jax.pipeline import PipelineSettings, Scene, objective_terms, predict
from dsr_jax.regressor import Prediction
from dsr_jax.training.devices import BATCH_AXIS
from dsr_jax.training.state import Network, TrainState

WEIGHTS, OUTPUT = "weights", "output"
VALUE, DERIVATIVE = "value", "derivative"


class Finding(NamedTuple):
    """One part of a step."""

    kind: str
    """`WEIGHTS`, `OUTPUT` (of the network), `VALUE` of a loss term, or its `DERIVATIVE`
    by the network's output."""
    term: str
    """Of the objective; "" for the first two kinds."""
    rows: tuple[int, ...]
    """Examples of the batch for which it is not finite; all, if the weights are not."""


class Examination:
    """`(state, scene, batch) → findings`, in the order of the computation."""

    def __init__(
        self, network: Network, settings: PipelineSettings, mesh: Mesh, parts: int = 1
    ):
        """Compiles nothing yet.

        Args:
          network: the regressor's static half.
          settings: drawing and objective.
          mesh: of all devices.
          parts: as the step takes them (`StepSettings.accumulate`): batch norm sees
            one part at a time.
        """
        self._network, self._settings = network, settings
        self._mesh, self._parts = mesh, parts

    def __call__(
        self, state: TrainState, scene: Scene, batch: Batch
    ) -> Iterator[Finding]:
        """Every host must take as many findings as every other.

        Args:
          state: before the step.
          scene: body and prior, on every device.
          batch: split over the devices.
        """
        sound = bool(_all_finite(state.params))
        yield Finding(WEIGHTS, "", () if sound else tuple(range(len(batch.image))))
        variables = state.params, state.rng, state.statistics
        prediction, finite = self._predict(variables, batch)
        yield Finding(OUTPUT, "", _rows(finite))
        use_dsr = state.step >= self._settings.objective.dsr_start_step
        given = use_dsr, scene, batch, prediction
        for term, rows in self._values(*given).items():
            yield Finding(VALUE, term, rows)
        for term in TERMS:
            yield Finding(DERIVATIVE, term, _rows(self._derivative(term)(*given)))

    @functools.cached_property
    def _predict(self) -> Callable[..., Any]:
        def on_device(variables: Any, batch: Batch) -> tuple[Prediction, Array]:
            params, rng, statistics = variables
            count = batch.image.shape[0]
            rows = jax.lax.axis_index(BATCH_AXIS) * count + jnp.arange(count)

            def of_part(part: tuple[Array, Array]) -> Prediction:
                regressor = self._network.for_training(
                    params, rng, statistics, BATCH_AXIS
                )
                return predict(regressor, *part)

            given = jax.tree.map(self._into_parts, (jnp.asarray(batch.image), rows))
            predicted = jax.tree.map(
                lambda leaf: leaf.reshape(count, *leaf.shape[2:]),
                jax.lax.map(of_part, given),
            )
            return predicted, _gathered(_finite(predicted))

        everywhere, split = PartitionSpec(), PartitionSpec(BATCH_AXIS)
        return self._mapped(on_device, (everywhere, split), (split, everywhere))

    def _into_parts(self, leaf: Array) -> Array:
        return leaf.reshape(self._parts, -1, *leaf.shape[1:])

    def _values(self, *given: Any) -> dict[str, tuple[int, ...]]:
        def on_device(
            use_dsr: Array, scene: Scene, batch: Batch, prediction: Prediction
        ) -> dict[str, Array]:
            terms = objective_terms(scene, prediction, batch, use_dsr, self._settings)
            return {
                name: _gathered(jnp.isfinite(term.values) | (term.where == 0))
                for name, term in terms.items()
            }

        found = self._on_examples(on_device)(*given)
        return {term: _rows(found[term]) for term in TERMS}

    def _derivative(self, name: str) -> Callable[..., Any]:
        # Not one program for all terms: where a derivative is infinite, the other
        # terms' share in it would be 0·∞, and no number either.
        def on_device(
            use_dsr: Array, scene: Scene, batch: Batch, prediction: Prediction
        ) -> Array:
            def total(prediction: Prediction) -> Array:
                terms = objective_terms(
                    scene, prediction, batch, use_dsr, self._settings
                )
                return masked_sum(*terms[name])

            return _gathered(_finite(jax.grad(total)(prediction)))

        return self._on_examples(on_device)

    def _on_examples(self, on_device: Callable[..., Any]) -> Callable[..., Any]:
        everywhere, split = PartitionSpec(), PartitionSpec(BATCH_AXIS)
        return self._mapped(
            on_device, (everywhere, everywhere, split, split), everywhere
        )

    def _mapped(
        self, on_device: Callable[..., Any], ins: Any, outs: Any
    ) -> Callable[..., Any]:
        # The rasterizer's loops start from constants, which the check refuses.
        return jax.jit(
            jax.shard_map(
                on_device,
                mesh=self._mesh,
                in_specs=ins,
                out_specs=outs,
                check_vma=False,
            )
        )


@jax.jit
def _all_finite(tree: Any) -> Bool[Array, ""]:
    leaves = [jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(tree)]
    return jnp.all(jnp.stack(leaves))


def _gathered(own: Bool[Array, "b"]) -> Bool[Array, "B"]:
    return jax.lax.all_gather(own, BATCH_AXIS, tiled=True)


def _finite(tree: Any) -> Bool[Array, "b"]:
    """Whether all numbers of an example are."""
    leaves = [
        jnp.all(jnp.isfinite(leaf), axis=tuple(range(1, leaf.ndim)))
        for leaf in jax.tree.leaves(tree)
    ]
    return jnp.all(jnp.stack(leaves), axis=0)


def _rows(finite: Array) -> tuple[int, ...]:
    return tuple(np.flatnonzero(~np.asarray(finite)).tolist())
