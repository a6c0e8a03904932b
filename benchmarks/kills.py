"""A training that is killed again and again, against one that is left alone.

    python benchmarks/kills.py [--kills 50] [--processes 1]

Runs train.py on a small network with records, evaluations and checkpoints every few
steps, once undisturbed and once killed by SIGKILL at random moments: half of them
uniform over a life of start-up and a few steps, the others inside the writing of a
checkpoint or among the steps. The same command starts it again each time, and once more
after the last kill. Both runs must end with the same state, bit for bit, and the same
records, each step once.

Writes benchmarks/results/kills.json.
"""

import argparse
import collections
import dataclasses
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

from benchmarks.run_comparison import differences  # noqa: E402
from benchmarks.small_run import write_small_run  # noqa: E402
from dsr_jax.training.metrics import METRICS_FILE, read_metrics  # noqa: E402
from dsr_jax.training.run_folder import CHECKPOINTS  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results" / "kills.json"
CHECKPOINT_EVERY, EVALUATE_EVERY = 4, 6
_LOOK_SECONDS = 0.005
# Kinds of moments, and how often each is drawn.
_ANY, _SAVE, _STEPS = "any", "save", "steps"
_SHARES = {_ANY: 0.5, _SAVE: 0.3, _STEPS: 0.2}


@dataclasses.dataclass(frozen=True)
class Pace:
    """Of the undisturbed run, in seconds."""

    start: float
    """From the start of the process to the record of its first step."""
    interval: float
    """From one checkpoint to the next."""
    save: float
    """From the first file of a checkpoint to its last."""


@dataclasses.dataclass(frozen=True)
class Death:
    """How one life of the killed run ended."""

    moment: str
    """The kind that was drawn."""
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

    def finish(self) -> None:
        """Runs it to its end.

        Raises:
          SystemExit: it failed.
        """
        if code := self.start().wait():
            raise SystemExit(
                f"exit code {code}: see {self.workdir.with_suffix('.log')}"
            )


def measured_pace(run: Run) -> Pace:
    """Runs to the end, and looks at the times."""
    process, start = run.start(), time.monotonic()
    first, saves, since = 0.0, list[float](), None
    while process.poll() is None:
        now = time.monotonic()
        if not first and run.records():
            first = now
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
    return Pace(first - start, interval, float(np.median(saves)))


def live_and_die(run: Run, pace: Pace, moment: str, place: float, last: int) -> Death:
    """Starts the run and kills it.

    Args:
      run: to be continued.
      pace: of an undisturbed run.
      moment: a kind of moment.
      place: in [0, 1), where in the span of that kind.
      last: a step after which it is killed early, so that it does not end alive.

    Raises:
      SystemExit: the process ended by itself.
    """
    life = Life(run)
    for _ in _until(life, pace, moment, place):
        if life.process.poll() is not None:
            log = run.workdir.with_suffix(".log")
            raise SystemExit(f"ended by itself ({life.process.returncode}): see {log}")
        if life.has_begun() and run.last_step() >= last:
            break
    phase, seconds = life.phase(), time.monotonic() - life.start
    os.killpg(life.process.pid, signal.SIGKILL)
    life.process.wait()
    return Death(moment, phase, seconds, life.found, run.last_step(), run.newest())


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
        evaluates = (self.run.last_step() + 1) % EVALUATE_EVERY == 0
        return "step with evaluation" if evaluates else "steps"


def _until(life: Life, pace: Pace, moment: str, place: float) -> Iterator[None]:
    """Yields again and again until the moment has come."""
    span = pace.start + 2 * pace.interval
    if moment != _ANY:
        span = pace.save if moment == _SAVE else 3 * pace.interval
        while not life.has_begun():
            yield time.sleep(_LOOK_SECONDS)
        while moment == _SAVE and not life.run.is_saving():
            yield time.sleep(_LOOK_SECONDS)
    end = time.monotonic() + place * span
    while time.monotonic() < end:
        yield time.sleep(_LOOK_SECONDS)


def kill_often(
    folder: Path, kills: int, processes: int = 1, seed: int = 0
) -> tuple[Pace, list[Death], list[str]]:
    """Both runs, in a folder; pace, deaths and what differs in the end.

    Raises:
      SystemExit: a run has failed.
    """
    # Half of the lives, at most, get as far as a checkpoint.
    steps = CHECKPOINT_EVERY * (kills // 2 + 4)
    config = write_small_run(folder, steps, CHECKPOINT_EVERY, EVALUATE_EVERY)
    whole = Run(config, folder / "whole", processes)
    broken = Run(config, folder / "broken", processes)
    pace, deaths = measured_pace(whole), list[Death]()
    generator = np.random.default_rng(seed)
    for number in range(kills):
        moment = str(generator.choice(list(_SHARES), p=list(_SHARES.values())))
        last = steps - 2 * CHECKPOINT_EVERY
        deaths.append(
            live_and_die(broken, pace, moment, float(generator.random()), last)
        )
        print(f"kill {number + 1}: {deaths[-1]}", flush=True)
    broken.finish()
    return pace, deaths, differences(whole.workdir, broken.workdir, steps)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="kept; a temporary one by default")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        cache = os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", f"{temporary}/cache")
        os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
        print(f"compiled programs are kept in {cache}")
        found = kill_often(folder, options.kills, options.processes, options.seed)
    pace, deaths, different = found
    RESULTS.write_text(json.dumps(summary(pace, deaths, different), indent=1) + "\n")
    print("\n".join(different) or "no difference")
    sys.exit(bool(different))


def summary(pace: Pace, deaths: list[Death], different: list[str]) -> dict[str, Any]:
    """The result, with the machine that it was found on."""
    return {
        "machine": {"cpu": _cpu(), "cores": os.cpu_count()},
        "kills": len(deaths),
        "by_phase": dict(collections.Counter(death.phase for death in deaths)),
        "lives_with_a_checkpoint": sum(d.kept_step > d.found_step for d in deaths),
        "differences": different,
        "undisturbed": dataclasses.asdict(pace),
        "deaths": [dataclasses.asdict(death) for death in deaths],
    }


def _cpu() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(": ")[2] for line in lines if "model name" in line]
    return names[0] if names else platform.processor()


if __name__ == "__main__":
    main()
