"""What records cost: bytes of one, time to build, time to read.

    python benchmarks/records.py --output /tmp/records_benchmark

Writes photos of 640 x 480 with label maps, builds records of them by one process, and
reads people in random order from the records and from the files, which the system has
in memory by then.
"""

import time
from pathlib import Path

import cv2
import numpy as np
from absl import app, flags

from dsr_jax.data import SpinAnnotations, write_spin_npz
from dsr_jax.data.records import BuildSettings, DataSet, RecordSource, build_records

FLAGS = flags.FLAGS
flags.DEFINE_string("output", None, "Folder.", required=True)
flags.DEFINE_integer("people", 600, "How many.")
flags.DEFINE_integer("processes", 1, "That build.")


def write_files(folder: Path, count: int) -> int:
    """Noise of a few pixels' size, as hard to compress as photos; its bytes."""
    generator = np.random.default_rng(0)
    for name in ("images", "labels"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    size = 0
    for number in range(count):
        noise = generator.integers(0, 256, (120, 160, 3)).astype(np.uint8)
        photo = cv2.resize(noise, (640, 480), interpolation=cv2.INTER_CUBIC)
        labels = np.zeros((480, 640), np.uint8)
        patches = generator.integers(0, 20, (10, 10)).astype(np.uint8)
        labels[100:400, 200:400] = np.kron(patches, np.ones((30, 20), np.uint8))
        data = cv2.imencode(".jpg", photo, [cv2.IMWRITE_JPEG_QUALITY, 90])[1]
        (folder / "images" / f"{number:05d}.jpg").write_bytes(data.tobytes())
        cv2.imwrite(str(folder / "labels" / f"{number:05d}.png"), labels)
        size += len(data)
    keypoints = generator.uniform(100, 400, (count, 49, 3)).astype(np.float32)
    annotations = SpinAnnotations(
        imgname=np.array([f"{number:05d}.jpg" for number in range(count)]),
        center=np.full((count, 2), 300, np.float32),
        scale=np.full(count, 1.5, np.float32),
        openpose=keypoints[:, :25],
        part=keypoints[:, 25:],
        S=generator.normal(size=(count, 24, 4)).astype(np.float32),
        pose=generator.normal(size=(count, 72)).astype(np.float32),
        shape=generator.normal(size=(count, 10)).astype(np.float32),
    )
    write_spin_npz(folder / "annotations.npz", annotations)
    return size


def milliseconds(source, order) -> float:
    """To have a person, the photo's file, the label map's and the others."""
    start = time.perf_counter()
    for index in order:
        source.person(index), source.image(index)
        source.label_map(index), source.others(index)
    return 1e3 * (time.perf_counter() - start) / len(order)


def main(_: list[str]) -> None:
    output = Path(FLAGS.output)
    photos = write_files(output / "files", FLAGS.people) / FLAGS.people
    files = DataSet("synthetic", str(output / "files")).open()
    settings = BuildSettings(
        *("synthetic", "train", output / "records"),
        shard_bytes=16 << 20,
        processes=FLAGS.processes,
        overwrite=True,
    )
    start = time.perf_counter()
    journal = build_records(files, settings)
    seconds = time.perf_counter() - start
    size = sum(shard.bytes for shard in journal.shards.values()) / journal.records
    print(f"photo {photos / 1e3:.1f} kB, record {size / 1e3:.1f} kB")
    print(f"built in {seconds:.1f} s by {FLAGS.processes} process(es)")
    records = RecordSource(output / "records")
    order = np.random.default_rng(1).permutation(FLAGS.people).tolist()
    for name, source in (("records", records), ("files", files)) * 2:
        print(f"{name}: {milliseconds(source, order):.2f} ms a person")


if __name__ == "__main__":
    app.run(main)
