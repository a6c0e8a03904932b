"""Steps that the devices have been given, and what the host has read of them so far.

The host reads every step's signals a few steps late, so that the devices always have
work, and always equally late: all hosts learn of a fault, and of a wish to stop, after
the same step, without a word to each other.
"""

import collections
from typing import NamedTuple

import jax
import numpy as np

from dsr_jax.data import Batch
from dsr_jax.training.fault import BadStep
from dsr_jax.training.step import FAULT, SIGNALS, STOP, Metrics

# Steps that run ahead of what the host has read: enough to keep an accelerator busy.
AHEAD = 2


class _Step(NamedTuple):
    number: int
    batch: Batch
    metrics: Metrics


class InFlight:
    """The steps since the last record."""

    def __init__(self) -> None:
        self._unread: collections.deque[_Step] = collections.deque()
        self._read: list[dict[str, float]] = []
        self.bad: BadStep | None = None
        """The first step that was not finite."""
        self.stop = False
        """Whether some host was asked to stop."""

    def __len__(self) -> int:
        return len(self._unread) + len(self._read)

    def add(self, number: int, batch: Batch, metrics: Metrics) -> None:
        """A step that was just given to the devices."""
        self._unread.append(_Step(number, batch, metrics))

    def settle(self, ahead: int = AHEAD) -> bool:
        """Waits for all but the last `ahead` steps; whether the run can go on."""
        while len(self._unread) > ahead:
            step = self._unread.popleft()
            # Explicitly: nothing else may come from the devices while steps are run.
            row = {k: float(v) for k, v in jax.device_get(step.metrics).items()}
            self.stop |= row[STOP] > 0
            if row[FAULT] and self.bad is None:
                self.bad = BadStep(step.number, step.batch, row)
            self._read.append(row)
        return self.bad is None and not self.stop

    def means(self) -> dict[str, float]:
        """Means over the steps since the last call; a term only where it was valid."""
        self.settle(0)
        rows, self._read = self._read, []
        record = {}
        for name in rows[0].keys() - set(SIGNALS):
            kept = [row[name] for row in rows if row.get(_validity_of(name), 1) > 0]
            if kept:
                record[name] = float(np.mean(kept))
        return {name: record[name] for name in rows[0] if name in record}


def _validity_of(name: str) -> str:
    kind, _, term = name.partition("/")
    return f"valid/{term}" if kind in ("term", "weighted") else ""
