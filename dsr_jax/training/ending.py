"""Programs that end when they have said why, whatever still hangs."""

import contextlib
import os
import sys
import threading
import time
from collections.abc import Iterator

from dsr_jax.hosts.verdict import kill_workers

ENDING_SECONDS = 20.0


@contextlib.contextmanager
def ends_within(seconds: float = ENDING_SECONDS) -> Iterator[None]:
    """At its end, gives the process so long to end by itself.

    Python waits for threads and processes that it started, and so without end for one
    that reads from a disk that does not answer. For the whole of a script: its process
    ends, with the code that it was about to end with.
    """
    code = 1
    try:
        yield
        code = 0
    except SystemExit as end:
        given = end.code
        code = given if isinstance(given, int) else int(given is not None)
        raise
    finally:
        threading.Thread(target=_end, args=(seconds, code), daemon=True).start()


def _end(seconds: float, code: int) -> None:
    time.sleep(seconds)
    kill_workers()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    os._exit(code)
