"""Every stretch of the mixture holds every data set in its share."""

import itertools
from fractions import Fraction

import numpy as np
import pytest

from dsr_jax.data import Mixture
from dsr_jax.data.mixing import whole_weights

# The released code's mixtures, a rare data set, and many of them.
SHARES = [
    (1.0,),
    (0.5, 0.3, 0.2),
    (0.3, 0.4, 0.1, 0.2),
    (1.0, 1.0, 1.0),
    (0.9, 0.1),
    (0.999, 0.0007, 0.0003),
    (0.11, 0.13, 0.17, 0.19, 0.23, 0.07, 0.1),
]


def _datasets(mixture, count, start=0):
    places = range(start, start + count)
    return np.array([mixture.locate(position)[0] for position in places])


@pytest.mark.parametrize("shares", SHARES)
def test_the_ratio_of_ten_thousand_draws(shares):
    counts = np.bincount(_datasets(Mixture(shares), 10_000), minlength=len(shares))
    exact = 10_000 * np.array(shares) / sum(shares)
    # Far within 1 % of the draws: within one example.
    assert np.abs(counts - exact).max() <= 1


@pytest.mark.parametrize("shares", SHARES)
def test_no_window_is_farther_from_its_shares_than_the_bound(shares):
    """Every window up to 400 positions, from anywhere in the first 3000."""
    mixture = Mixture(shares)
    names = _datasets(mixture, 3400)
    assert mixture.bound <= 2 and (len(shares) != 2 or mixture.bound == 1)
    for number, share in enumerate(shares):
        excess = np.cumsum(names == number) - np.arange(1, 3401) * share / sum(shares)
        excess = np.append(0.0, excess)
        prefix = np.abs(excess).max()
        assert prefix <= mixture.bound / 2 + 1e-9
        windows = [np.abs(excess[n:3000] - excess[: 3000 - n]) for n in range(1, 401)]
        assert max(window.max() for window in windows) <= mixture.bound + 1e-9


def test_random_shares_keep_the_bound():
    generator = np.random.default_rng(0)
    for count in (2, 3, 5, 9):
        shares = generator.uniform(0.02, 1, count).round(2).tolist()
        mixture = Mixture(shares)
        names = _datasets(mixture, 2000, start=7 * mixture.period - 1000)
        for number, share in enumerate(mixture.weights):
            rate = Fraction(share, mixture.period)
            for start, stop in generator.integers(0, 2000, (200, 2)):
                inside = int(
                    (names[min(start, stop) : max(start, stop)] == number).sum()
                )
                assert abs(inside - abs(int(stop - start)) * rate) <= mixture.bound


def test_every_data_set_is_drawn_from_without_gaps():
    mixture = Mixture((0.5, 0.3, 0.2))
    seen = [itertools.count() for _ in range(3)]
    for position in range(500):
        dataset, number = mixture.locate(position)
        assert number == next(seen[dataset])
    # Far positions cost no more than near ones, and agree with the pattern.
    dataset, number = mixture.locate(10**15 + 3)
    assert (dataset, number % 1) == (mixture.locate(3)[0], 0)
    assert number == mixture.locate(3)[1] + 10**14 * mixture.weights[dataset]


@pytest.mark.parametrize(
    ("shares", "expected"),
    [
        ((0.5, 0.3, 0.2), [5, 3, 2]),
        ((0.1, 0.7, 0.5), [1, 7, 5]),
        ((2.0, 6.0), [1, 3]),
        ((0.123456789, 0.876543211), [1235, 8765]),
    ],
)
def test_shares_are_taken_as_they_are_written(shares, expected):
    assert whole_weights(shares) == expected


@pytest.mark.parametrize(
    ("shares", "words"),
    [
        ((), "positive"),
        ((1.0, 0.0), "positive"),
        ((1.0, float("nan")), "positive"),
        ((1.0, 1e-6), "too small"),
    ],
)
def test_impossible_shares_are_refused(shares, words):
    with pytest.raises(ValueError, match=words):
        Mixture(shares)
