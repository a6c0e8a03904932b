"""Which checkpoints of a run stay on the disk."""

import math
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Retention:
    """A checkpoint that any of the three rules wants is kept."""

    latest: int = 2
    """The newest ones; one more than needed to continue, should that one be damaged."""
    best: int = 1
    """Those of the lowest scores."""
    every: int = 0
    """Those whose step is a multiple of this, for ever; 0 for none."""

    def __post_init__(self) -> None:
        if self.latest < 1:
            raise ValueError(f"latest is {self.latest}: give at least 1")
        for name in ("best", "every"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is {getattr(self, name)}: give at least 0")

    def kept(self, scores: Mapping[int, float | None]) -> set[int]:
        """The steps to keep.

        Args:
          scores: of every checkpoint by its step; None where it was not evaluated.
        """
        steps = sorted(scores)
        kept = set(steps[-self.latest :]) | set(by_score(scores)[: self.best])
        return kept | {step for step in steps if self.every and step % self.every == 0}


def by_score(scores: Mapping[int, float | None]) -> list[int]:
    """Steps from the lowest score upwards, the earlier first where scores are equal.

    Those without a score, or whose score is not a number, are left out.
    """
    known = {
        step: score
        for step, score in scores.items()
        if score is not None and math.isfinite(score)
    }
    return sorted(known, key=lambda step: (known[step], step))
