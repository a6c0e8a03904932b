"""Who reads batches: threads of this process, or worker processes, both by Grain."""

import dataclasses
import multiprocessing
import re
import signal
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
from absl import flags

from dsr_jax.data.batch_reader import BatchReader, Delivery
from dsr_jax.data.parent_process import end_with_parent
from dsr_jax.errors import EnvironmentFault

# How Grain names its worker processes.
_WORKER_NAME = "grain-process-prefetch"
# Batches that one process reads at a time: while the last examples of one are read,
# the next is begun. As many wait to be taken.
_BATCHES_AT_ONCE = 2
# How long a read may take before the disk counts as stuck.
READ_SECONDS = 600.0


@dataclasses.dataclass(frozen=True)
class Reading:
    """Who reads examples; the examples do not depend on it."""

    threads: int = 8
    """In each process that reads."""
    processes: int = 0
    """Worker processes; with 0 the threads are this process's own."""
    timeout_seconds: float = READ_SECONDS
    """How long a batch may take before the stream ends with an error."""

    def __post_init__(self) -> None:
        if self.threads < 1 or self.processes < 0:
            raise ValueError("threads is at least 1, processes at least 0")
        if not self.timeout_seconds > 0:
            raise ValueError(
                f"timeout_seconds is {self.timeout_seconds}: give more than 0"
            )


class Batches(Iterator[Delivery]):
    """Deliveries of a reader in order, from batch 0 on."""

    def __init__(self, reader: BatchReader, reading: Reading):
        """Starts threads; worker processes start with the first batch."""
        # Grain takes a second to load, which a run without files need not wait for.
        import grain

        # It looks at flags, which only programs of absl have read.
        if not flags.FLAGS.is_parsed():
            flags.FLAGS.mark_as_parsed()
        self._reader, self._shared = reader, reading.processes > 0
        options = grain.ReadOptions(_BATCHES_AT_ONCE, _BATCHES_AT_ONCE)
        batches = grain.MapDataset.source(reader).to_iter_dataset(options)
        if reading.processes:
            batches = batches.mp_prefetch(
                grain.MultiprocessingOptions(reading.processes), _begin_worker
            )
        self._others = set(multiprocessing.active_children())
        self._iterator: Any = iter(batches)

    def __next__(self) -> Delivery:
        """The next one.

        Raises:
          EnvironmentFault: a worker process has ended.
        """
        try:
            delivery: Delivery = next(self._iterator)
        except RuntimeError as error:
            if "terminated unexpectedly" not in str(error):
                raise
            raise EnvironmentFault(
                f"data: a worker process has ended ({_exit_code(error)}): memory or "
                "/dev/shm may be full; lower 'data.worker_processes' or "
                "'training.batch_size'"
            ) from error
        if self._shared:
            # Copied at once: shared memory that lives until the process ends is lost
            # with a warning, and a caller may keep a batch that long.
            fields = delivery["fields"]
            delivery["fields"] = {name: np.array(fields[name]) for name in fields}
        return delivery

    def kill(self) -> None:
        """Ends worker processes that answer nothing, before `close`.

        Grain waits without end for one that was halted in the middle.
        """
        for process in set(multiprocessing.active_children()) - self._others:
            if process.name.startswith(_WORKER_NAME):
                process.kill()

    def close(self) -> None:
        """Ends what was started."""
        self._iterator.close()
        self._reader.close()


def _exit_code(error: RuntimeError) -> str:
    found = re.search(r"exit code -?\d+", str(error))
    return found.group() if found else "no exit code"


def _begin_worker(index: int, count: int) -> None:
    """What a worker process does first."""
    # Ctrl-C reaches the whole group of processes; the parent decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Examples are NumPy; a worker that touched the accelerator would take its memory.
    jax.config.update("jax_platforms", "cpu")
    end_with_parent()
