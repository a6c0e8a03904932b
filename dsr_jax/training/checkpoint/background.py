"""One piece of work at a time behind the caller's back."""

import concurrent.futures
import threading
from collections.abc import Callable
from concurrent.futures import Future

from dsr_jax.errors import EnvironmentFault

# A disk that neither takes nor refuses a checkpoint for so long does not answer.
WAIT_SECONDS = 600.0


class Background:
    """Runs work in a thread; what it raised is raised where it is asked for."""

    def __init__(self) -> None:
        self._running: Future[None] | None = None

    def start(self, work: Callable[[], None]) -> None:
        """Begins `work`; the previous one must have been waited for."""
        assert self._running is None
        future: Future[None] = Future()
        self._running = future
        # A daemon: the exit of a failed program is not held up by a slow disk. What is
        # half written then is never taken for a checkpoint.
        threading.Thread(target=_run, args=(work, future), daemon=True).start()

    def check(self) -> None:
        """Raises what finished work raised, once; does not wait."""
        if self._running is not None and self._running.done():
            self.wait()

    def wait(self, what: str = "work", seconds: float = WAIT_SECONDS) -> None:
        """Waits for the work and raises what it raised, once.

        Args:
          what: the subject of the error line.
          seconds: after which it is given up.

        Raises:
          EnvironmentFault: it has not ended in time; it is left behind.
        """
        running, self._running = self._running, None
        if running is None:
            return
        # Its result alone: the work may have raised a TimeoutError of its own.
        concurrent.futures.wait([running], seconds)
        if not running.done():
            raise EnvironmentFault(
                f"{what} has not ended after {seconds:g} s: the disk does not answer; "
                "look after it, and run the same command again to continue from the "
                "last checkpoint"
            )
        running.result()


def _run(work: Callable[[], None], future: Future[None]) -> None:
    try:
        work()
        future.set_result(None)
    except BaseException as error:
        future.set_exception(error)
