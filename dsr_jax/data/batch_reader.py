"""Whole batches by number: what threads and worker processes are given to do."""

import dataclasses
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol, TypedDict, runtime_checkable

import cv2
import numpy as np

from dsr_jax.data.batch import Batch
from dsr_jax.data.crops import CropDataset
from dsr_jax.data.order import ExampleOrder
from dsr_jax.data.trouble import Trouble
from dsr_jax.errors import UserError

# A stream has no end; this is how many batches one is said to have.
_ENDLESS = 1 << 48


@runtime_checkable
class Dataset(Protocol):
    """What the loader needs of a data set."""

    def __len__(self) -> int: ...

    def example(
        self, index: int, generator: np.random.Generator | None = None
    ) -> Batch:
        """One example without a batch axis."""


class Delivery(TypedDict):
    """A batch as it comes from where it was read.

    A tree of plain containers: Grain passes its arrays in shared memory.
    """

    fields: dict[str, np.ndarray]
    """Of `Batch`; empty after a failure."""
    troubles: list[tuple[int, Trouble]]
    """With the number of the data set."""
    failure: str
    """The user's one line, if an example could not be read and is to stop, else ""."""


class BatchReader:
    """One host's part of batch k of the stream, for every k."""

    def __init__(
        self,
        datasets: Sequence[Dataset],
        order: ExampleOrder,
        batch_size: int,
        shard: tuple[int, int],
        threads: int,
        first: int = 0,
    ):
        """Takes the part of every batch that is this host's.

        Args:
          datasets: in the order of `order.datasets`.
          order: of the stream.
          batch_size: B, examples of a batch on all hosts together.
          shard: (index, count) of this host.
          threads: that read examples.
          first: position of the stream at which batch 0 begins.

        Raises:
          ValueError: the batch cannot be split evenly over the hosts.
        """
        part, parts = shard
        if batch_size % parts or not 0 <= part < parts:
            raise ValueError(
                f"a batch of {batch_size} cannot be split for shard {shard}"
            )
        self._datasets, self._order = tuple(datasets), order
        self._batch_size, self._count = batch_size, batch_size // parts
        self._first = first + part * self._count
        self._threads = threads
        self._pool: ThreadPoolExecutor | None = None
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return _ENDLESS

    def __getstate__(self) -> dict[str, Any]:
        # Every process has its own threads.
        return {k: v for k, v in self.__dict__.items() if k not in ("_pool", "_lock")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._pool, self._lock = None, threading.Lock()

    def close(self) -> None:
        """Lets the threads end."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)

    def __getitem__(self, number: int) -> Delivery:
        """Reads batch `number`."""
        pool = self._open()
        start = self._first + number * self._batch_size
        fields: dict[str, np.ndarray] = {}
        troubles: list[tuple[int, Trouble]] = []
        futures = [
            pool.submit(self._read, position)
            for position in range(start, start + self._count)
        ]
        try:
            for row, future in enumerate(futures):
                example, found = future.result()
                _write(fields, example, row, self._count)
                troubles += found
        except UserError as error:
            return Delivery(fields={}, troubles=troubles, failure=str(error))
        finally:
            for future in futures:
                future.cancel()
        return Delivery(fields=fields, troubles=troubles, failure="")

    def _open(self) -> ThreadPoolExecutor:
        """The threads of the process that reads, started with its first batch."""
        with self._lock:
            if self._pool is None:
                # They are as many as shall work: OpenCV's own would be in their way.
                cv2.setNumThreads(1)
                self._pool = ThreadPoolExecutor(
                    self._threads, thread_name_prefix="examples"
                )
            return self._pool

    def _read(self, position: int) -> tuple[Batch, list[tuple[int, Trouble]]]:
        draw = self._order.draw(position)
        dataset = self._datasets[draw.dataset]
        if not isinstance(dataset, CropDataset):
            return dataset.example(draw.index, draw.generator()), []
        example, troubles = dataset.read(draw.index, draw.generator())
        return example, [(draw.dataset, trouble) for trouble in troubles]


def _write(fields: dict[str, np.ndarray], example: Batch, row: int, count: int) -> None:
    """Puts an example into its row of the batch."""
    for field in dataclasses.fields(Batch):
        value = np.asarray(getattr(example, field.name))
        if field.name not in fields:
            fields[field.name] = np.empty((count, *value.shape), value.dtype)
        fields[field.name][row] = value
