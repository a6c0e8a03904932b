"""A step that was not finite: which term, on which examples, and a dump to repeat it.

The step has changed nothing, nor has any after it (`TrainStep`): the state is still the
one before. So the step can be looked at once more, on the devices, part by part.
"""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, PartitionSpec

from dsr_jax.arrays import Array, Bool
from dsr_jax.data import Batch
from dsr_jax.numerics import masked_sum
from dsr_jax.pipeline import PipelineSettings, Scene, objective_terms, predict
from dsr_jax.regressor import Prediction
from dsr_jax.training.devices import BATCH_AXIS
from dsr_jax.training.fault_dump import write_dump
from dsr_jax.training.state import Network, TrainState

# Names in the line; the dump has all.
_NAMED = 3

Names = Callable[[int], Sequence[str]]


class BadStep(NamedTuple):
    """A step whose loss or gradient was not finite."""

    step: int
    batch: Batch
    """On the devices."""
    metrics: dict[str, float]


class Examination(NamedTuple):
    """What of a step is finite."""

    weights: Bool[Array, ""]
    examples: dict[str, Bool[Array, "B"]]
    """In the order of the computation: "the network's output", then every loss term,
    then every term's derivative by the network's output."""


@dataclasses.dataclass(frozen=True)
class Blame:
    """Where a step first left the finite numbers."""

    what: str
    rows: tuple[int, ...]
    """Examples of the batch; none if it cannot be laid at any example's door."""


Examine = Callable[[TrainState, Scene, Batch], Examination]


def fault_reporter(
    workdir: Path, examine: Examine, scene: Scene, names: Names
) -> Callable[[TrainState, BadStep], str]:
    """Makes `(state, step) → the user's line`; writes a dump beside it.

    Every host must call it.

    Args:
      workdir: folder of the run.
      examine: of `build_examination`.
      scene: body and prior, on every device.
      names: step → names of its examples.
    """

    def report(state: TrainState, bad: BadStep) -> str:
        blame = find_blame(examine(state, scene, bad.batch))
        known = list(names(bad.step))
        culprits = [known[row] for row in blame.rows]
        notes = {
            "step": bad.step,
            "not_finite": blame.what,
            "rows": list(blame.rows),
            "examples": culprits,
            "metrics": {name: str(value) for name, value in bad.metrics.items()},
            "batch": known,
        }
        folder = write_dump(workdir, state, bad.batch, notes)
        return (
            f"step {bad.step}: {blame.what} not finite{_of(culprits)}; the step was "
            f"not taken. {folder} holds state and batch: tools/replay_fault.py repeats "
            "the step. Lower 'optimizer.learning_rate' or set 'optimizer.clip_norm', "
            "and run the same command again to continue from the last checkpoint"
        )

    return report


def build_examination(
    network: Network, settings: PipelineSettings, mesh: Mesh
) -> Examine:
    """Compiles `(state, scene, batch) → Examination`, on all devices of the mesh."""

    def on_device(
        variables: tuple[Any, Any, Any],
        use_dsr: Bool[Array, ""],
        scene: Scene,
        batch: Batch,
    ) -> Examination:
        params, rng, statistics = variables
        count = batch.image.shape[0]
        rows = jax.lax.axis_index(BATCH_AXIS) * count + jnp.arange(count)
        regressor = network.for_training(params, rng, statistics, BATCH_AXIS)
        prediction = predict(regressor, jnp.asarray(batch.image), rows)
        own = {"the network's output is": _finite(prediction)}
        own |= _finite_terms(prediction, use_dsr, scene, batch, settings)
        everyone = jax.lax.all_gather(own, BATCH_AXIS, tiled=True)
        leaves = [jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(params)]
        return Examination(jnp.all(jnp.stack(leaves)), everyone)

    everywhere, split = PartitionSpec(), PartitionSpec(BATCH_AXIS)
    mapped = jax.shard_map(
        on_device,
        mesh=mesh,
        in_specs=(everywhere, everywhere, everywhere, split),
        out_specs=everywhere,
        check_vma=False,  # as the step
    )

    @jax.jit
    def examine(state: TrainState, scene: Scene, batch: Batch) -> Examination:
        use_dsr = state.step >= settings.objective.dsr_start_step
        variables = state.params, state.rng, state.statistics
        found: Examination = mapped(variables, use_dsr, scene, batch)
        return found

    return examine


def find_blame(found: Examination) -> Blame:
    """The first thing that is not finite, in the order of the computation."""
    if not bool(found.weights):
        return Blame("the weights that the step before made are", ())
    examples = jax.device_get(found.examples)
    for what, finite in examples.items():
        if not finite.all():
            return Blame(what, tuple(np.flatnonzero(~finite).tolist()))
    return Blame("the gradient of the network's weights is", ())


def _finite_terms(
    prediction: Prediction,
    use_dsr: Bool[Array, ""],
    scene: Scene,
    batch: Batch,
    settings: PipelineSettings,
) -> dict[str, Bool[Array, "b"]]:
    """Every term, and its derivative, example by example."""

    def totals(prediction: Prediction) -> tuple[dict[str, Array], Any]:
        terms = objective_terms(scene, prediction, batch, use_dsr, settings)
        return {name: masked_sum(*term) for name, term in terms.items()}, terms

    sums, back, terms = jax.vjp(totals, prediction, has_aux=True)
    values, derivatives = {}, {}
    for name, term in terms.items():
        finite = jnp.isfinite(term.values) | (term.where == 0)
        values[f"the loss term '{name}' is"] = finite
        one = {other: jnp.asarray(float(other == name)) for other in sums}
        derivatives[f"the derivative of the loss term '{name}' is"] = _finite(
            back(one)[0]
        )
    return values | derivatives


def _finite(tree: Any) -> Bool[Array, "b"]:
    """Whether all numbers of an example are."""
    leaves = [
        jnp.all(jnp.isfinite(leaf), axis=tuple(range(1, leaf.ndim)))
        for leaf in jax.tree.leaves(tree)
    ]
    return jnp.all(jnp.stack(leaves), axis=0)


def _of(names: Sequence[str]) -> str:
    if not names:
        return ""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f" for {', '.join(names[:_NAMED])}{more}"
