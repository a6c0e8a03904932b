"""The mixed stream: the same whoever reads it, from wherever it is taken up."""

import dataclasses
import itertools
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from dsr_jax.data import (
    AugmentationSettings,
    Batch,
    CropDataset,
    CropSettings,
    DataSetShare,
    ExampleOrder,
    LabelFileSettings,
    Person,
    Reading,
    StoredFile,
    TrainingBatches,
)
from dsr_jax.errors import UserError

LENGTHS, SHARES = (40, 9, 5), (0.5, 0.3, 0.2)
PROCESSES = Reading(threads=1, processes=2)


class Numbers:
    """Example i of data set d holds d and i, and its generator's first draw."""

    def __init__(self, number, length, accident=None, at=-1):
        self.number, self.length = number, length
        self.accident, self.at = accident, at

    def __len__(self):
        return self.length

    def example(self, index, generator=None):
        if index == self.at and self.accident == "dies":
            os._exit(3)
        if index == self.at and self.accident in ("waits", "hangs"):
            # Threads must have ended before the tests do; processes are killed.
            time.sleep(3 if self.accident == "waits" else 3600)
        if index == self.at and self.accident == "defect":
            raise ZeroDivisionError("in the data set")
        camera = [self.number, index, generator.random()]
        return Batch(
            image=np.zeros((2, 2, 3), np.uint8),
            labels=np.zeros((2, 2), np.uint8),
            has_labels=np.zeros((), np.float32),
            keypoints_ndc=np.zeros((49, 3), np.float32),
            joints=np.zeros((24, 4), np.float32),
            pose=np.zeros((24, 3, 3), np.float32),
            betas=np.zeros(10, np.float32),
            has_body=np.zeros((), np.float32),
            camera=np.array(camera, np.float32),
        )


def _order(lengths=LENGTHS, shares=SHARES, seed=3):
    named = [
        DataSetShare(f"d{i}", n, s)
        for i, (n, s) in enumerate(zip(lengths, shares, strict=True))
    ]
    return ExampleOrder(named, seed)


def _stream(batch_size=12, order=None, accident=None, at=-1, **arguments):
    order = _order() if order is None else order
    datasets = [
        Numbers(i, d.length, accident if i == 0 else None, at)
        for i, d in enumerate(order.datasets)
    ]
    return TrainingBatches(datasets, order, batch_size, **arguments)


def _take(stream, count):
    """(positions, 3): data set, index, draw."""
    rows = np.concatenate([batch.camera for batch in itertools.islice(stream, count)])
    stream.close()
    return np.array(rows)


@pytest.fixture(scope="module")
def whole():
    return _take(_stream(), 30)


def test_ratio_order_and_generators(whole):
    counts = np.bincount(whole[:, 0].astype(int))
    np.testing.assert_allclose(counts, 360 * np.array(SHARES), atol=1)
    for number, length in enumerate(LENGTHS):
        drawn = whole[whole[:, 0] == number, 1].astype(int)
        epochs = drawn[: len(drawn) // length * length].reshape(-1, length)
        # Each epoch is a permutation, and they differ.
        assert (np.sort(epochs, 1) == np.arange(length)).all()
        assert len({tuple(epoch) for epoch in epochs}) == len(epochs)
    # No two generators are alike, of other data sets, epochs or examples.
    assert len(np.unique(whole[:, 2])) == len(whole)


def test_threads_batch_size_and_hosts_have_no_say(whole):
    np.testing.assert_array_equal(_take(_stream(reading=Reading(threads=1)), 30), whole)
    np.testing.assert_array_equal(_take(_stream(batch_size=36), 10), whole)
    hosts = [_take(_stream(shard=(h, 3)), 30).reshape(30, 4, 3) for h in range(3)]
    np.testing.assert_array_equal(np.concatenate(hosts, 1).reshape(-1, 3), whole)


@pytest.mark.parametrize("step", [1, 13, 29])
def test_a_restored_stream_equals_the_uninterrupted_one(whole, step):
    first = _stream(reading=Reading(threads=3))
    head = [np.array(next(first).camera) for _ in range(step)]
    state = json.loads(json.dumps(first.get_state()))
    first.close()
    second = _stream(reading=Reading(threads=2))
    next(second)
    second.set_state(state)
    assert second.get_state() == state
    rest = _take(second, 30 - step)
    np.testing.assert_array_equal(np.concatenate([*head, rest]), whole)
    np.testing.assert_array_equal(_take(_stream(start_step=step), 30 - step), rest)


def test_a_state_of_other_data_is_one_line():
    state = _stream().get_state()
    for order, words in (
        (_order(seed=4), "seed is 3"),
        (_order(lengths=(40, 9, 6)), r"'d2': its length is 6, and was 5"),
        (_order(shares=(0.6, 0.2, 0.2)), r"'d0': its share is 0.6, and was 0.5"),
        (_order((40, 9), (0.5, 0.5)), r"2 data set\(s\) where the run began with 3"),
    ):
        with pytest.raises(UserError, match=words):
            _stream(order=order).set_state(state)


def test_far_into_the_stream_costs_no_replay():
    before = time.perf_counter()
    _take(_stream(start_step=10**9), 1)
    assert time.perf_counter() - before < 30


def test_a_stuck_reader_ends_with_one_line():
    reading = Reading(threads=2, timeout_seconds=0.3)
    stream = _stream(accident="waits", at=7, reading=reading)
    with pytest.raises(UserError, match=r"no batch for 0\.3 s.*timeout_seconds"):
        _take(stream, 30)


def test_a_defect_keeps_its_own_exception():
    with pytest.raises(ZeroDivisionError, match="in the data set"):
        _take(_stream(accident="defect", at=7), 30)


def test_worker_processes_read_the_same(whole):
    stream = _stream(reading=PROCESSES)
    head = np.concatenate([np.array(next(stream).camera) for _ in range(5)])
    state = stream.get_state()
    stream.close()
    np.testing.assert_array_equal(head, whole[:60])
    # One process more or less, from there on.
    again = _stream(reading=Reading(threads=2, processes=1))
    again.set_state(state)
    np.testing.assert_array_equal(_take(again, 25), whole[60:])


def test_a_worker_process_that_dies_is_one_line():
    stream = _stream(accident="dies", at=7, reading=PROCESSES)
    with pytest.raises(UserError, match=r"worker process has ended \(exit code 3\)"):
        _take(stream, 30)


@pytest.mark.slow
def test_a_stuck_worker_process_is_one_line():
    reading = Reading(threads=1, processes=1, timeout_seconds=20)
    stream = _stream(accident="hangs", at=7, reading=reading)
    with pytest.raises(UserError, match="no batch for 20 s"):
        _take(stream, 30)


@pytest.mark.slow
def test_a_halted_worker_process_is_one_line_and_is_killed():
    """Grain waits for it without end; its neighbours are not to stay behind either."""
    before = set(multiprocessing.active_children())
    reading = Reading(threads=1, processes=2, timeout_seconds=30)
    stream = _stream(reading=reading)
    next(stream)
    workers = set(multiprocessing.active_children()) - before
    # What is ahead already is given first.
    stream._feed._reading = dataclasses.replace(reading, timeout_seconds=2)
    os.kill(min(worker.pid for worker in workers), signal.SIGSTOP)
    start = time.monotonic()
    with pytest.raises(UserError, match="no batch for 2 s"):
        _take(stream, 1000)
    assert time.monotonic() - start < 20
    assert len(workers) == 2 and not any(worker.is_alive() for worker in workers)


INTERRUPTED = """
from test_training_stream import PROCESSES, _stream

if __name__ == "__main__":
    try:
        for number, batch in enumerate(_stream(reading=PROCESSES)):
            if number == 3:
                print("running", flush=True)
    except KeyboardInterrupt:
        print("interrupted")
"""


@pytest.mark.slow
def test_ctrl_c_reaches_the_training_alone(tmp_path):
    """The whole group of processes gets it; only the parent says so, and all end."""
    script = tmp_path / "script.py"
    script.write_text(INTERRUPTED)
    folder = str(Path(__file__).parent)
    running = subprocess.Popen(
        [sys.executable, str(script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([folder, *sys.path])},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert running.stdout.readline() == "running\n"
    os.killpg(running.pid, signal.SIGINT)
    assert running.communicate(timeout=60) == ("interrupted\n", "")
    deadline = time.monotonic() + 20
    with pytest.raises(ProcessLookupError):
        while time.monotonic() < deadline:
            os.killpg(running.pid, 0)
            time.sleep(0.1)


class Files:
    """Six people; photo 1 is cut short, label map 2 is, photo 4 is missing."""

    def __len__(self):
        return 6

    def person(self, index):
        center = np.full(2, 3.5, np.float32)
        name = f"{index}.png"
        return Person(name, name, center, 8.0)

    def others(self, index):
        return np.zeros((0, 49, 3), np.float32)

    def image(self, index):
        if index == 4:
            raise UserError("4.png: cannot read this image; check the path")
        data = _png(np.full((8, 8, 3), 9 * index, np.uint8))
        return StoredFile(f"{index}.png", data[:-9] if index == 1 else data)

    def label_map(self, index):
        data = _png(np.zeros((8, 8), np.uint8))
        return StoredFile(f"labels/{index}.png", data[:-9] if index == 2 else data)


def _png(pixels):
    import cv2

    return cv2.imencode(".png", pixels)[1].tobytes()


@pytest.mark.parametrize("reading", [Reading(threads=2), PROCESSES])
def test_broken_files_are_counted_where_the_batches_arrive(reading, capfd):
    settings = CropSettings(8, LabelFileSettings(broken="skip"), broken_photos="skip")
    dataset = CropDataset(Files(), settings, AugmentationSettings())
    order = ExampleOrder([DataSetShare("files", 6, 1.0)], 0)
    stream = TrainingBatches([dataset], order, 6, reading=reading)
    batches = [next(stream) for _ in range(3)]
    stream.close()
    assert all((batch.image.max((1, 2, 3)) == 0).sum() >= 3 for batch in batches)
    assert dataset.tally.counts() == {
        "data/broken_photos": 2.0,
        "data/broken_label_maps": 1.0,
        # The good ones show nobody.
        "data/refused_label_maps": 3.0,
    }
    warnings = [x for x in capfd.readouterr().err.splitlines() if "skipped" in x]
    assert sorted(w.split(": ")[2] for w in warnings) == [
        "1.png",
        "4.png",
        "labels/2.png",
    ]


@pytest.mark.slow
def test_a_broken_photo_stops_with_its_line_from_a_worker():
    dataset = CropDataset(Files(), CropSettings(8))
    order = ExampleOrder([DataSetShare("files", 6, 1.0)], 0)
    stream = TrainingBatches([dataset], order, 6, reading=Reading(1, 1))
    with pytest.raises(UserError, match=r"[14]\.png: |labels/2\.png: "):
        next(stream)
