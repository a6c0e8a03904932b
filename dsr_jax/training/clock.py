"""Where the time of a run goes: every second belongs to exactly one part."""

import contextlib
import time
from collections.abc import Callable, Iterator

import jax

from dsr_jax.hosts import moved

INPUT, STEP, CHECKPOINT = "input", "step", "checkpoint"
EVALUATION, PICTURES, OTHER = "evaluation", "pictures", "other"
# What training itself is; these are in every record, the others where they took place.
_TRAINING = (INPUT, STEP, OTHER)


class Clock:
    """Splits the wall time since the last record into parts.

    A part inside another one is taken out of it, so that the parts add up to the wall
    time; what no part covers is `OTHER`. Steps are dispatched ahead of the devices: the
    time in which the loop waits for them belongs to `STEP` only if the wait is inside
    that part. Each part is also a name on the host's line of a profile.

    Args:
      timer: seconds, from any origin.
    """

    def __init__(self, timer: Callable[[], float] = time.perf_counter):
        self._timer = timer
        self._since = timer()
        self._parts = [OTHER]
        self._seconds: dict[str, float] = {}

    @contextlib.contextmanager
    def part(self, name: str) -> Iterator[None]:
        """The time inside belongs to `name`."""
        self._charge()
        self._parts.append(name)
        try:
            with jax.profiler.TraceAnnotation(name):
                yield
        finally:
            self._charge()
            self._parts.pop()

    def record(self, images: int) -> dict[str, float]:
        """The split since the last record, or since the clock was made; starts anew.

        Args:
          images: how many were trained on in that time, on all hosts.

        Returns:
          `seconds/<part>`, which add up to the wall time; `images_per_second`, without
          checkpoints, evaluations, pictures; `images_per_second_overall`, with them.
        """
        self._charge()
        seconds = {name: self._seconds.get(name, 0.0) for name in _TRAINING}
        training = sum(seconds.values())
        seconds |= self._seconds
        self._seconds = {}
        return {
            "images_per_second": _rate(images, training),
            "images_per_second_overall": _rate(images, sum(seconds.values())),
            **{f"seconds/{name}": value for name, value in seconds.items()},
        }

    def _charge(self) -> None:
        moved()
        now = self._timer()
        name = self._parts[-1]
        self._seconds[name] = self._seconds.get(name, 0.0) + now - self._since
        self._since = now


def _rate(images: int, seconds: float) -> float:
    return images / seconds if seconds > 0 else 0.0
