"""A first look at all annotations: who is there twice, and how large records are.

No photo is opened but those of a few people, whose sizes decide the number of shards.
"""

import dataclasses
import hashlib
import math
from collections.abc import Callable

import numpy as np

from dsr_jax.data.label_files import STOP
from dsr_jax.data.person import PeopleSource, Person, Skipped
from dsr_jax.data.records.fields import PERSON_FIELDS
from dsr_jax.data.records.screening import BrokenPerson, Screening, read_person
from dsr_jax.errors import UserError

# People whose files are measured, evenly from the first to the last.
_MEASURED = 64
# Bytes of a record beside the photo and the label map.
_ANNOTATION_BYTES = 2000


@dataclasses.dataclass(frozen=True)
class Survey:
    """What is known before any record is written."""

    count: int
    """People to look at."""
    digest: str
    """Another one if any annotation is another."""
    twice: dict[int, Skipped]
    """By number, those who are there already."""
    mean_bytes: float
    """Of a record, about."""

    def shards(self, shard_bytes: int) -> int:
        """How many files of about that size."""
        wanted = math.ceil(self.count * self.mean_bytes / shard_bytes)
        # None is empty, however small they are to be.
        return max(1, min(wanted, self.count))

    def bounds(self, shards: int) -> list[int]:
        """Shard k holds people bounds[k] to bounds[k + 1] - 1."""
        return [self.count * k // shards for k in range(shards + 1)]


def survey_people(
    source: PeopleSource,
    screening: Screening,
    limit: int | None = None,
    check: Callable[[], None] = lambda: None,
) -> Survey:
    """Looks at the annotations of all people, or of the first `limit`.

    Raises:
      UserError: nobody is there; or somebody is there twice or is broken, and `broken`
        is "stop".
    """
    count = len(source) if limit is None else min(limit, len(source))
    if not count:
        raise UserError("the data set holds no person; check --root and --split")
    names: set[str] = set()
    annotations: set[bytes] = set()
    twice: dict[int, Skipped] = {}
    digest = hashlib.sha256()
    for index in range(count):
        check()
        try:
            person = read_person(source, index)
        except BrokenPerson:
            if screening.broken == STOP:
                raise
            digest.update(b"broken")
            continue
        own, reason = _digest(person), ""
        digest.update(person.name.encode() + own)
        if person.name in names:
            reason = "name is there twice"
        elif own in annotations:
            reason = "same person of the same photo twice"
        if reason:
            if screening.broken == STOP:
                raise BrokenPerson(person.name, reason)
            twice[index] = Skipped(person.name, reason)
        names.add(person.name)
        annotations.add(own)
    return Survey(count, digest.hexdigest(), twice, _mean_bytes(source, count))


def _digest(person: Person) -> bytes:
    """Of everything but the name; 16 bytes."""
    digest = hashlib.blake2b(digest_size=16)
    for name in PERSON_FIELDS:
        value = getattr(person, name)
        if name != "name":
            is_array = isinstance(value, np.ndarray)
            digest.update(value.tobytes() if is_array else f"{value!r};".encode())
    return digest.digest()


def _mean_bytes(source: PeopleSource, count: int) -> float:
    sizes = []
    for index in sorted({count * k // _MEASURED for k in range(_MEASURED)}):
        try:
            label_map = source.label_map(index)
            size = len(source.image(index).data)
            sizes.append(size + (len(label_map.data) if label_map else 0))
        except UserError:
            continue  # Screening says what is wrong with it.
    return _ANNOTATION_BYTES + (sum(sizes) / len(sizes) if sizes else 0)
