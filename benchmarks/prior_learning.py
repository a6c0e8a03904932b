"""How fast is a prior learnt from scans?

    python benchmarks/prior_learning.py [--body free] [--scans 40] [--views 8]

Writes synthetic people as scans into a temporary folder and counts them with 1 thread
and with as many as there are cores: reading the fit, the cameras and the label maps,
posing, projecting, z-buffer and votes. Prints the median of views a second over the
rounds, interleaved; compilation is not counted.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from pathlib import Path

import jax
from tqdm import tqdm

from dsr_jax.body import BodyModel, load_body
from dsr_jax.data.scans import count_scans, find_scans, write_synthetic_scans
from dsr_jax.data.synthetic import split_key, synthetic_views, whole_people

_PEOPLE_A_STEP = 4


def write(folder: Path, model: BodyModel, scans: int, views: int, size: int) -> None:
    settings = whole_people(size)
    for start in tqdm(range(0, scans, _PEOPLE_A_STEP), desc="writing"):
        key = split_key(0, "test", start)
        people, _ = synthetic_views(key, _PEOPLE_A_STEP, views, model, settings)
        write_synthetic_scans(folder, people, views, model, start)


def seconds(folders: list[Path], model: BodyModel, threads: int) -> float:
    start = time.perf_counter()
    for _, counts in count_scans(folders, model, threads):
        assert not isinstance(counts, Exception), counts
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--body", default="free")
    parser.add_argument("--scans", type=int, default=40)
    parser.add_argument("--views", type=int, default=8)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    model = load_body(arguments.body)
    cores = os.cpu_count() or 1
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder, model, arguments.scans, arguments.views, arguments.size)
        folders = find_scans(folder)
        seconds(folders, model, cores)
        times: dict[int, list[float]] = {1: [], cores: []}
        for _ in range(arguments.rounds):
            for threads, taken in times.items():
                taken.append(seconds(folders, model, threads))
    result: dict[str, object] = {
        "device": jax.devices()[0].device_kind,
        "cores": cores,
        "faces": int(model.faces.shape[0]),
        **vars(arguments),
    }
    total = len(folders) * arguments.views
    for threads, taken in times.items():
        name = f"views_per_second_{threads}_threads"
        result[name] = round(total / statistics.median(taken), 1)
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
