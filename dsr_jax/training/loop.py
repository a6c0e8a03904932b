"""The training loop: steps, a progress bar, records, evaluations, pictures, saving."""

import contextlib
import dataclasses
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import numpy as np

from dsr_jax.arrays import UInt8
from dsr_jax.data import Batch
from dsr_jax.errors import UserError
from dsr_jax.pipeline import Scene
from dsr_jax.training import clock as parts
from dsr_jax.training.checkpoint import SCORE, Checkpoints
from dsr_jax.training.clock import Clock
from dsr_jax.training.compilation import Compilations
from dsr_jax.training.fault import BadStep
from dsr_jax.training.host_record import record_of_hosts
from dsr_jax.training.in_flight import InFlight
from dsr_jax.training.interruption import StopRequest
from dsr_jax.training.memory import memory_use
from dsr_jax.training.metrics import MetricWriter
from dsr_jax.training.profiling import Profiler
from dsr_jax.training.progress import progress_bar
from dsr_jax.training.settings import TrainingSettings
from dsr_jax.training.state import TrainState
from dsr_jax.training.step import Metrics

# (state, scene, batch, whether this host was asked to stop) → (state, metrics)
Step = Callable[[TrainState, Scene, Batch, bool], tuple[TrainState, Metrics]]

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
    """What the loop calls between steps; with many hosts, on all of them."""

    evaluate: Callable[[TrainState], Mapping[str, float]]
    """Errors on the validation split by name, `score` among them."""
    draw: Callable[[TrainState], UInt8[np.ndarray, "H W 3"]]
    """A panel of pictures."""
    save_picture: Callable[[int, UInt8[np.ndarray, "H W 3"]], None]
    """Keeps the panel of a step."""
    stream_state: Callable[[int], Mapping[str, Any]]
    """Finished steps → what a checkpoint notes of the stream of examples."""
    report_fault: Callable[[TrainState, BadStep], str]
    """Dumps a step that was not finite; the line for the user."""
    count: Callable[[], Mapping[str, float]] = dict
    """What the data loader counted so far, by name, for the record."""
    learning_rate: Callable[[int], Any] | None = None
    """Finished steps → learning rate of the next, for the record."""


class Loop:
    """Steps of one run and what lies between them; see `train`."""

    def __init__(
        self,
        settings: TrainingSettings,
        hooks: Hooks,
        writer: MetricWriter,
        checkpoints: Checkpoints,
        stop: StopRequest,
        compilations: Compilations,
        profiler: Profiler | None = None,
    ):
        self._settings, self._hooks = settings, hooks
        self._writer, self._checkpoints, self._stop = writer, checkpoints, stop
        self._compilations, self._profiler = compilations, profiler
        self._clock, self._flight = Clock(), InFlight()

    def train(
        self,
        state: TrainState,
        train_step: Step,
        scene: Scene,
        batches: Iterator[Batch],
    ) -> TrainState:
        """Trains from `state.step` to exactly `settings.steps`.

        Every record, evaluation and picture is of a state whose losses were finite; a
        state is never saved unchecked. What was saved is on the disk when this ends,
        however it ends.

        Raises:
          Interrupted: after a signal to this process or another one of the job, when
            the step is finished and its state is saved.
          UserError: a loss is not finite, or the run's folder cannot be written.
        """
        first, last = int(state.step), self._settings.steps
        with progress_bar(last, "compiling", "step", first) as bar:
            try:
                for number in range(first + 1, last + 1):
                    state = self._step(number, state, train_step, scene, batches)
                    bar.set_description("training", refresh=False)
                    bar.update()
                    due = _due(number, self._settings)
                    stopping = self._is_stopping(all_read=any(due.values()))
                    if any(due.values()) or stopping:
                        record = self._between(number, state, due, stopping)
                        bar.set_postfix_str(_summary(record), refresh=False)
                    if stopping:
                        self._stop.follow()
            finally:
                self._end(state)
        return state

    def _end(self, state: TrainState) -> None:
        """Ends trace and save; what fails here does not hide why the run has failed."""
        failure = sys.exception()
        try:
            if self._profiler is not None:
                self._profiler.close(state)
            with self._clock.part(parts.CHECKPOINT):
                self._checkpoints.wait()
        except UserError as error:
            if not isinstance(failure, UserError) or str(failure) == str(error):
                raise
            print(f"besides: {error}", file=sys.stderr)

    def _step(
        self,
        number: int,
        state: TrainState,
        train_step: Step,
        scene: Scene,
        batches: Iterator[Batch],
    ) -> TrainState:
        """Gives one more step to the devices, and reads the signals of an older one."""
        with self._clock.part(parts.INPUT):
            batch = next(batches)
        with self._clock.part(parts.STEP):
            profiled = contextlib.nullcontext()
            if self._profiler is not None:
                profiled = self._profiler.step(number, state)  # type: ignore[assignment]
            with profiled, self._compilations.step(number):
                state, metrics = train_step(state, scene, batch, self._stop.requested)
            self._flight.add(number, batch, metrics)
            self._flight.settle()
        self._refuse_fault(state)
        self._checkpoints.check()
        return state

    def _is_stopping(self, all_read: bool) -> bool:
        """Whether all hosts end after this step; asked once a step.

        A process that is alone need not wait for its signal to come back in a step.

        Args:
          all_read: whether to read the signals of all steps so far.
        """
        if all_read:
            with self._clock.part(parts.STEP):
                self._flight.settle(0)
        return self._flight.stop or (_is_alone() and self._stop.requested)

    def _between(
        self, number: int, state: TrainState, due: Mapping[str, bool], stopping: bool
    ) -> dict[str, float]:
        """Checks all steps so far, then records, evaluates, saves and draws."""
        steps = len(self._flight)
        with self._clock.part(parts.STEP):
            self._flight.settle(0)
        self._refuse_fault(state)
        record = self._flight.means()
        if self._hooks.learning_rate is not None:
            record["learning_rate"] = float(self._hooks.learning_rate(number - 1))
        score = None
        if due["evaluate"] and not stopping:
            with self._clock.part(parts.EVALUATION):
                errors = self._hooks.evaluate(state)
            record |= {f"validation/{name}": value for name, value in errors.items()}
            score = errors[SCORE]
        saves = score is not None or due["checkpoint"] or stopping
        if saves:
            with self._clock.part(parts.CHECKPOINT):
                self._checkpoints.wait()
        own = self._clock.record(self._settings.batch_size * steps) | memory_use()
        own |= self._compilations.record() | dict(self._hooks.count())
        record |= record_of_hosts(own)
        # Before its checkpoint: a run that is killed in between does the step again,
        # one that had the checkpoint alone would never record the step.
        self._writer.write(number, record)
        if saves:
            with self._clock.part(parts.CHECKPOINT):
                stream = self._hooks.stream_state(number)
                self._checkpoints.save(state, stream, score)
        if due["pictures"] and not stopping:
            with self._clock.part(parts.PICTURES):
                picture = self._hooks.draw(state)
                self._hooks.save_picture(number, picture)
                self._writer.picture(number, "people", picture)
        return record

    def _refuse_fault(self, state: TrainState) -> None:
        if self._flight.bad is not None:
            raise UserError(self._hooks.report_fault(state, self._flight.bad))


def _is_alone() -> bool:
    return jax.process_count() == 1


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


def _summary(record: Mapping[str, float]) -> str:
    losses = [
        f"{short} {record[f'term/{term}']:.3f}"
        for term, short in _SHORT_NAMES.items()
        if f"term/{term}" in record
    ]
    speed = f"{record['images_per_second']:.0f} images/s"
    return ", ".join([f"loss {record['loss']:.2f}", *losses, speed])
