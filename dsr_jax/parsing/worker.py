"""One photo after the other, in this process or in several."""

import collections
import contextlib
import dataclasses
import multiprocessing
import os
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import cv2

from dsr_jax.data import make_folder, read_image
from dsr_jax.errors import UserError
from dsr_jax.parsing.jobs import Job
from dsr_jax.parsing.parser import BOX_GROWTH, ClothingParser
from dsr_jax.parsing.settings import ParserSettings
from dsr_jax.semantics import VOID, write_label_map

# Photos that wait in the queue for each process, so that none idles.
_QUEUED = 2


@dataclasses.dataclass(frozen=True)
class WorkSettings:
    """What every process needs to know.

    Attributes:
      model: the `.onnx` file.
      parser: how photos are shown to it.
      images: the folder of photos.
      output: the folder of label maps.
      growth: what the sides of people's squares are multiplied by.
      outside: of all squares: "background" or "whole".
      provider: "cpu" or "cuda".
      threads: of one process; 0 divides the processor's cores.
      processes: how many.
    """

    model: str
    parser: ParserSettings
    images: str
    output: str
    growth: float = BOX_GROWTH
    outside: str = "background"
    provider: str = "cpu"
    threads: int = 0
    processes: int = 1

    def threads_each(self) -> int:
        """Threads of one process."""
        if hasattr(os, "sched_getaffinity"):
            cores = len(os.sched_getaffinity(0))
        else:  # macOS cannot tell how many of them are ours
            cores = os.cpu_count() or 1
        return self.threads or max(1, cores // self.processes)


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of a photo."""

    job: Job
    kind: str
    """"written"; "void": no label but `VOID`, nothing written; "broken": unreadable."""
    message: str = ""


class Worker:
    """Parses photos into files."""

    def __init__(self, settings: WorkSettings):
        """Loads the model.

        Raises:
          UserError: the model cannot be used, see `ClothingParser`.
        """
        threads = settings.threads_each()
        cv2.setNumThreads(threads)
        self._settings = settings
        self._parser = ClothingParser(
            settings.model, settings.parser, settings.provider, threads
        )

    def do(self, job: Job) -> Outcome:
        """Writes the label map of a photo.

        Raises:
          UserError: the model fails, or the file cannot be written.
        """
        settings = self._settings
        try:
            image = read_image(Path(settings.images) / job.name)
        except UserError as error:
            return Outcome(job, "broken", str(error))
        labels = self._parser.parse(
            image, job.people, settings.growth, settings.outside
        )
        # Readers refuse such a file, for that is how silhouettes look.
        if (labels == VOID).any() and not ((labels > 0) & (labels != VOID)).any():
            return Outcome(job, "void")
        path = Path(settings.output) / job.label_name
        make_folder(path.parent)
        write_label_map(path, labels)
        return Outcome(job, "written")


@contextlib.contextmanager
def outcomes(
    jobs: Sequence[Job], settings: WorkSettings
) -> Iterator[Iterator[Outcome]]:
    """Outcomes as they come; at the end of the block, begun photos are finished.

    Raises:
      UserError: the model cannot be used or fails, or a process died.
    """
    worker = Worker(settings)  # in any case, so that what is wrong is told at once
    if settings.processes == 1:
        yield map(worker.do, jobs)
        return
    del worker
    pool = ProcessPoolExecutor(
        settings.processes,
        multiprocessing.get_context("spawn"),
        initializer=_start,
        initargs=(settings,),
    )
    pending: collections.deque[Future[Outcome]] = collections.deque()
    try:
        yield _from_pool(pool, pending, jobs, _QUEUED * settings.processes)
    finally:
        for future in pending:
            future.cancel()
        pool.shutdown(wait=True)


def _from_pool(
    pool: ProcessPoolExecutor,
    pending: "collections.deque[Future[Outcome]]",
    jobs: Sequence[Job],
    ahead: int,
) -> Iterator[Outcome]:
    try:
        for number in range(len(jobs) + ahead):
            if number < len(jobs):
                pending.append(_submit(pool, jobs[number]))
            if number >= ahead and pending:
                yield pending.popleft().result()
    except BrokenProcessPool as error:
        raise UserError(
            "a process ended while it parsed, perhaps for lack of memory; use fewer "
            "--processes, a smaller --longest_side or --input_size"
        ) from error


def _submit(pool: ProcessPoolExecutor, job: Job) -> "Future[Outcome]":
    """Hands a job over; a process that starts now never sees Ctrl-C.

    The terminal sends it to all processes; only the first is to act on it. What is
    blocked when a process starts stays blocked in it, even while it still imports.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        return pool.submit(_do, job)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


_worker: Worker | None = None


def _start(settings: WorkSettings) -> None:
    global _worker
    _worker = Worker(settings)


def _do(job: Job) -> Outcome:
    assert _worker is not None, "the initializer runs first"
    return _worker.do(job)
