"""The stream of batches depends on its seed and the step, and on nothing else."""

import itertools
import threading
import time

import numpy as np
import pytest

from dsr_jax.data import Batch, Reading, ordered_batches, training_batches
from dsr_jax.errors import EnvironmentFault, UserError

COUNT = 7


class _Numbers:
    """Example i holds i in its betas and its generator's first draw in its camera."""

    def __init__(self, fails_at=None):
        self.fails_at = fails_at
        self.threads = set()

    def __len__(self):
        return COUNT

    def example(self, index, generator=None):
        if index == self.fails_at:
            raise UserError(f"photo {index} is truncated")
        self.threads.add(threading.get_ident())
        time.sleep(0.001 * (index % 3))
        draw = -1.0 if generator is None else generator.random()
        return Batch(
            image=np.zeros((2, 2, 3), np.uint8),
            labels=np.zeros((2, 2), np.uint8),
            has_labels=np.zeros((), np.float32),
            keypoints_ndc=np.zeros((49, 3), np.float32),
            joints=np.zeros((24, 4), np.float32),
            pose=np.zeros((24, 3, 3), np.float32),
            betas=np.full(10, index, np.float32),
            has_body=np.zeros((), np.float32),
            camera=np.full(3, draw, np.float32),
        )


def _take(count, **arguments):
    stream = training_batches(_Numbers(), **arguments)
    batches = list(itertools.islice(stream, count))
    stream.close()
    indices = np.stack([b.betas[:, 0] for b in batches])
    draws = np.stack([b.camera[:, 0] for b in batches])
    return indices.astype(int), draws


def test_every_epoch_holds_everything_once_in_a_new_order():
    indices, draws = _take(14, batch_size=4, seed=3)
    epochs = indices.reshape(8, COUNT)
    np.testing.assert_array_equal(np.sort(epochs, 1), np.tile(np.arange(COUNT), (8, 1)))
    assert len({tuple(epoch) for epoch in epochs}) == 8
    # Augmentation differs between examples and between epochs.
    assert len(np.unique(draws)) == draws.size


@pytest.mark.parametrize("start_step", [1, 5, 9])
def test_resuming_goes_on_with_the_same_stream(start_step):
    whole = _take(12, batch_size=3, seed=5, reading=Reading(threads=4))
    rest = _take(
        12 - start_step,
        batch_size=3,
        seed=5,
        start_step=start_step,
        reading=Reading(threads=1),
    )
    for all_of_it, after in zip(whole, rest, strict=True):
        np.testing.assert_array_equal(all_of_it[start_step:], after)


def test_another_seed_gives_another_stream():
    first, second = (_take(4, batch_size=7, seed=seed)[0] for seed in (1, 2))
    assert (first != second).any()


def test_hosts_share_every_batch_between_them():
    whole = _take(6, batch_size=6, seed=5)
    parts = [_take(6, batch_size=6, seed=5, shard=(i, 3)) for i in range(3)]
    for together, pieces in zip(whole, zip(*parts, strict=True), strict=True):
        np.testing.assert_array_equal(together, np.concatenate(pieces, axis=1))
    with pytest.raises(ValueError, match="cannot be split"):
        training_batches(_Numbers(), batch_size=6, seed=0, shard=(0, 4))


def test_a_batch_may_be_larger_than_the_data_set():
    indices, _ = _take(2, batch_size=10, seed=0)
    assert indices.shape == (2, 10)
    np.testing.assert_array_equal(np.sort(indices.ravel()[:7]), np.arange(7))


def test_a_stuck_read_in_an_evaluation_is_one_line():
    class Stuck(_Numbers):
        def example(self, index, generator=None):
            released.wait(30)
            return super().example(index, generator)

    released = threading.Event()
    with pytest.raises(EnvironmentFault, match=r"no example for 0\.2 s") as told:
        next(ordered_batches(Stuck(), 3, timeout_seconds=0.2))
    released.set()
    assert told.value.exit_code == 75


def test_ordered_batches_see_everything_once():
    batches = list(ordered_batches(_Numbers(), 3))
    assert [b.betas.shape for b, _ in batches] == [(3, 10)] * 3
    seen = np.concatenate([b.betas[valid > 0, 0] for b, valid in batches])
    np.testing.assert_array_equal(seen, np.arange(COUNT))
    assert all((b.camera == -1).all() for b, _ in batches)


def test_a_broken_example_reaches_the_caller():
    with pytest.raises(UserError, match="photo 4 is truncated"):
        list(itertools.islice(training_batches(_Numbers(4), 7, seed=0), 1))


def test_threads_read_and_end_with_the_stream():
    dataset = _Numbers()
    stream = training_batches(dataset, 7, seed=0, reading=Reading(threads=3))
    next(stream)
    assert (
        1 < len(dataset.threads) <= 3 and threading.get_ident() not in dataset.threads
    )
    stream.close()
    deadline = time.monotonic() + 10
    while _readers() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not _readers()


def _readers():
    return [t for t in threading.enumerate() if t.name.startswith("examples")]
