"""How far rounding drives the same training apart on other processes and devices.

    python benchmarks/topologies.py [--side 64] [--batch 16] [--seeds 0,1,2]
        [--topologies 1x4,2x2,4x1] [--rate 3e-5]

Trains the small network of benchmarks/small_run.py for twenty steps on one process with
one device and on each topology (processes x devices of each), dropout and, from step 6
on, semantic terms included, and compares the losses step by step. On a given machine
each run repeats itself to the last bit; what is compared is another order of the sums.

Adds to benchmarks/results/topologies.json, and prints its table.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

from benchmarks.small_run import write_small_run  # noqa: E402
from dsr_jax.training.metrics import METRICS_FILE, read_metrics  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results" / "topologies.json"
STEPS = 20
_ALONE = "1x1"


def losses(
    config: Path, topology: str, options: argparse.Namespace, seed: int
) -> list[float]:
    """The loss of every step.

    Raises:
      subprocess.CalledProcessError: the training failed; its output was shown.
    """
    processes, devices = topology.split("x")
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "tools/launch_local.py", "--processes", processes]
        command += ["--devices", devices, "--", "train.py", "--config", str(config)]
        command += ["--workdir", folder]
        overrides = {
            "training.seed": seed,
            "training.batch_size": options.batch,
            "optimizer.learning_rate": options.rate,
        }
        command += [f"--config.{key}={value}" for key, value in overrides.items()]
        environment = {**os.environ, "XLA_FLAGS": ""}
        subprocess.run(command, cwd=ROOT, env=environment, check=True)
        return [r["loss"] for r in read_metrics(Path(folder) / METRICS_FILE)]


def largest_difference(found: list[float], expected: list[float]) -> float:
    """Relative, of any step."""
    assert len(found) == len(expected) == STEPS
    pairs = zip(found, expected, strict=True)
    return max(abs(a - b) / abs(b) for a, b in pairs)


def table(rows: list[dict[str, Any]]) -> list[str]:
    """Markdown: largest relative difference of any step's loss from 1 x 1."""
    lines = ["| side | batch | rate | seed | topology | difference |", "|" + "---|" * 6]
    for row in rows:
        cells = [row[k] for k in ("side", "batch", "rate", "seed", "topology")]
        cells.append(f"{row['difference']:.1e}")
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--side", type=int, default=64, help="pixels")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rate", type=float, default=3e-5)
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--topologies", default="1x4,2x2,4x1")
    options = parser.parse_args()
    rows = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    settings = {key: getattr(options, key) for key in ("side", "batch", "rate")}
    with tempfile.TemporaryDirectory() as folder:
        config = write_small_run(Path(folder), STEPS, 0, 0, options.side)
        for seed in map(int, options.seeds.split(",")):
            expected = losses(config, _ALONE, options, seed)
            for topology in options.topologies.split(","):
                found = losses(config, topology, options, seed)
                key = settings | {"seed": seed, "topology": topology}
                rows = [row for row in rows if not key.items() <= row.items()]
                difference = largest_difference(found, expected)
                rows.append(key | {"difference": difference})
                RESULTS.write_text(json.dumps(rows, indent=1) + "\n")
    rows.sort(key=lambda row: [row[k] for k in ("side", "seed", "topology")])
    print("\n".join(table(rows)))


if __name__ == "__main__":
    main()
