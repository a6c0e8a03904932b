"""Which example stands at each position of the endless training stream.

Position p belongs to the data set, and to its n-th draw, that `Mixture` says. Draw n of
a data set of N examples is entry n mod N of the permutation of epoch ⌊n / N⌋. Batch k
holds positions k·B … k·B + B - 1, and host h of H the h-th part of them. All of it is a
function of the seed and the position: hosts, workers and devices have no say.
"""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dsr_jax.arrays import Integer
from dsr_jax.data.mixing import Mixture
from dsr_jax.errors import UserError

# What a generator is for: seeds of different use must not meet.
_ORDER, _AUGMENTATION = 1, 2


@dataclasses.dataclass(frozen=True)
class DataSetShare:
    """A data set as far as it decides the stream."""

    name: str
    length: int
    share: float


@dataclasses.dataclass(frozen=True)
class Draw:
    """What stands at a position."""

    dataset: int
    index: int
    """Of the example in its data set."""
    epoch: int
    """How often the data set had been used up before."""
    seed: int

    def generator(self) -> np.random.Generator:
        """Of the augmentation: its own for every example and epoch."""
        key = (_AUGMENTATION, self.seed, self.dataset, self.epoch, self.index)
        return np.random.default_rng(key)


class ExampleOrder:
    """Position → `Draw`, at the same cost wherever the position is."""

    def __init__(self, datasets: Sequence[DataSetShare], seed: int):
        """Mixes the data sets.

        Raises:
          ValueError: shares that cannot be mixed, see `Mixture`, an empty data set, or
            a negative seed.
        """
        for dataset in datasets:
            if dataset.length < 1:
                raise ValueError(f"data set '{dataset.name}' is empty")
        if seed < 0:
            raise ValueError(f"the seed is {seed}: give 0 or more")
        self.datasets = tuple(datasets)
        self.seed = seed
        self.mixture = Mixture([dataset.share for dataset in datasets])

    def draw(self, position: int) -> Draw:
        """What stands at a position, counted from 0."""
        number, count = self.mixture.locate(position)
        epoch, place = divmod(count, self.datasets[number].length)
        order = _permutation(self.datasets[number].length, self.seed, number, epoch)
        return Draw(number, int(order[place]), epoch, self.seed)

    def state(self, position: int) -> dict[str, Any]:
        """What a stream must know to go on at `position`; plain values for JSON."""
        return {
            "position": position,
            "seed": self.seed,
            "datasets": [dataclasses.asdict(dataset) for dataset in self.datasets],
        }

    def position_of(self, state: dict[str, Any]) -> int:
        """The position of a `state` of the same stream.

        Raises:
          UserError: it is of another stream: the first thing that differs.
        """
        if state.get("seed") != self.seed:
            raise UserError(
                f"state of the data: its seed is {state.get('seed')}, here it is "
                f"{self.seed}; use the old one"
            )
        check_same_data(state.get("datasets", []), self.state(0)["datasets"])
        return int(state["position"])


def check_same_data(
    before: Sequence[Mapping[str, Any]], now: Sequence[Mapping[str, Any]]
) -> None:
    """Refuses to continue a stream with other data sets than it began with.

    Args:
      before: `state()["datasets"]` of then.
      now: of now.

    Raises:
      UserError: the first data set that differs, and how.
    """
    if len(before) != len(now):
        raise UserError(
            f"{len(now)} data set(s) where the run began with {len(before)}: give the "
            "same ones, or start a new run"
        )
    for old, new in zip(before, now, strict=True):
        for key in ("name", "length", "share"):
            if old.get(key) != new[key]:
                raise UserError(
                    f"data set '{new['name']}': its {key} is {new[key]!r}, and was "
                    f"{old.get(key)!r} when the run began; give the same data, or "
                    "start a new run"
                )


# 1.2 MB for 300 000 examples; two epochs of many data sets are in use at once.
@functools.lru_cache(maxsize=32)
def _permutation(
    length: int, seed: int, dataset: int, epoch: int
) -> Integer[np.ndarray, "N"]:
    key = (_ORDER, seed, dataset, epoch)
    order = np.random.default_rng(key).permutation(length).astype(np.uint32)
    order.flags.writeable = False
    return order
