"""Repeats a step of a training whose loss or gradient was not finite.

    python tools/replay_fault.py RUN/faults/step_0000123
    python tools/replay_fault.py RUN/faults/step_0000123 --save people.png

Needs the dump, the run's config.json and the files of body and prior that it names; no
data set, no checkpoint, and any number of devices. Prints every loss term, and for
which examples it or its derivative is not finite. Exit code 0: the step is not finite
here either; 3: here it is; 2: there is no such dump.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dsr_jax.data import write_image
from dsr_jax.errors import one_line_errors
from dsr_jax.losses import TERMS
from dsr_jax.semantics import colour_label_map
from dsr_jax.training.command_line import OneLineParser
from dsr_jax.training.examination import DERIVATIVE, OUTPUT, VALUE, WEIGHTS
from dsr_jax.training.replay import Replay, replay
from dsr_jax.visualization import panel

# Names in a cell of the table, and people in the picture.
_NAMED, _DRAWN = 2, 8


def report(found: Replay, folder: Path) -> str:
    """What is printed."""
    notes = found.notes
    then = f"{notes['not_finite']} not finite{_for(notes['examples'])}"
    lines = [
        f"{folder}: step {notes['step']}, {len(notes['batch'])} examples, on "
        f"{found.devices} device(s); {notes['devices']} in the run",
        f"then: {then}",
        "",
        *table(found),
        "",
        f"loss {found.metrics['loss']:g}, gradient norm "
        f"{found.metrics['gradient_norm']:g}",
    ]
    if not found.reproduced:
        return "\n".join([*lines, "now: loss and gradient are finite"])
    names = [notes["batch"][row] for row in found.blame.rows]
    now = f"{found.blame.what} not finite{_for(names)}"
    return "\n".join([*lines, f"now: {'the same' if now == then else now}"])


def table(found: Replay) -> list[str]:
    """Lines: a part of the step, its mean over the batch, where it is not finite."""
    rows = {(finding.kind, finding.term): finding.rows for finding in found.findings}
    names = found.notes["batch"]
    lines = [f"{'':18}{'mean':>12}  not finite for"]
    for kind, title in ((WEIGHTS, "weights"), (OUTPUT, "network's output")):
        lines.append(f"{title:18}{'':12}  {_cell(rows[kind, ''], names)}")
    for term in TERMS:
        mean = found.metrics[f"term/{term}"]
        lines.append(f"{term:18}{mean:12.5g}  {_cell(rows[VALUE, term], names)}")
        derivative = _cell(rows[DERIVATIVE, term], names)
        lines.append(f"{'  derivative':18}{'':12}  {derivative}")
    return lines


def save_people(found: Replay, path: Path) -> None:
    """Images and labels of those to blame, or of the first of the batch."""
    rows = (found.blame.rows or range(len(found.notes["batch"])))[:_DRAWN]
    pictures = [np.asarray(found.batch.image[row]) for row in rows]
    pictures += [colour_label_map(found.batch.labels[row]) for row in rows]
    write_image(path, panel(pictures, columns=len(rows)))


def _cell(rows: Sequence[int], names: Sequence[str]) -> str:
    if len(rows) == len(names):
        return "all"
    named = [names[row] for row in rows[:_NAMED]]
    more = f" and {len(rows) - _NAMED} more" if len(rows) > _NAMED else ""
    return (", ".join(named) + more) if rows else "-"


def _for(names: Sequence[str]) -> str:
    return f" for {', '.join(names)}" if names else ""


def main() -> int:
    """Reads the command line, repeats the step and prints."""
    parser = OneLineParser(description=__doc__.splitlines()[0])
    parser.add_argument("fault", type=Path, help="folder of a run's faults/")
    parser.add_argument("--save", type=Path, help="picture of the people to blame")
    arguments = parser.parse_args()
    found = replay(arguments.fault)
    print(report(found, arguments.fault))
    if arguments.save is not None:
        save_people(found, arguments.save)
    # Not 1, which a defect ends with.
    return 0 if found.reproduced else 3


if __name__ == "__main__":
    with one_line_errors():
        sys.exit(main())
