"""What differs between two runs of one config that should be the same."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np

from dsr_jax.training.checkpoint import CHECKPOINTS
from dsr_jax.training.checkpoint.arrays import read_item
from dsr_jax.training.checkpoint.record import check_files, read_record
from dsr_jax.training.metrics import METRICS_FILE, read_metrics

# What the log says of the machine, not of the training.
_OF_THE_MACHINE = ("seconds/", "memory/", "compile/", "images_per_second")


def differences(first: Path, second: Path, steps: int) -> list[str]:
    """What is not the same, bit for bit, in two runs of `steps` steps; [] if all is.

    The last state: weights, statistics, optimizer, random keys. The log: every step
    once, and all that it says of each step's examples: another person in a step would
    change its losses. And nothing unfinished lies in the second run's folder.
    """
    return [
        *_of_states(first, second, steps),
        *_of_logs(first, second, steps),
        *_leftovers(second),
    ]


def _of_states(first: Path, second: Path, steps: int) -> Iterator[str]:
    places = [folder / CHECKPOINTS / str(steps) for folder in (first, second)]
    old, new = (_arrays(place) for place in places)
    for name in sorted(old.keys() | new.keys()):
        if name not in old or name not in new:
            yield f"{name} is in one state only"
        elif not _same_bits(old[name], new[name]):
            yield f"{name} differs"


def _arrays(place: Path) -> dict[str, np.ndarray]:
    record = read_record(place)
    check_files(place, record, record.leaves)
    sharding = jax.sharding.SingleDeviceSharding(jax.devices("cpu")[0])
    arrays = {}
    for item, leaves in record.leaves.items():
        abstract = {
            path: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding)
            for path, leaf in leaves.items()
        }
        for path, array in read_item(place / item, abstract).items():
            arrays[f"{item}/{path}"] = np.asarray(array)
    return arrays


def _same_bits(first: np.ndarray, second: np.ndarray) -> bool:
    return (first.shape, first.dtype, first.tobytes()) == (
        second.shape,
        second.dtype,
        second.tobytes(),
    )


def _of_logs(first: Path, second: Path, steps: int) -> Iterator[str]:
    old, new = (read_metrics(folder / METRICS_FILE) for folder in (first, second))
    for name, records in (("first", old), ("second", new)):
        if [record["step"] for record in records] != [*range(1, steps + 1)]:
            yield f"the {name} run's log has not every step once"
    for one, other in zip(old, new, strict=False):
        one, other = _of_training(one), _of_training(other)
        names = [n for n in one.keys() | other.keys() if one.get(n) != other.get(n)]
        if names:
            yield f"step {one['step']}: {', '.join(sorted(names))} differ in the log"


def _of_training(record: dict[str, Any]) -> dict[str, Any]:
    return {n: v for n, v in record.items() if not n.startswith(_OF_THE_MACHINE)}


def _leftovers(folder: Path) -> Iterator[str]:
    for path in sorted((folder / CHECKPOINTS).iterdir()):
        if not path.name.isdecimal():
            yield f"{path} is left over"
