"""Where the devices' time went, by the pipeline's named scopes, of a profiled run.

    python train.py --config F --workdir RUN --profile=5
    python tools/profile_table.py RUN

Times are milliseconds a step, summed over the devices (and threads) of the host that
traced; forward and backward pass apart. Below, what the training loop itself did.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from dsr_jax.errors import UserError, one_line_errors
from dsr_jax.training import clock
from dsr_jax.training.command_line import OneLineParser
from dsr_jax.training.profiling import PROFILE, STEP, newest_session
from dsr_jax.training.trace_scopes import PERFETTO, read_trace, scope_seconds

_PARTS = (
    *(clock.INPUT, clock.STEP, clock.CHECKPOINT),
    *(clock.EVALUATION, clock.PICTURES),
)


def scope_table(events: Iterable[Mapping[str, Any]], steps: int) -> list[str]:
    """Lines: scope, forward, backward, share of all; the longest first."""
    seconds = scope_seconds(events)
    whole = sum(seconds.values())
    names = {name for name, _ in seconds}
    by_name = {n: [seconds.get((n, way), 0.0) for way in (False, True)] for n in names}
    lines = ["scope             forward ms  backward ms   share"]
    for name in sorted(names, key=lambda n: -sum(by_name[n])):
        forward, backward = (1e3 * part / steps for part in by_name[name])
        share = sum(by_name[name]) / whole if whole else 0.0
        lines.append(f"{name:16}{forward:12.2f}{backward:13.2f}{share:8.1%}")
    return lines


def loop_table(events: Iterable[Mapping[str, Any]], steps: int) -> list[str]:
    """Lines: part of the loop, milliseconds a step on the host."""
    microseconds: Counter[str] = Counter()
    for event in events:
        if event.get("ph") == "X" and event.get("name") in _PARTS:
            microseconds[event["name"]] += event["dur"]
    return ["loop on the host          ms"] + [
        f"{name:16}{microseconds[name] / 1e3 / steps:12.2f}"
        for name in _PARTS
        if name in microseconds
    ]


def main() -> None:
    parser = OneLineParser(description=__doc__.split("\n")[0])
    parser.add_argument("run", type=Path, help="folder of a run with a profile")
    folder = parser.parse_args().run / PROFILE
    try:
        trace = newest_session(folder) / PERFETTO
    except FileNotFoundError as error:
        raise UserError(f"{error}; train with --profile=5 first") from error
    try:
        events = read_trace(trace)["traceEvents"]
    except (OSError, EOFError, ValueError, KeyError) as error:
        raise UserError(
            f"{trace}: is no whole trace ({type(error).__name__}); trace again: "
            "--profile=5"
        ) from error
    steps = sum(event.get("name") == STEP for event in events if event.get("ph") == "X")
    if not steps:
        raise UserError(f"{trace}: holds no training step; trace more: --profile=5")
    print(f"{trace}: {steps} steps\n")
    print("\n".join([*scope_table(events, steps), "", *loop_table(events, steps)]))


if __name__ == "__main__":
    with one_line_errors():
        main()
