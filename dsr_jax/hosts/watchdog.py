"""Ends a program in which nothing has moved for too long, and says where it stands.

A disk that does not answer, or a collective operation whose partner waits for such a
disk, holds the main thread where no exception reaches it. Whatever makes progress calls
`moved`; a thread watches that somebody does.
"""

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

STUCK_SECONDS = 3600.0
_LOOKS = 60
_PACKAGE = Path(__file__).parents[1]

_last = time.monotonic()


def moved() -> None:
    """Notes that the program has got on; costs nothing."""
    global _last
    _last = time.monotonic()


@contextlib.contextmanager
def watched(seconds: float, end: Callable[[str], object]) -> Iterator[None]:
    """Inside, `end` is called with a line if nothing moves for so long.

    Args:
      seconds: without a call of `moved`.
      end: ends the program; called in another thread.
    """
    moved()
    main, over = threading.get_ident(), threading.Event()
    watch = threading.Thread(
        target=_watch, args=(seconds, main, over, end), daemon=True
    )
    watch.start()
    try:
        yield
    finally:
        over.set()


def _watch(
    seconds: float, main: int, over: threading.Event, end: Callable[[str], object]
) -> None:
    interval, still, seen = seconds / _LOOKS, 0.0, _last
    while not over.wait(interval):
        # In looks, not by the clock: a program that was halted has not been stuck.
        still = still + interval if _last == seen else 0.0
        seen = _last
        if still >= seconds:
            end(
                f"nothing has moved for {seconds:g} s: {_place(main)}; a disk or "
                "machine does not answer, if the work is not that long: look after "
                "it, and run the same command again"
            )
            return


def _place(thread: int) -> str:
    """Where a thread stands: its innermost call, and that of this package before it."""
    frame = sys._current_frames().get(thread)
    if frame is None:
        return "the main thread has ended"
    inner = frame.f_code.co_name
    while frame is not None:
        file = Path(frame.f_code.co_filename)
        if _PACKAGE in file.parents:
            place = f"{file.relative_to(_PACKAGE.parent)}:{frame.f_lineno}"
            return f"the program is in {inner}, called at {place}"
        frame = frame.f_back
    return f"the program is in {inner}"
