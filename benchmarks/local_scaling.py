"""Throughput of 1, 2 and 4 local processes of one training job, measured.

    python benchmarks/local_scaling.py [--processes 1,2,4] [--batch 64] [--steps 60]

Trains a ResNet-18 on 64² crops of the free-lite body, from a pool of synthetic people,
the semantic terms on from the start. Strong scaling: one global batch for any number of
processes. Weak: --batch images for each; of one process it is the same run. Every
process has one device and one core of its own, with its input worker, so that more
processes are more cores until the machine has no more; its number of cores stands in
the result. Throughput is the median over the records after the first, which compile,
of training alone; the parts of a step's time beside it.

Writes benchmarks/results/local_scaling.json and prints the table of docs/scaling.md.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RESULTS = Path(__file__).parent / "results" / "local_scaling.json"
_LOG_EVERY = 10
# Records left out: the first steps compile.
_WARM_RECORDS = 2


def small_config(batch: int, steps: int) -> dict[str, object]:
    """What differs from configs/quickstart.py."""
    return {
        "training.batch_size": batch,
        "training.steps": steps,
        "training.log_every": _LOG_EVERY,
        "training.checkpoint_every": 0,
        "training.evaluate_every": 0,
        "training.pictures_every": 0,
        "data.pool": 64,
        "data.workers": 1,
        "objective.dsr_start_step": 0,
        "evaluation.people": 16,
        "evaluation.batch_size": 16,
    }


def run(processes: int, batch: int, steps: int, workdir: Path) -> list[dict[str, Any]]:
    """One training; the records of its log.

    Raises:
      subprocess.CalledProcessError: it failed; its output was shown.
    """
    command = [sys.executable, str(ROOT / "tools" / "launch_local.py")]
    command += ["--processes", str(processes), "--cores", "1", "--", "train.py"]
    command += ["--config", "configs/quickstart.py", "--workdir", str(workdir)]
    overrides = small_config(batch, steps)
    command += [f"--config.{key}={value}" for key, value in overrides.items()]
    subprocess.run(command, cwd=ROOT, check=True)
    lines = (workdir / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def summary(records: list[dict[str, Any]]) -> dict[str, float]:
    """Medians over the warm records: images per second, milliseconds a step by part."""
    # The last record holds the final evaluation and the checkpoint.
    warm = records[_WARM_RECORDS:-1]
    result = {
        "images_per_second": statistics.median(r["images_per_second"] for r in warm)
    }
    for part in ("input", "step", "other"):
        seconds = statistics.median(r[f"seconds/{part}"] for r in warm)
        result[f"{part}_ms"] = 1e3 * seconds / _LOG_EVERY
    return result


def table(rows: list[dict[str, Any]]) -> list[str]:
    """Markdown; efficiency: throughput a process, over that of one process alone."""
    lines = [
        "| scaling | processes | global batch | images/s | efficiency "
        "| input / step / other, ms |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        alone = next(r for r in rows if r["scaling"] == row["scaling"])
        efficiency = (row["images_per_second"] / row["processes"]) / (
            alone["images_per_second"] / alone["processes"]
        )
        parts = " / ".join(f"{row[f'{p}_ms']:.0f}" for p in ("input", "step", "other"))
        lines.append(
            f"| {row['scaling']} | {row['processes']} | {row['batch']} "
            f"| {row['images_per_second']:.1f} | {efficiency:.0%} | {parts} |"
        )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--processes", default="1,2,4")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--steps", type=int, default=60)
    arguments = parser.parse_args()
    if arguments.steps < (_WARM_RECORDS + 2) * _LOG_EVERY:
        parser.error(f"--steps: give at least {(_WARM_RECORDS + 2) * _LOG_EVERY}")
    rows, measured = [], dict[tuple[int, int], dict[str, float]]()
    for scaling in ("strong", "weak"):
        for processes in (int(n) for n in arguments.processes.split(",")):
            batch = arguments.batch * (processes if scaling == "weak" else 1)
            if (processes, batch) not in measured:
                with tempfile.TemporaryDirectory() as folder:
                    workdir = Path(folder) / "run"
                    records = run(processes, batch, arguments.steps, workdir)
                measured[processes, batch] = summary(records)
            row = {"scaling": scaling, "processes": processes, "batch": batch}
            rows.append(row | measured[processes, batch])
            print(json.dumps(rows[-1]), flush=True)
    result = {"cores": os.cpu_count(), "steps": arguments.steps, "rows": rows}
    RESULTS.write_text(json.dumps(result, indent=1) + "\n")
    print(f"\n{os.cpu_count()} cores\n")
    print("\n".join(table(rows)))


if __name__ == "__main__":
    main()
