"""Which people of a data set a protocol measures, found before any photo is read."""

import collections
import dataclasses
from typing import Protocol as Interface
from typing import runtime_checkable

import numpy as np

from dsr_jax.arrays import Int
from dsr_jax.data import Person
from dsr_jax.data.loader import Dataset
from dsr_jax.errors import UserError
from dsr_jax.evaluation.protocol import Protocol


@runtime_checkable
class AnnotatedDataset(Dataset, Interface):
    """Examples, and who is in them."""

    def person(self, index: int) -> Person:
        """Who is in example `index`; no photo is read."""


@dataclasses.dataclass(frozen=True)
class MeasuredPeople:
    """The people that a protocol keeps, N of them, in the data set's order."""

    index: Int[np.ndarray, "N"]
    """Numbers in the data set, ascending."""
    name: np.ndarray
    sequence: np.ndarray
    action: np.ndarray
    gender: np.ndarray
    left_out: dict[str, int]
    """How many were left out, by reason."""
    unchecked: dict[str, int]
    """How many of the N the data set says too little about, by what is missing."""

    def __len__(self) -> int:
        return len(self.index)

    def rows(self, rows: np.ndarray) -> "MeasuredPeople":
        """Some of them; the counts stay those of all."""
        columns = ("index", "name", "sequence", "action", "gender")
        chosen = {column: getattr(self, column)[rows] for column in columns}
        return dataclasses.replace(self, **chosen)


def measured_people(dataset: AnnotatedDataset, protocol: Protocol) -> MeasuredPeople:
    """Asks every person of the data set.

    Raises:
      UserError: the protocol keeps nobody.
    """
    # Names only: a data set may have hundreds of thousands of people.
    kept: list[tuple[int, str, str, str, str]] = []
    left_out: collections.Counter[str] = collections.Counter()
    unchecked: collections.Counter[str] = collections.Counter()
    for index in range(len(dataset)):
        person = dataset.person(index)
        if reason := protocol.why_not(person):
            left_out[reason] += 1
        else:
            kept.append(
                (index, person.name, person.sequence, person.action, person.gender)
            )
            unchecked.update(protocol.chosen.unchecked(person))
    if not kept:
        reasons = ", ".join(f"{n} {reason}" for reason, n in left_out.most_common())
        raise UserError(
            f"protocol '{protocol.name}': keeps nobody of the data set ({reasons}); "
            "give the data set that it is made for"
        )
    numbers, names, sequences, actions, genders = zip(*kept, strict=True)
    return MeasuredPeople(
        index=np.array(numbers, np.int64),
        name=np.array(names),
        sequence=np.array(sequences),
        action=np.array(actions),
        gender=np.array(genders),
        left_out=dict(left_out),
        unchecked=dict(unchecked),
    )
