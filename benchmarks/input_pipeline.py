"""Images per second of the input pipeline, beside a PyTorch DataLoader.

    python benchmarks/input_pipeline.py --images 512 --repetitions 5

Writes JPEG photographs of 640 x 480 (noise with a photograph's spectrum, about as many
bytes as a camera's), label maps and annotations into a temporary folder, and reads them

    dsr-jax           crop, augmentation, keypoints, body: what a training step takes
    dsr-jax + labels  the same with label maps, cleaned
    DataLoader        OpenCV doing the steps of the released training code: imread, the
                      padded square around the person, rotation of that patch, resizing,
                      channel factors, mirroring, floats in CHW, normalised, keypoints
                      and pose turned alike; `torch.utils.data`, 1 to 3 workers

in turn, in one run, after one warm-up of each; medians over the repetitions. The
DataLoader's rows need PyTorch and are left out without it.
"""

import argparse
import functools
import itertools
import json
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from dsr_jax.data import (
    AugmentationSettings,
    FolderDataset,
    FolderSettings,
    Reading,
    SpinAnnotations,
    training_batches,
    write_spin_npz,
)
from dsr_jax.semantics import write_label_map

HEIGHT, WIDTH = 480, 640
RESOLUTION = 224
JPEG_QUALITY = 80
# Batches before a measurement.
_WARM_UP = 4


class Speed(NamedTuple):
    """Of one way to read."""

    images_per_second: float
    cpu_ms: float
    """Of all processes, an image: what it takes whoever else uses the machine."""


def photograph(generator: np.random.Generator) -> np.ndarray:
    """Noise whose amplitude falls with frequency as that of photographs does."""
    rows, columns = np.fft.fftfreq(HEIGHT), np.fft.rfftfreq(WIDTH)
    amplitude = 1 / np.hypot(np.hypot(*np.meshgrid(rows, columns, indexing="ij")), 2e-3)

    def field() -> np.ndarray:
        phase = np.exp(2j * np.pi * generator.random(amplitude.shape))
        values = np.fft.irfft2(amplitude**1.2 * phase, (HEIGHT, WIDTH))
        return values / values.std()

    grey = field()
    colours = np.stack([grey + 0.25 * field() for _ in range(3)], -1)
    sensor = generator.normal(0, 2, (HEIGHT, WIDTH, 1))
    return np.clip(np.rint(118 + 48 * colours + sensor), 0, 255).astype(np.uint8)


def labels_of(box: tuple[float, float, float]) -> np.ndarray:
    """A person of ellipses: face, coat, arms and legs, inside a box."""
    u, v, side = box
    labels = np.zeros((HEIGHT, WIDTH), np.uint8)
    parts = (
        (0.0, -0.36, 0.07, 0.09, 13),
        (0.0, -0.1, 0.13, 0.2, 5),
        (-0.17, -0.1, 0.04, 0.18, 15),
        (0.17, -0.1, 0.04, 0.18, 14),
        (-0.07, 0.26, 0.06, 0.2, 9),
        (0.07, 0.26, 0.06, 0.2, 9),
    )
    for du, dv, wide, high, label in parts:
        centre = (round(u + du * side), round(v + dv * side))
        axes = (round(wide * side), round(high * side))
        cv2.ellipse(labels, centre, axes, 0, 0, 360, label, -1)
    return labels


def write_data(folder: Path, count: int) -> None:
    """`count` people, each alone on a photograph, 200 to 400 px high."""
    generator = np.random.default_rng(0)
    for name in ("images", "labels"):
        (folder / name).mkdir()
    names, keypoints, centers, sides = [], [], [], []
    for number in range(count):
        side = generator.uniform(200, 400)
        center = generator.uniform(0.4, 0.6, 2) * (WIDTH, HEIGHT)
        encoded = cv2.imencode(
            ".jpg", photograph(generator), [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
        )[1]
        name = f"{number:06d}"
        (folder / "images" / f"{name}.jpg").write_bytes(encoded.tobytes())
        write_label_map(folder / "labels" / f"{name}.png", labels_of((*center, side)))
        points = center + generator.uniform(-0.4, 0.4, (24, 2)) * (0.3 * side, side)
        names.append(f"{name}.jpg")
        keypoints.append(np.concatenate([points, np.ones((24, 1))], 1))
        centers.append(center)
        sides.append(side)
    write_spin_npz(
        folder / "annotations.npz",
        SpinAnnotations(
            imgname=np.array(names),
            center=np.array(centers),
            scale=np.array(sides) / 200,
            part=np.array(keypoints),
            pose=generator.normal(0, 0.3, (count, 72)),
            shape=generator.normal(size=(count, 10)),
        ),
    )


def ours(folder: Path, batch_size: int, labels: bool, reading: Reading) -> Iterator:
    settings = FolderSettings(
        annotations=str(folder / "annotations.npz"),
        images=str(folder / "images"),
        labels=str(folder / "labels") if labels else None,
        resolution=RESOLUTION,
    )
    dataset = FolderDataset(settings, AugmentationSettings())
    return training_batches(dataset, batch_size, seed=0, reading=reading)


def released(folder: Path, batch_size: int, workers: int, lean: bool) -> Iterator:
    """The DataLoader, started anew when it is used up, its workers kept."""
    import torch

    from benchmarks.released_loading import ReleasedPeople, one_thread

    loader = torch.utils.data.DataLoader(
        ReleasedPeople(folder, RESOLUTION, lean),
        batch_size,
        shuffle=True,
        num_workers=workers,
        drop_last=True,
        persistent_workers=True,
        # Two batches ahead, as ours.
        prefetch_factor=2,
        worker_init_fn=one_thread,
    )
    return itertools.chain.from_iterable(itertools.repeat(loader))


def cpu_seconds() -> float:
    """Of this process and its workers so far."""
    ticks = 0
    for child in multiprocessing.active_children():
        fields = Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return time.process_time() + ticks / os.sysconf("SC_CLK_TCK")


def measure(batches: Iterator, batch_size: int, count: int) -> Speed:
    """Over `count` batches, after what starts up and is read ahead."""
    for _ in range(_WARM_UP):
        next(batches)
    begin, spent = time.perf_counter(), cpu_seconds()
    for _ in range(count):
        next(batches)
    images = batch_size * count
    seconds, spent = time.perf_counter() - begin, cpu_seconds() - spent
    return Speed(images / seconds, 1e3 * spent / images)


def candidates(
    folder: Path, options: argparse.Namespace
) -> dict[str, Callable[[], Iterator]]:
    size, cores = options.batch_size, options.cores
    found: dict[str, Callable[[], Iterator]] = {}
    for labels in (False, True):
        suffix = " + labels" if labels else ""
        for threads in (cores, 2 * cores):
            reading = Reading(threads=threads)
            found[f"dsr-jax{suffix}, {threads} threads"] = functools.partial(
                ours, folder, size, labels, reading
            )
        reading = Reading(threads=1, processes=cores)
        found[f"dsr-jax{suffix}, {cores} processes"] = functools.partial(
            ours, folder, size, labels, reading
        )
    try:
        import torch  # noqa: F401
    except ImportError:
        print("PyTorch is not installed: no DataLoader", file=sys.stderr)
        return found
    for lean, workers in itertools.product((False, True), range(1, cores + 2)):
        kind = "lean" if lean else "literal"
        found[f"DataLoader {kind}, {workers} workers"] = functools.partial(
            released, folder, size, workers, lean
        )
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=512)
    parser.add_argument("--batch_size", type=int, default=64)
    parser.add_argument("--batches", type=int, default=16, help="of one measurement")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--cores", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--output", help="a JSON file for the figures")
    options = parser.parse_args()
    speeds: dict[str, list[Speed]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_data(folder, options.images)
        sizes = [p.stat().st_size for p in (folder / "images").iterdir()]
        print(f"{len(sizes)} JPEG files, mean {np.mean(sizes) / 1e3:.0f} kB")
        for _, what in itertools.product(
            range(options.repetitions), (makers := candidates(folder, options))
        ):
            # Alone on the machine: the others' workers have ended.
            batches = makers[what]()
            speed = measure(batches, options.batch_size, options.batches)
            speeds.setdefault(what, []).append(speed)
            if close := getattr(batches, "close", None):
                close()
            del batches
            print(f"  {what:34s} {speed.images_per_second:7.0f} images/s", flush=True)
    report(speeds, options)
    return 0


def report(speeds: dict[str, list[Speed]], options: argparse.Namespace) -> None:
    print(f"\nload {os.getloadavg()[0]:.1f}, {options.cores} cores; medians (extremes)")
    print(f"{'':34s} {'images/s':>24s} {'CPU ms an image':>24s}")
    medians = {}
    for what, rounds in speeds.items():
        columns = list(zip(*rounds, strict=True))
        medians[what] = [statistics.median(column) for column in columns]
        cells = [
            f"{middle:.{n}f} ({min(column):.{n}f} to {max(column):.{n}f})"
            for middle, column, n in zip(medians[what], columns, (0, 2), strict=True)
        ]
        print(f"{what:34s} {cells[0]:>24s} {cells[1]:>24s}")
    kinds = ("dsr-jax,", "dsr-jax + labels", "DataLoader literal", "DataLoader lean")
    best = {
        kind: max(found)
        for kind in kinds
        if (found := [v for k, v in medians.items() if k.startswith(kind)])
    }
    for mine, peer in itertools.product(kinds[:2], kinds[2:]):
        if peer in best:
            faster = best[mine][0] / best[peer][0]
            cheaper = best[peer][1] / best[mine][1]
            print(
                f"{mine.strip(',')}: {faster:.2f} x the images per second of the best "
                f"{peer}, {cheaper:.2f} x those per CPU second"
            )
    if options.output:
        Path(options.output).write_text(json.dumps(speeds, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
