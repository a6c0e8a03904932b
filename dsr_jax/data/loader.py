"""Batches of data sets in files or in memory: for training, and once through.

Training batches come from `BatchReader` through Grain, whose threads or worker
processes read some of them ahead.
"""

import collections
import queue
import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

import jax
import numpy as np

from dsr_jax.arrays import Float
from dsr_jax.data.batch import Batch
from dsr_jax.data.batch_reader import BatchReader, Dataset, Delivery
from dsr_jax.data.crops import CropDataset
from dsr_jax.data.grain_workers import READ_SECONDS, Batches, Reading
from dsr_jax.data.order import DataSetShare, ExampleOrder
from dsr_jax.errors import EnvironmentFault, UserError

# Batches that are being prepared while one is used.
_BATCHES_AHEAD = 2
# Between two looks at whether the stream was closed.
_LOOK_SECONDS = 0.2
# How long a closed stream's thread is waited for; a stuck one ends with the process.
_JOIN_SECONDS = 5.0

# An example's index and the generator of its augmentation.
Request = tuple[int, np.random.Generator | None]


class TrainingBatches(Iterator[Batch]):
    """Endless augmented batches; which, depends on the seed and the position alone."""

    def __init__(
        self,
        datasets: Sequence[Dataset],
        order: ExampleOrder,
        batch_size: int,
        start_step: int = 0,
        shard: tuple[int, int] = (0, 1),
        reading: Reading | None = None,
    ):
        """Nothing is read before the first batch is asked for.

        Args:
          datasets: in the order of `order.datasets`.
          order: what stands where.
          batch_size: examples of a step on all hosts together.
          start_step: the first step that is given.
          shard: (index, count) of this host; it gets its contiguous part of a batch.
          reading: who reads, and how long is waited for them.

        Raises:
          ValueError: the batch cannot be split evenly over the hosts.
        """
        self._datasets, self._order = tuple(datasets), order
        self._batch_size, self._shard = batch_size, shard
        self._reading = Reading() if reading is None else reading
        self._position = start_step * batch_size
        self._feed: _Feed | None = None
        self._reader()  # Refuses the shard at once.

    def __next__(self) -> Batch:
        """The next batch; its troubles go to the data sets' tallies.

        Raises:
          UserError: a file of a data set is missing or damaged.
          EnvironmentFault: a worker is stuck or has died.
        """
        if self._feed is None:
            self._feed = _Feed(self._reader(), self._reading)
        try:
            delivery = self._feed.next()
            for number, trouble in delivery["troubles"]:
                dataset = self._datasets[number]
                assert isinstance(dataset, CropDataset)
                dataset.tally.add([trouble])
            if delivery["failure"]:
                raise UserError(delivery["failure"])
        except BaseException:
            self.close()
            raise
        self._position += self._batch_size
        return Batch(**delivery["fields"])

    def get_state(self) -> dict[str, Any]:
        """Where the stream is, for JSON: what was given counts, what is ahead not."""
        return self._order.state(self._position)

    def set_state(self, state: dict[str, Any]) -> None:
        """Goes to where another stream was when it gave `state`.

        Raises:
          UserError: that stream had another seed or other data sets.
        """
        position = self._order.position_of(state)
        self.close()
        self._position = position

    def close(self) -> None:
        """Ends threads and processes; the stream can still go on from where it is."""
        if self._feed is not None:
            self._feed.close()
            self._feed = None

    def _reader(self) -> BatchReader:
        return BatchReader(
            self._datasets,
            self._order,
            self._batch_size,
            self._shard,
            self._reading.threads,
            self._position,
        )


class _Feed:
    """Takes batches from Grain in a thread, so that a wait for one can end."""

    def __init__(self, reader: BatchReader, reading: Reading):
        self._reading = reading
        self._ready: queue.Queue[Delivery | Exception] = queue.Queue(1)
        self._closed = threading.Event()
        self._batches = Batches(reader, reading)
        self._thread = threading.Thread(target=self._run, name="batches", daemon=True)
        self._thread.start()

    def next(self) -> Delivery:
        try:
            item = self._ready.get(timeout=self._reading.timeout_seconds)
        except queue.Empty as error:
            self._batches.kill()
            raise EnvironmentFault(
                f"data: no batch for {self._reading.timeout_seconds:g} s: the disk or "
                "a worker is stuck; look after it, or raise 'data.timeout_seconds'"
            ) from error
        if isinstance(item, Exception):
            raise item
        return item

    def close(self) -> None:
        self._closed.set()
        # One at a time: Grain loses shared memory if it is closed in the middle.
        self._thread.join(_JOIN_SECONDS)
        self._batches.close()

    def _run(self) -> None:
        try:
            for delivery in self._batches:
                self._put(delivery)
                if self._closed.is_set():
                    return
        except Exception as error:
            # After `close` Grain's iterator fails in ways that mean nothing.
            self._put(error)

    def _put(self, item: Delivery | Exception) -> None:
        while not self._closed.is_set():
            try:
                return self._ready.put(item, timeout=_LOOK_SECONDS)
            except queue.Full:
                continue


def training_batches(
    dataset: Dataset,
    batch_size: int,
    seed: int,
    start_step: int = 0,
    shard: tuple[int, int] = (0, 1),
    reading: Reading | None = None,
) -> TrainingBatches:
    """`TrainingBatches` of one data set: each epoch in a new order."""
    order = ExampleOrder([DataSetShare("data", len(dataset), 1.0)], seed)
    return TrainingBatches([dataset], order, batch_size, start_step, shard, reading)


def ordered_batches(
    dataset: Dataset,
    batch_size: int,
    workers: int = 8,
    timeout_seconds: float = READ_SECONDS,
) -> Iterator[tuple[Batch, Float[np.ndarray, "B"]]]:
    """Every example once, in order and not augmented, for evaluation.

    Yields:
      A batch, and which of its examples count (1 or 0): the last batch is filled up
      with the last example, so that all have one shape.

    Raises:
      EnvironmentFault: an example took longer than `timeout_seconds` to be read.
    """
    starts = range(0, len(dataset), batch_size)
    last = len(dataset) - 1
    requests: Iterator[list[Request]] = (
        [(min(start + i, last), None) for i in range(batch_size)] for start in starts
    )
    batches = _prepared(dataset, requests, workers, timeout_seconds)
    for start, batch in zip(starts, batches, strict=True):
        yield batch, (start + np.arange(batch_size) <= last).astype(np.float32)


def _prepared(
    dataset: Dataset,
    requests: Iterable[list[Request]],
    workers: int,
    timeout_seconds: float,
) -> Iterator[Batch]:
    """Reads examples in threads, a few batches ahead of the one that is asked for."""
    pool = ThreadPoolExecutor(workers, thread_name_prefix="examples")
    pending: collections.deque[list[Future[Batch]]] = collections.deque()
    try:
        for batch in requests:
            pending.append([pool.submit(dataset.example, *one) for one in batch])
            if len(pending) > _BATCHES_AHEAD:
                yield _stack(pending.popleft(), timeout_seconds)
        while pending:
            yield _stack(pending.popleft(), timeout_seconds)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _stack(examples: list[Future[Batch]], timeout_seconds: float) -> Batch:
    _, late = wait(examples, timeout_seconds)
    if late:
        raise EnvironmentFault(
            f"data: no example for {timeout_seconds:g} s while a data set was read for "
            "evaluation: the disk is stuck; look after it"
        )
    return jax.tree.map(
        lambda *leaves: np.stack(leaves), *(f.result() for f in examples)
    )
