"""A step that was not finite: which term, on which examples, and a dump to repeat it.

The step has changed nothing, nor has any after it (`TrainStep`): the state is still the
one before. So the step can be looked at once more, on the devices, part by part.
"""

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax

from dsr_jax.data import Batch
from dsr_jax.errors import UserError
from dsr_jax.hosts.agreement import Agreement
from dsr_jax.losses import TERMS
from dsr_jax.pipeline import Scene
from dsr_jax.training.examination import (
    DERIVATIVE,
    OUTPUT,
    VALUE,
    WEIGHTS,
    Examination,
    Finding,
)
from dsr_jax.training.fault_dump import write_dump
from dsr_jax.training.state import TrainState

# Names in the line; the dump has all.
_NAMED = 3
_WORDS = {
    WEIGHTS: "the weights that the step before made are",
    OUTPUT: "the network's output is",
    VALUE: "the loss term '{}' is",
    DERIVATIVE: "the derivative of the loss term '{}' is",
}

Names = Callable[[int], Sequence[str]]


class BadStep(NamedTuple):
    """A step whose loss or gradient was not finite."""

    step: int
    batch: Batch
    """On the devices."""
    metrics: dict[str, float]


@dataclasses.dataclass(frozen=True)
class Blame:
    """Where a step first left the finite numbers."""

    what: str
    """Subject and verb of a sentence that ends with "not finite"."""
    rows: tuple[int, ...]
    """Examples of the batch; none if it cannot be laid at any example's door."""


def fault_reporter(
    workdir: Path, examine: Examination, scene: Scene, names: Names
) -> Callable[[TrainState, BadStep], str]:
    """Makes `(state, step) → the user's line`; writes a dump beside it.

    Every host must call it.

    Args:
      workdir: folder of the run.
      examine: of the run's network.
      scene: body and prior, on every device.
      names: step → names of its examples.
    """

    def report(state: TrainState, bad: BadStep) -> str:
        blame = _examined(examine, state, scene, bad)
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
        return (
            f"step {bad.step}: {blame.what} not finite{_of(culprits)}; the step was "
            f"not taken. {_dumped(workdir, state, bad.batch, notes)}. Lower "
            "'optimizer.learning_rate' or set 'optimizer.clip_norm', and run the same "
            "command again to continue from the last checkpoint"
        )

    return report


def find_blame(findings: Iterable[Finding], metrics: Mapping[str, float]) -> Blame:
    """The first thing that is not finite, in the order of the computation.

    Args:
      findings: of the step's examination; no more are taken than needed.
      metrics: of the step.
    """
    for kind, term, rows in findings:
        if rows:
            blamed = () if kind == WEIGHTS else rows
            return Blame(_WORDS[kind].format(term), blamed)
    return _blame_of_sums(metrics)


def _blame_of_sums(metrics: Mapping[str, float]) -> Blame:
    """What is known without example by example, or if each of them is finite."""
    for term in TERMS:
        if not math.isfinite(metrics.get(f"term/{term}", 0.0)):
            return Blame(f"the mean of the loss term '{term}' is", ())
        if not math.isfinite(metrics.get(f"weighted/{term}", 0.0)):
            return Blame(f"the loss term '{term}', weighted, is", ())
    if not math.isfinite(metrics["loss"]):
        return Blame("the weighted sum of the loss terms is", ())
    return Blame("the gradient of the network's weights is", ())


def _examined(
    examine: Examination, state: TrainState, scene: Scene, bad: BadStep
) -> Blame:
    try:
        return find_blame(examine(state, scene, bad.batch), bad.metrics)
    # It needs memory beside the step's; without it the dump can still be examined.
    except jax.errors.JaxRuntimeError:
        return _blame_of_sums(bad.metrics)


def _dumped(
    workdir: Path, state: TrainState, batch: Batch, notes: Mapping[str, Any]
) -> str:
    """Says where the dump is, or why there is none: the fault itself is told anyway."""
    # Whoever is done first ends the job: not before all have written their part.
    agreement = Agreement(f"dump of step {notes['step']}")
    try:
        folder = agreement.by_all(lambda: write_dump(workdir, state, batch, notes))
    except (UserError, jax.errors.JaxRuntimeError) as error:
        return f"There is no dump of it ({error})"
    return (
        f"{folder} holds state and batch: tools/replay_fault.py {folder} repeats the "
        "step"
    )


def _of(names: Sequence[str]) -> str:
    if not names:
        return ""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f" for {', '.join(names[:_NAMED])}{more}"
