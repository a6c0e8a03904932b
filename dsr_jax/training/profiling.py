"""`--profile`: a trace of a few steps, for TensorBoard and for Perfetto."""

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
from tqdm import tqdm

from dsr_jax.training.trace_scopes import (
    PERFETTO,
    UNNAMED,
    name_scopes,
    read_trace,
)

PROFILE = "profile"
STEP = "train"
# The first steps compile, and fill the queues of the input and of the devices.
_WARM_STEPS = 3


class Profiler:
    """Traces some steps of a run into WORKDIR/profile; never stops the training.

    The first process alone traces: its devices do what all do.

    Args:
      workdir: folder of the run.
      steps: how many to trace, after the first few of this process; 0 for none.
    """

    def __init__(self, workdir: Path, steps: int):
        self._folder = workdir / PROFILE
        self._wanted = steps if jax.process_index() == 0 else 0
        self._seen = 0
        self._tracing = False

    @contextlib.contextmanager
    def step(self, number: int, state: Any) -> Iterator[None]:
        """Around the call of a training step.

        Args:
          number: of the step, shown in the trace.
          state: what the step before this one gave: a trace begins and ends when the
            devices have finished it.
        """
        if self._wanted and self._seen == _WARM_STEPS:
            self._start(state)
        elif self._tracing and self._seen == _WARM_STEPS + self._wanted:
            self._stop(state)
        self._seen += 1
        with jax.profiler.StepTraceAnnotation(STEP, step_num=number):
            yield

    def close(self, state: Any) -> None:
        """At the end of the training: a trace that is not finished ends here."""
        if self._tracing:
            self._stop(state)
        elif self._wanted and self._seen <= _WARM_STEPS:
            _say(f"nothing traced: the run took {self._seen} steps; ask for more")

    def _start(self, state: Any) -> None:
        options = jax.profiler.ProfileOptions()
        # Every Python call would be an event: a hundred times what the devices did.
        options.python_tracer_level = 0
        try:
            jax.block_until_ready(state)
            self._folder.mkdir(parents=True, exist_ok=True)
            jax.profiler.start_trace(
                self._folder, create_perfetto_trace=True, profiler_options=options
            )
            self._tracing = True
        except (OSError, RuntimeError) as error:
            self._wanted = 0
            _say(f"{self._folder}: cannot trace ({_line(error)})")

    def _stop(self, state: Any) -> None:
        self._tracing, self._wanted = False, 0
        try:
            jax.block_until_ready(state)
            jax.profiler.stop_trace()
            session = newest_session(self._folder)
            name_scopes(session)
            named = _named_events(session)
        # Whatever a profiler of some platform does, the training goes on.
        except Exception as error:
            _say(f"{self._folder}: no trace was written ({_line(error)})")
            return
        if named:
            tqdm.write(f"profile: {session / PERFETTO}", file=sys.stderr)
        else:
            _say(f"{session}: the trace is empty: it has no event of a named scope")


def newest_session(folder: Path) -> Path:
    """The folder of the last trace in a run's profile folder.

    Raises:
      FileNotFoundError: there is none.
    """
    traces = sorted(folder.glob(f"plugins/profile/*/{PERFETTO}"))
    if not traces:
        raise FileNotFoundError(f"{folder} holds no {PERFETTO}")
    return traces[-1].parent


def _named_events(session: Path) -> int:
    scopes = (
        event.get("args", {}).get("scope", UNNAMED)
        for event in read_trace(session / PERFETTO)["traceEvents"]
    )
    return sum(scope != UNNAMED for scope in scopes)


def _line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())


def _say(message: str) -> None:
    tqdm.write(f"warning: --profile: {message}; the training goes on", file=sys.stderr)
