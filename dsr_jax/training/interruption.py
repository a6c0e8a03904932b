"""Ctrl-C and SIGTERM: finish the step, save, and leave with the signal's exit code."""

import signal
import types
from collections.abc import Callable
from typing import Any

from dsr_jax.errors import Interrupted

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopRequest:
    """While active, remembers the first signal; a second one acts at once.

    Python runs a handler between two of its own instructions, so that a compiled step
    always finishes first.
    """

    def __init__(self) -> None:
        self._received: int | None = None
        self._previous: dict[int, Callable[..., Any] | int | None] = {}

    def __enter__(self) -> "StopRequest":
        for number in SIGNALS:
            self._previous[number] = signal.signal(number, self._remember)
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    @property
    def requested(self) -> bool:
        """Whether a signal has arrived."""
        return self._received is not None

    def check(self) -> None:
        """Raises `Interrupted` if a signal has arrived."""
        if self._received is not None:
            raise Interrupted(self._received)

    def follow(self) -> None:
        """Raises `Interrupted` because a process of the job was asked to stop.

        In the others no signal has arrived: they end as if by SIGTERM.
        """
        self.check()
        raise Interrupted(signal.SIGTERM)

    def _remember(self, number: int, frame: types.FrameType | None) -> None:
        if self._received is not None:
            raise Interrupted(number)
        self._received = number
