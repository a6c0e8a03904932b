"""Progress bars: lively on a terminal, a line now and then in a log file."""

import sys

from tqdm import tqdm

from dsr_jax.hosts import is_first_host, moved

_SECONDS_BETWEEN_LINES = 10


class _Bar(tqdm):
    """Tells the watchdog, too."""

    def update(self, n: float | None = 1) -> bool | None:
        moved()
        return super().update(n)


def progress_bar(total: int, what: str, unit: str, initial: int = 0) -> tqdm:
    """A bar on standard error with counts, speed and the time that is left.

    Of the processes of a job, the first one shows it.
    """
    interactive = sys.stderr.isatty()
    return _Bar(
        total=total,
        initial=initial,
        desc=what,
        unit=unit,
        mininterval=0.2 if interactive else _SECONDS_BETWEEN_LINES,
        maxinterval=10 if interactive else 10 * _SECONDS_BETWEEN_LINES,
        dynamic_ncols=interactive,
        disable=not is_first_host(),
    )
