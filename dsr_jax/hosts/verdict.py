"""The end of this process: one line, said once, whoever finds out first."""

import multiprocessing
import os
import sys
import threading
import traceback
from typing import NoReturn

_FLUSH_SECONDS = 1.0

_speaking = threading.Lock()


def take_floor() -> None:
    """Only the first thread that wants to end the process gets past this."""
    if not _speaking.acquire(blocking=False):
        # Another thread ends the process within seconds.
        threading.Event().wait()


def end_process(line: str, code: int, error: BaseException | None = None) -> NoReturn:
    """Ends the process at once, wherever its other threads are.

    A thread that waits inside a collective operation for a peer that is gone cannot be
    interrupted, and what runs at a normal exit would wait for that peer, too.

    Args:
      line: said on standard error; after `take_floor`.
      code: of the exit.
      error: a defect, whose traceback is shown in the line's place.
    """
    # A full pipe that nobody reads must not hold up the end.
    flush = threading.Thread(target=_say, args=(line, error), daemon=True)
    flush.start()
    flush.join(_FLUSH_SECONDS)
    kill_workers()
    os._exit(code)


def kill_workers() -> None:
    """Kills the processes that this one has started: a halted one would stay behind."""
    for process in multiprocessing.active_children():
        process.kill()
        process.join(_FLUSH_SECONDS)


def _say(line: str, error: BaseException | None) -> None:
    bars = getattr(sys.modules.get("tqdm"), "tqdm", None)
    start = "\n" if getattr(bars, "_instances", None) else ""
    if error is None:
        text = f"{start}error: {' '.join(line.split())}\n"
    else:
        text = start + "".join(traceback.format_exception(error))
    os.write(2, text.encode())
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
