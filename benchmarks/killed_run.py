"""A training that can be started, watched from outside, and killed."""

import dataclasses
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from dsr_jax.training.checkpoint import CHECKPOINTS
from dsr_jax.training.metrics import METRICS_FILE, read_metrics

ROOT = Path(__file__).resolve().parents[1]
CHECKPOINT_EVERY, EVALUATE_EVERY = 4, 6
_LOOK_SECONDS = 0.005
# Longer than a job's other processes take to find out that one is lost.
_END_SECONDS = 120
# Kinds of moments: anywhere in a life of start-up and a few steps, or inside of one.
ANY, SAVE, EVALUATION, STEPS = "any", "save", "evaluation", "steps"


@dataclasses.dataclass(frozen=True)
class Pace:
    """Of the undisturbed run, in seconds."""

    start: float
    """From the start of a process, all programs compiled, to its first record."""
    interval: float
    """From one checkpoint to the next."""
    save: float
    """From the first file of a checkpoint to its last."""


@dataclasses.dataclass(frozen=True)
class Death:
    """How one life of the killed run ended."""

    moment: str
    """The kind that was drawn."""
    victim: int
    """Number of the process that was killed; -1: all of them."""
    phase: str
    """What the process was doing: start-up, steps, save or evaluation."""
    seconds: float
    """How long it had lived."""
    found_step: int
    """The newest checkpoint when it started; 0 if there was none."""
    recorded_step: int
    """The last step of its log."""
    kept_step: int
    """The newest checkpoint that it left."""


class Run:
    """One run's folder, and the command that starts or continues it."""

    def __init__(self, config: Path, workdir: Path, processes: int = 1):
        self.workdir = workdir
        self._metrics = workdir / METRICS_FILE
        launcher = ["tools/launch_local.py", "--processes", str(processes), "--"]
        self._command = [sys.executable, *(launcher if processes > 1 else [])]
        self._command += ["train.py", "--config", str(config)]
        self._command += ["--workdir", str(workdir)]

    def start(self) -> subprocess.Popen[bytes]:
        """A process that trains; what it prints goes to a file beside the folder."""
        log = self.workdir.with_suffix(".log").open("ab")
        with log:
            return subprocess.Popen(
                self._command,
                cwd=ROOT,
                env={**os.environ, "JAX_PLATFORMS": "cpu"},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def records(self) -> list[dict[str, Any]]:
        """The log so far."""
        return read_metrics(self._metrics) if self._metrics.exists() else []

    def log_number(self) -> int:
        """Of the log's file, another one whenever it is written anew; 0: no file."""
        return self._metrics.stat().st_ino if self._metrics.exists() else 0

    def last_step(self) -> int:
        """The last step of the log."""
        return max((record["step"] for record in self.records()), default=0)

    def newest(self) -> int:
        """Step of the newest checkpoint."""
        names = (path.name for path in (self.workdir / CHECKPOINTS).glob("*"))
        return max((int(name) for name in names if name.isdecimal()), default=0)

    def is_saving(self) -> bool:
        """Whether a checkpoint is being written."""
        return any((self.workdir / CHECKPOINTS).glob("*.partial"))

    def processes(self, launched: subprocess.Popen[bytes]) -> list[int]:
        """Process ids of a job in their order (Linux)."""
        file = Path(f"/proc/{launched.pid}/task/{launched.pid}/children")
        return [int(pid) for pid in file.read_text().split()]

    def finish(self) -> None:
        """Runs it to its end.

        Raises:
          SystemExit: it failed.
        """
        if code := self.start().wait():
            raise SystemExit(
                f"exit code {code}: see {self.workdir.with_suffix('.log')}"
            )


def measured_pace(run: Run, rehearsal: Run) -> Pace:
    """Runs to the end, and looks at the times."""
    process, saves, since = run.start(), list[float](), None
    while process.poll() is None:
        now = time.monotonic()
        saving = run.is_saving()
        if saving and since is None:
            since = now
        elif not saving and since is not None:
            saves.append(now - since)
            since = None
        time.sleep(_LOOK_SECONDS)
    if process.returncode or not saves:
        raise SystemExit(f"no run: see {run.workdir.with_suffix('.log')}")
    seconds = [
        sum(v for name, v in record.items() if name.startswith("seconds/"))
        for record in run.records()[1:]
    ]
    interval = float(np.mean(seconds)) * CHECKPOINT_EVERY
    return Pace(start_seconds(rehearsal), interval, float(np.median(saves)))


def start_seconds(run: Run) -> float:
    """How long a start takes when all programs are compiled; kills the run then."""
    process, start = run.start(), time.monotonic()
    while process.poll() is None and not run.records():
        time.sleep(_LOOK_SECONDS)
    seconds = time.monotonic() - start
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return seconds


def live_and_die(
    run: Run, pace: Pace, moment: str, place: float, victim: int = -1
) -> Death:
    """Starts the run and kills it.

    Args:
      run: to be continued.
      pace: of an undisturbed run.
      moment: a kind of moment.
      place: in [0, 1), where in the span of that kind.
      victim: number of the process that is killed, whose loss ends the others; -1: all
        are killed at once.

    Raises:
      SystemExit: the process ended by itself.
    """
    life = Life(run)
    for _ in _until(life, pace, moment, place):
        if life.process.poll() is not None:
            log = run.workdir.with_suffix(".log")
            raise SystemExit(f"ended by itself ({life.process.returncode}): see {log}")
    phase, seconds = life.phase(), time.monotonic() - life.start
    running = run.processes(life.process) if victim >= 0 else []
    if 0 <= victim < len(running):
        os.kill(running[victim], signal.SIGKILL)
        life.process.wait(_END_SECONDS)
    else:
        # A launcher that is killed takes its processes along.
        victim = -1
        os.killpg(life.process.pid, signal.SIGKILL)
        life.process.wait()
    return Death(
        moment, victim, phase, seconds, life.found, run.last_step(), run.newest()
    )


class Life:
    """A process from its start on."""

    def __init__(self, run: Run):
        self.run, self.found = run, run.newest()
        self._old_log = run.log_number()
        self.process, self.start = run.start(), time.monotonic()

    def has_begun(self) -> bool:
        """Whether it has recorded a step: it first writes the log anew."""
        number = self.run.log_number()
        return number not in (0, self._old_log) and self.run.last_step() > self.found

    def phase(self) -> str:
        """What it is doing, seen from outside."""
        if not self.has_begun():
            return "start-up"
        if self.run.is_saving():
            return "save"
        return "step with evaluation" if self.evaluates() else "steps"

    def evaluates(self) -> bool:
        """Whether the step that is next to be recorded has an evaluation."""
        return (self.run.last_step() + 1) % EVALUATE_EVERY == 0


def _until(life: Life, pace: Pace, moment: str, place: float) -> Iterator[None]:
    """Yields again and again until the moment has come."""
    spans = {SAVE: pace.save, EVALUATION: pace.interval / 2, STEPS: 3 * pace.interval}
    span = spans.get(moment, pace.start + 2 * pace.interval)
    while moment != ANY and not life.has_begun():
        yield time.sleep(_LOOK_SECONDS)
    while moment == SAVE and not life.run.is_saving():
        yield time.sleep(_LOOK_SECONDS)
    while moment == EVALUATION and not life.evaluates():
        yield time.sleep(_LOOK_SECONDS)
    end = time.monotonic() + place * span
    while time.monotonic() < end:
        yield time.sleep(_LOOK_SECONDS)
