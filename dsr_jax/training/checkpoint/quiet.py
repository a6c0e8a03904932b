"""Keeps Orbax's chatter off the user's terminal, and nobody else's."""

import logging
import sys
from typing import Any


def quiet_orbax() -> None:
    """Drops its progress notes, and what its abandoned tasks say after a failure.

    One array that cannot be written ends the event loop under all others, whose ends
    then complain by themselves, from threads of tensorstore; the failure itself is
    raised where it is waited for.
    """
    for name in ("absl", "asyncio"):
        logging.getLogger(name).addFilter(_is_no_chatter)
    if not isinstance(sys.unraisablehook, _WithoutClosedLoops):
        sys.unraisablehook = _WithoutClosedLoops(sys.unraisablehook)


def _is_no_chatter(record: logging.LogRecord) -> bool:
    if record.name == "asyncio":
        return "never retrieved" not in record.getMessage()
    return "/orbax/" not in record.pathname.replace("\\", "/")


class _WithoutClosedLoops:
    """Passes on every error that nobody could raise, but for those of closed loops."""

    def __init__(self, hook: Any):
        self._hook = hook

    def __call__(self, unraisable: Any) -> None:
        if str(unraisable.exc_value) != "Event loop is closed":
            self._hook(unraisable)
