"""Shards are written by this process, or by several at once."""

import contextlib
import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

from dsr_jax.data.parent_process import end_with_parent
from dsr_jax.data.person import PeopleSource, Skipped
from dsr_jax.data.records.journal import Shard
from dsr_jax.data.records.screening import Screening
from dsr_jax.data.records.shard import write_shard
from dsr_jax.errors import UserError

_SECONDS_BETWEEN_LOOKS = 0.2

# A shard's number, its file, the first of its people and the one after the last.
Task = tuple[int, Path, int, int]


class Worker:
    """Writes shards of one data set."""

    def __init__(
        self, source: PeopleSource, twice: dict[int, Skipped], screening: Screening
    ):
        self._given = source, twice, screening

    def write(self, task: Task, looked_at: Callable[[], None]) -> tuple[int, Shard]:
        """Writes one shard.

        Raises:
          UserError: see `write_shard`.
        """
        number, path, first, end = task
        source, twice, screening = self._given
        people = range(first, end)
        return number, write_shard(path, source, people, twice, screening, looked_at)


@contextlib.contextmanager
def written_shards(
    worker: Worker,
    tasks: Sequence[Task],
    processes: int,
    progress: Callable[[int], None],
    check: Callable[[], None],
) -> Iterator[Iterator[tuple[int, Shard]]]:
    """Shards as they are finished; those that were begun end with the block.

    Args:
      worker: what writes them.
      tasks: which.
      processes: how many at once.
      progress: told how many people more were looked at.
      check: called often; may raise to stop.

    Raises:
      UserError: see `write_shard`; or a process died.
    """
    if processes == 1 or len(tasks) < 2:

        def looked_at() -> None:
            progress(1)
            check()

        yield (worker.write(task, looked_at) for task in tasks)
        return
    context = multiprocessing.get_context("spawn")
    stop, looked = context.Event(), context.Value("Q", 0)
    pool = ProcessPoolExecutor(
        min(processes, len(tasks)),
        context,
        initializer=_start,
        initargs=(worker, stop, looked),
    )
    try:
        pending = _submit(pool, tasks)
        yield _as_finished(pending, looked, progress, check)
    finally:
        stop.set()
        pool.shutdown(wait=True, cancel_futures=True)


def _as_finished(
    pending: "set[Future[tuple[int, Shard]]]",
    looked: Any,
    progress: Callable[[int], None],
    check: Callable[[], None],
) -> Iterator[tuple[int, Shard]]:
    told = 0
    try:
        while pending:
            done, pending = wait(pending, _SECONDS_BETWEEN_LOOKS, FIRST_COMPLETED)
            now = looked.value
            progress(now - told)
            told = now
            for future in done:
                yield future.result()
            check()
    except BrokenProcessPool as error:
        raise UserError(
            "a process ended while it wrote a shard, perhaps for lack of memory; run "
            "the same command again with fewer --processes"
        ) from error


def _submit(
    pool: ProcessPoolExecutor, tasks: Sequence[Task]
) -> "set[Future[tuple[int, Shard]]]":
    """Hands the tasks over; the processes never see Ctrl-C.

    The terminal sends it to all processes; only the first is to act on it. What is
    blocked when a process starts stays blocked in it.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        return {pool.submit(_do, task) for task in tasks}
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _Stopped(Exception):
    """The first process asks to stop."""


_state: tuple[Worker, Any, Any] | None = None


def _start(worker: Worker, stop: Any, looked: Any) -> None:
    global _state
    end_with_parent()
    _state = worker, stop, looked


def _do(task: Task) -> tuple[int, Shard]:
    assert _state is not None, "the initializer runs first"
    worker, stop, looked = _state

    def looked_at() -> None:
        with looked.get_lock():
            looked.value += 1
        if stop.is_set():
            raise _Stopped

    try:
        return worker.write(task, looked_at)
    except UserError as error:
        # Those that carry more than a line do not travel between processes.
        raise UserError(str(error)) from None
