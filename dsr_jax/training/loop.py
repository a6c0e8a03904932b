"""The training loop: steps, a progress bar, records, evaluations, pictures, saving."""

import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping

import jax
import numpy as np

from dsr_jax.arrays import UInt8
from dsr_jax.data import Batch
from dsr_jax.pipeline import Scene
from dsr_jax.training.checkpoint import SCORE, Checkpoints
from dsr_jax.training.interruption import StopRequest
from dsr_jax.training.metrics import MetricWriter
from dsr_jax.training.progress import progress_bar
from dsr_jax.training.settings import TrainingSettings
from dsr_jax.training.state import TrainState
from dsr_jax.training.step import Metrics, TrainStep, check_finite

# Steps that may run ahead of the progress bar: enough to keep an accelerator busy.
_IN_FLIGHT = 2

# What the progress bar shows, and as what: a line has little room.
_SHORT_NAMES = {
    "keypoints_2d": "2d",
    "joints_3d": "3d",
    "pose": "pose",
    "dsr_mc": "mc",
    "dsr_c": "c",
}


@dataclasses.dataclass(frozen=True)
class Hooks:
    """What the loop calls between steps."""

    evaluate: Callable[[TrainState], Mapping[str, float]]
    """Errors on the validation split by name, `score` among them."""
    draw: Callable[[TrainState], UInt8[np.ndarray, "H W 3"]]
    """A panel of pictures."""
    save_picture: Callable[[int, UInt8[np.ndarray, "H W 3"]], None]
    """Keeps the panel of a step."""
    count: Callable[[], Mapping[str, float]] = dict
    """What the data loader counted so far, by name, for the record."""


def train(
    state: TrainState,
    train_step: TrainStep,
    scene: Scene,
    batches: Iterator[Batch],
    settings: TrainingSettings,
    hooks: Hooks,
    writer: MetricWriter,
    checkpoints: Checkpoints,
    stop: StopRequest,
) -> TrainState:
    """Trains from `state.step` to exactly `settings.steps`.

    Every record, evaluation and picture is of a state whose losses were finite; a state
    is never saved unchecked.

    Raises:
      Interrupted: after a signal, when the step is finished and its state is saved.
      UserError: the loss is not finite, or the run's folder cannot be written.
    """
    first = int(state.step)
    pending: list[Metrics] = []
    clock = time.perf_counter()
    with progress_bar(settings.steps, "compiling", "step", first) as bar:
        for step in range(first + 1, settings.steps + 1):
            state, metrics = train_step(state, scene, next(batches))
            pending.append(metrics)
            if len(pending) > _IN_FLIGHT:
                jax.block_until_ready(pending[-1 - _IN_FLIGHT])
            bar.set_description("training", refresh=False)
            bar.update()
            due = _due(step, settings)
            if any(due.values()) or stop.requested:
                record = _mean_of(pending, step)
                seconds = time.perf_counter() - clock
                record["images_per_second"] = (
                    settings.batch_size * len(pending) / seconds
                )
                record |= hooks.count()
                pending = []
                bar.set_postfix_str(_summary(record), refresh=False)
                if due["evaluate"] and not stop.requested:
                    errors = hooks.evaluate(state)
                    record |= {f"validation/{k}": v for k, v in errors.items()}
                    checkpoints.save(state, {}, errors[SCORE])
                elif due["checkpoint"] or stop.requested:
                    checkpoints.save(state, {})
                if stop.requested:
                    checkpoints.wait()
                writer.write(step, record)
                if due["pictures"] and not stop.requested:
                    picture = hooks.draw(state)
                    hooks.save_picture(step, picture)
                    writer.picture(step, "people", picture)
                stop.check()
            if not pending:
                clock = time.perf_counter()
    return state


def _due(step: int, settings: TrainingSettings) -> dict[str, bool]:
    """What happens after this step; after the last one, everything does."""
    intervals = {
        "log": settings.log_every,
        "checkpoint": settings.checkpoint_every,
        "evaluate": settings.evaluate_every,
        "pictures": settings.pictures_every,
    }
    return {
        name: step == settings.steps or (every > 0 and step % every == 0)
        for name, every in intervals.items()
    }


def _mean_of(pending: list[Metrics], step: int) -> dict[str, float]:
    """Means over the steps since the last record; a term only where it was valid.

    Raises:
      UserError: the first step whose metrics are not finite.
    """
    rows = [
        {name: float(value) for name, value in row.items()}
        for row in jax.device_get(pending)
    ]
    for number, row in enumerate(rows, start=step - len(rows) + 1):
        check_finite(number, row)
    record = {}
    for name in rows[0]:
        kept = [row[name] for row in rows if row.get(_validity_of(name), 1) > 0]
        if kept:
            record[name] = float(np.mean(kept))
    return record


def _validity_of(name: str) -> str:
    kind, _, term = name.partition("/")
    return f"valid/{term}" if kind in ("term", "weighted") else ""


def _summary(record: Mapping[str, float]) -> str:
    losses = [
        f"{short} {record[f'term/{term}']:.3f}"
        for term, short in _SHORT_NAMES.items()
        if f"term/{term}" in record
    ]
    speed = f"{record['images_per_second']:.0f} images/s"
    return ", ".join([f"loss {record['loss']:.2f}", *losses, speed])
