"""The tables of docs/semantics.md from the results of benchmarks/are_joints_enough.py.

    python benchmarks/joints_study_tables.py benchmarks/results/are_joints_enough.json

Prints one table in Markdown for each number of steps and each severity of the parser's
errors, of the forms that were measured with 3D and with 2D joints.
"""

import argparse
import collections
import json
import pathlib
import re

import numpy as np

from dsr_jax.errors import UserError, one_line_errors
from dsr_jax.files import read_bytes

BASE = "joints alone"
JOINTS = {"3d": 2, "2d": 1}
"""Which joints, and how many digits PVE has there."""
_KEY = re.compile(r"(?P<study>.*), (?P<joints>[23]d), noise (?P<noise>\S+) \| (.*)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("results", type=pathlib.Path)
    with one_line_errors():
        path = parser.parse_args().results
        try:
            rows = json.loads(read_bytes(path, "file of results"))
        except ValueError as error:
            raise UserError(f"{path}: is not json; name the results") from error
        for title, forms in tables(rows).items():
            print(f"\n{title}\n\n{markdown(forms)}")


def tables(rows: dict) -> dict[str, dict[str, dict]]:
    """Title → form → joints → measurements."""
    found: dict = collections.defaultdict(lambda: collections.defaultdict(dict))
    for key, row in rows.items():
        match = _KEY.fullmatch(key)
        if match:
            title = f"{match['study']}, parser noise {match['noise']}"
            found[title][match[4]][match["joints"]] = row
    return found


def markdown(forms: dict[str, dict]) -> str:
    """Forms by their PVE with 3D joints, what they start from first."""
    whole = {n: by for n, by in forms.items() if by.keys() == JOINTS.keys()}
    columns = " | ".join(
        f"{joints.upper()} joints: PVE | MPJPE | part IoU | volume" for joints in JOINTS
    )
    lines = [f"| form | {columns} |", "|---" * (1 + 4 * len(JOINTS)) + "|"]
    order = sorted(whole, key=lambda n: (n != BASE, np.mean(whole[n]["3d"]["pve"])))
    for name in order:
        cells = [cell for j in JOINTS for cell in _cells(whole, name, j)]
        lines.append(f"| {' | '.join([name, *cells])} |")
    return "\n".join(lines) + "\n"


def _cells(forms: dict[str, dict], name: str, joints: str) -> list[str]:
    row, base, digits = forms[name][joints], forms[BASE][joints], JOINTS[joints]
    pve = np.array(row["pve"])
    text = f"{pve.mean():.{digits}f}"
    if name != BASE:
        change = pve - base["pve"]
        error = change.std(ddof=1) / np.sqrt(len(change))
        sign = "−" if change.mean() < 0 else "+"
        size = f"{abs(change.mean()):.{digits}f}"
        text += f" ({sign}{size} ± {error:.{digits}f})"
    volume = np.array(row["volume"])
    return [
        text,
        f"{np.mean(row['mpjpe']):.1f}",
        f"{np.mean(row['iou']):.3f}",
        f"{volume.mean():.3f} ± {volume.std(ddof=1):.2f}",
    ]


if __name__ == "__main__":
    main()
