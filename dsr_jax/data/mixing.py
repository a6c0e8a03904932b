"""Several data sets in one sequence, each with its share of every stretch of it.

A period of W positions, W the smallest in which every share is a whole number of
places, repeats for ever. Inside it the places are dealt by Tijdeman's algorithm ("The
chairman assignment problem", Discrete Mathematics 32, 1980), whose counts never leave

    |count_d(n) - n · share_d| ≤ 1 - 1 / (2D - 2)     for every n, D > 1 data sets.

So any window of n positions holds n · share_d examples of data set d to within twice
that: 1 for two data sets, less than 2 for any number of them. No random draw is as
even, and no other rule has a smaller bound for all shares.
"""

import functools
import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from dsr_jax.arrays import Integer

# Longest period; shares with more digits than fit are rounded to multiples of 1 / this.
_LONGEST_PERIOD = 10_000


class Mixture:
    """Which data set a position belongs to, and its how-manieth example it is."""

    def __init__(self, shares: Sequence[float]):
        """Deals the places of one period.

        Args:
          shares: of each data set, in any unit.

        Raises:
          ValueError: no share, one that is not positive and finite, or one below half
            a place in ten thousand.
        """
        self.weights = whole_weights(shares)
        self.period = sum(self.weights)
        self._dataset = deal(tuple(self.weights))
        self._rank = np.zeros(self.period, np.int64)
        for number, weight in enumerate(self.weights):
            self._rank[self._dataset == number] = np.arange(weight)

    def locate(self, position: int) -> tuple[int, int]:
        """(data set, number of its examples before this one) at a position."""
        cycle, place = divmod(position, self.period)
        dataset = int(self._dataset[place])
        return dataset, cycle * self.weights[dataset] + int(self._rank[place])

    @property
    def bound(self) -> float:
        """How far a data set's count in a window may be from its share of it."""
        return 2.0 * float(_slack(len(self.weights)))


def whole_weights(shares: Sequence[float]) -> list[int]:
    """Whole numbers in the ratio of the shares, as small as they can be.

    Shares are taken as they are written in decimals: 0.1 is a tenth. Where the sum of
    the numbers would exceed ten thousand they are rounded to that sum.

    Raises:
      ValueError: see `Mixture`.
    """
    if not shares or not all(math.isfinite(s) and s > 0 for s in shares):
        raise ValueError(f"shares must be positive numbers, not {list(shares)}")
    exact = [Fraction(repr(float(share))) for share in shares]
    common = math.lcm(*(share.denominator for share in exact))
    weights = [int(share * common) for share in exact]
    divisor = math.gcd(*weights)
    weights = [weight // divisor for weight in weights]
    if sum(weights) > _LONGEST_PERIOD:
        weights = _rounded(weights)
    if min(weights) < 1:
        raise ValueError(
            f"a share of {min(shares)} beside {max(shares)} is too small to be dealt"
        )
    return weights


def _rounded(weights: Sequence[int]) -> list[int]:
    """Largest remainders: multiples of 1 / `_LONGEST_PERIOD`."""
    total = sum(weights)
    exact = [Fraction(weight * _LONGEST_PERIOD, total) for weight in weights]
    whole = [int(value) for value in exact]
    order = sorted(range(len(exact)), key=lambda d: whole[d] - exact[d])
    for d in order[: _LONGEST_PERIOD - sum(whole)]:
        whole[d] += 1
    return whole


@functools.lru_cache(maxsize=8)
def deal(weights: tuple[int, ...]) -> Integer[np.ndarray, "W"]:
    """The data set of each of W = Σ weights places, by Tijdeman's algorithm.

    Of the data sets that may have place n without being too far ahead, the one gets it
    that would otherwise be the first to be too far behind. All is in whole numbers.
    """
    period, slack = sum(weights), _slack(len(weights))
    # In units of a place's W-th: data set d has earned n · w_d and spent W · count_d.
    ahead = (1 - slack) * period
    balance = [0] * len(weights)
    places = np.zeros(period, np.int32)
    for place in range(period):
        balance = [b + w for b, w in zip(balance, weights, strict=True)]
        may = [d for d, b in enumerate(balance) if b >= ahead]
        chosen = min(may, key=lambda d: (slack * period - balance[d]) / weights[d])
        balance[chosen] -= period
        places[place] = chosen
    places.flags.writeable = False
    return places


def _slack(count: int) -> Fraction:
    """1 - 1 / (2D - 2); 0 of a single data set."""
    return 1 - Fraction(1, 2 * count - 2) if count > 1 else Fraction(0)
