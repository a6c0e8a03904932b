"""Batches of a data set in an order that its seed and the step alone decide.

Position p of the endless training stream is entry p mod N of the permutation of epoch
⌊p / N⌋, and step k holds positions k·B … k·B + B - 1. So a run that stops and goes on
at step k sees what it would have seen, on one host or on many.
"""

import collections
import functools
import itertools
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol, runtime_checkable

import jax
import numpy as np

from dsr_jax.arrays import Float
from dsr_jax.data.batch import Batch

# Batches that are being prepared while one is used.
_BATCHES_AHEAD = 2

# An example's index and the generator of its augmentation.
Request = tuple[int, np.random.Generator | None]


@runtime_checkable
class Dataset(Protocol):
    """What the loader needs of a data set."""

    def __len__(self) -> int: ...

    def example(
        self, index: int, generator: np.random.Generator | None = None
    ) -> Batch:
        """One example without a batch axis."""


def training_batches(
    dataset: Dataset,
    batch_size: int,
    seed: int,
    start_step: int = 0,
    shard: tuple[int, int] = (0, 1),
    workers: int = 8,
) -> Iterator[Batch]:
    """Endless augmented batches from `start_step` on, each epoch in a new order.

    Args:
      dataset: where examples come from.
      batch_size: examples of a step on all hosts together.
      seed: decides order and augmentation.
      start_step: the first step that is given.
      shard: (index, count) of this host; it gets its contiguous part of every batch.
      workers: threads that read examples.

    Raises:
      ValueError: the batch cannot be split evenly over the hosts.
      UserError: a file of the data set is missing or damaged.
    """
    part, parts = shard
    if batch_size % parts or not 0 <= part < parts:
        raise ValueError(f"a batch of {batch_size} cannot be split for shard {shard}")
    local = batch_size // parts
    starts = (k * batch_size + part * local for k in itertools.count(start_step))
    requests = (_training_requests(len(dataset), seed, s, local) for s in starts)
    return _prepared(dataset, requests, workers)


def ordered_batches(
    dataset: Dataset, batch_size: int, workers: int = 8
) -> Iterator[tuple[Batch, Float[np.ndarray, "B"]]]:
    """Every example once, in order and not augmented, for evaluation.

    Yields:
      A batch, and which of its examples count (1 or 0): the last batch is filled up
      with the last example, so that all have one shape.
    """
    starts = range(0, len(dataset), batch_size)
    last = len(dataset) - 1
    requests: Iterator[list[Request]] = (
        [(min(start + i, last), None) for i in range(batch_size)] for start in starts
    )
    batches = _prepared(dataset, requests, workers)
    for start, batch in zip(starts, batches, strict=True):
        yield batch, (start + np.arange(batch_size) <= last).astype(np.float32)


def _training_requests(count: int, seed: int, start: int, length: int) -> list[Request]:
    requests: list[Request] = []
    for position in range(start, start + length):
        epoch, place = divmod(position, count)
        index = int(_permutation(count, seed, epoch)[place])
        requests.append((index, np.random.default_rng((seed, epoch, index))))
    return requests


@functools.lru_cache(maxsize=4)
def _permutation(count: int, seed: int, epoch: int) -> np.ndarray:
    return np.random.default_rng((seed, epoch)).permutation(count)


def _prepared(
    dataset: Dataset, requests: Iterable[list[Request]], workers: int
) -> Iterator[Batch]:
    """Reads examples in threads, a few batches ahead of the one that is asked for."""
    pool = ThreadPoolExecutor(workers, thread_name_prefix="examples")
    pending: collections.deque[list[Future[Batch]]] = collections.deque()
    try:
        for batch in requests:
            pending.append([pool.submit(dataset.example, *one) for one in batch])
            if len(pending) > _BATCHES_AHEAD:
                yield _stack(pending.popleft())
        while pending:
            yield _stack(pending.popleft())
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _stack(examples: list[Future[Batch]]) -> Batch:
    return jax.tree.map(
        lambda *leaves: np.stack(leaves), *(f.result() for f in examples)
    )
