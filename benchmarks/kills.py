"""A training that is killed again and again, against one that is left alone.

    python benchmarks/kills.py [--kills 50] [--processes 1]

Runs train.py on a small network with records, evaluations and checkpoints every few
steps, once undisturbed and once killed by SIGKILL at random moments: half of them
uniform over a life of start-up and a few steps, the others inside the writing of a
checkpoint, an evaluation, or among the steps. Of a job of several processes either all
are killed or one, whose loss ends the others. The same command starts it again each
time, and once more after the last kill. Both runs must end with the same state, bit for
bit, and the same records, each step once: every loss, so that every step has seen the
same people.

Writes benchmarks/results/kills_<processes>.json.
"""

import argparse
import collections
import dataclasses
import json
import os
import platform
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

from benchmarks.killed_run import (  # noqa: E402
    ANY,
    CHECKPOINT_EVERY,
    EVALUATE_EVERY,
    EVALUATION,
    SAVE,
    STEPS,
    Death,
    Pace,
    Run,
    live_and_die,
    measured_pace,
)
from benchmarks.run_comparison import differences  # noqa: E402
from benchmarks.small_run import write_small_run  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results"
# How often each kind of moment is drawn.
_SHARES = {ANY: 0.5, SAVE: 0.2, EVALUATION: 0.15, STEPS: 0.15}


def kill_often(
    folder: Path, kills: int, processes: int = 1, seed: int = 0
) -> tuple[Pace, list[Death], list[str]]:
    """Both runs, in a folder; pace, deaths and what differs in the end.

    Raises:
      SystemExit: a run has failed, or came to its end alive.
    """
    # No life gets further than four checkpoints, and few get that far.
    steps = CHECKPOINT_EVERY * (2 * kills + 4)
    config = write_small_run(folder, steps, CHECKPOINT_EVERY, EVALUATE_EVERY)
    names = ("whole", "rehearsal", "broken")
    whole, rehearsal, broken = (Run(config, folder / n, processes) for n in names)
    pace, deaths = measured_pace(whole, rehearsal), list[Death]()
    generator = np.random.default_rng(seed)
    for number in range(kills):
        moment = str(generator.choice(list(_SHARES), p=list(_SHARES.values())))
        place = float(generator.random())
        victim = int(generator.integers(-1, processes)) if processes > 1 else -1
        deaths.append(live_and_die(broken, pace, moment, place, victim))
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
    result = {"processes": options.processes, **summary(pace, deaths, different)}
    file = RESULTS / f"kills_{options.processes}.json"
    file.write_text(json.dumps(result, indent=1) + "\n")
    print("\n".join(different) or "no difference")
    sys.exit(bool(different))


def summary(pace: Pace, deaths: list[Death], different: list[str]) -> dict[str, Any]:
    """The result, with the machine that it was found on."""
    return {
        "machine": {"cpu": _cpu(), "cores": os.cpu_count()},
        "kills": len(deaths),
        "of_one_process_of_several": sum(death.victim >= 0 for death in deaths),
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
