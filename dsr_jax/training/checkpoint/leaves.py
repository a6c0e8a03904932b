"""What is recorded of every array of a checkpoint, and compared when it is restored."""

from collections.abc import Mapping
from dataclasses import dataclass

import jax

from dsr_jax.hosts.agreement import Agreement
from dsr_jax.training.checkpoint.fingerprint import (
    fingerprint_text,
    own_sum,
    total_sums,
)
from dsr_jax.training.checkpoint.items import Item

Leaves = dict[str, dict[str, "Leaf"]]
"""Item → path → array."""


@dataclass(frozen=True)
class Leaf:
    """An array as it was saved."""

    shape: list[int]
    dtype: str
    fingerprint: str


def leaves_of(items: Mapping[str, Item], agreement: Agreement) -> Leaves:
    """Shape, type and fingerprint of arrays, of which each process has its parts."""
    arrays = {
        f"{name}:{path}": array
        for name, item in items.items()
        for path, array in item.items()
    }
    parts = agreement.values_of_all(
        lambda: {name: own_sum(array) for name, array in arrays.items()}
    )
    totals = total_sums(arrays, parts, jax.process_index())
    return {
        name: {
            path: Leaf(
                list(array.shape),
                str(array.dtype),
                fingerprint_text(totals[f"{name}:{path}"]),
            )
            for path, array in item.items()
        }
        for name, item in items.items()
    }
