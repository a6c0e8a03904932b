"""`build_train.json`: how a split was built, its shards and their checksums.

While a split is being built it tells which shards are done; afterwards, which bytes
they must have. `skipped_train.csv` beside it names what was left out, and why.
"""

import csv
import dataclasses
import io
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

from dsr_jax.data.person import Skipped
from dsr_jax.data.records.fields import VERSION
from dsr_jax.errors import UserError
from dsr_jax.files import read_bytes, write_bytes

DATASET = "dsr_people"
SPLIT_NAME = r"[A-Za-z0-9_]+"
_HIGHEST = 1 << 62


@dataclasses.dataclass(frozen=True)
class Shard:
    """A finished file of records."""

    records: int
    bytes: int
    sha256: str
    skipped: tuple[Skipped, ...]
    """Of the people who would be in it."""


@dataclasses.dataclass
class Journal:
    """Of one split."""

    split: str
    made_by: dict[str, Any]
    """Whatever decides the bytes; the number of processes does not."""
    source_skipped: tuple[Skipped, ...] = ()
    """What the reader of the data set had left out."""
    shards: dict[int, Shard] = dataclasses.field(default_factory=dict)

    @property
    def count(self) -> int:
        """Shards in all."""
        return int(self.made_by["shards"])

    @property
    def complete(self) -> bool:
        """Whether all shards are done."""
        return len(self.shards) == self.count

    @property
    def records(self) -> int:
        """In the shards that are done."""
        return sum(shard.records for shard in self.shards.values())

    @property
    def skipped(self) -> tuple[Skipped, ...]:
        """Everything that was left out, in the order of the data set."""
        shards = (self.shards[number].skipped for number in sorted(self.shards))
        return self.source_skipped + tuple(one for many in shards for one in many)

    def shard_name(self, number: int) -> str:
        """Of a file of records."""
        return f"{shard_prefix(self.split)}{number:05d}-of-{self.count:05d}"

    def reasons(self) -> list[tuple[str, int]]:
        """How much was left out for each reason, the most frequent first.

        Numbers that stand alone differ from case to case and are told as N.
        """
        words = (re.sub(r"(?<!\S)\d[\d.]*\b", "N", s.reason) for s in self.skipped)
        return Counter(words).most_common()


def shard_prefix(split: str) -> str:
    """How the names of a split's shards begin, as `tensorflow_datasets` has it."""
    return f"{DATASET}-{split}.array_record-"


def journal_path(folder: Path, split: str) -> Path:
    """Where the journal of a split is."""
    return folder / f"build_{split}.json"


def skipped_path(folder: Path, split: str) -> Path:
    """Where the list of what was left out is."""
    return folder / f"skipped_{split}.csv"


def splits_with_journal(folder: Path) -> list[str]:
    """The splits that were built, or begun."""
    names = (path.stem for path in folder.glob("build_*.json"))
    return sorted(name.removeprefix("build_") for name in names)


def read_journal(folder: Path, split: str) -> Journal:
    """Reads the journal of a split.

    Raises:
      UserError: it is missing, damaged or of another version.
    """
    path = journal_path(folder, split)
    content = read_bytes(path, "build journal")
    try:
        stored = json.loads(content)
        version, made_by = stored["version"], stored["made_by"]
        if not isinstance(version, str) or not isinstance(made_by["kind"], str):
            raise ValueError("a text is none")
        _whole(made_by["shards"], 1)
        journal = Journal(split, made_by, _skipped(stored["skipped"]))
        for number, shard in stored["shards"].items():
            journal.shards[_number(number, journal.count)] = _shard(shard)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(f"{path}: damaged; build the records anew") from error
    if version.split(".")[0] != VERSION.split(".")[0]:
        raise UserError(
            f"{path}: tells of records of version {version}, this program reads "
            f"{VERSION}; build them anew with tools/build_records.py"
        )
    return journal


def write_journal(folder: Path, journal: Journal) -> None:
    """Writes the journal of a split; it appears whole.

    Raises:
      UserError: the folder cannot be written to.
    """
    shards = {}
    for number in sorted(journal.shards):
        shard = journal.shards[number]
        stored = {"file": journal.shard_name(number), **dataclasses.asdict(shard)}
        shards[str(number)] = stored | {"skipped": _pairs(shard.skipped)}
    content = {
        "version": VERSION,
        "made_by": journal.made_by,
        "complete": journal.complete,
        "skipped": _pairs(journal.source_skipped),
        "shards": shards,
    }
    text = json.dumps(content, indent=1, ensure_ascii=False)
    write_bytes(journal_path(folder, journal.split), _encoded(f"{text}\n"))


def write_skipped(folder: Path, journal: Journal) -> None:
    """Writes what was left out and why, a line each.

    Raises:
      UserError: the folder cannot be written to.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["what", "reason"])
    writer.writerows(_pairs(journal.skipped))
    write_bytes(skipped_path(folder, journal.split), _encoded(buffer.getvalue()))


def _encoded(text: str) -> bytes:
    r"""UTF-8; half a character, which files' names may hold, as \udcff of JSON."""
    return text.encode(errors="backslashreplace")


def _pairs(skipped: tuple[Skipped, ...]) -> list[list[str]]:
    return [[one.what, one.reason] for one in skipped]


def _skipped(pairs: list[list[str]]) -> tuple[Skipped, ...]:
    if not all(isinstance(text, str) for pair in pairs for text in pair):
        raise ValueError("a reason is no text")
    return tuple(Skipped(what, reason) for what, reason in pairs)


def _shard(stored: dict[str, Any]) -> Shard:
    sha256 = stored["sha256"]
    if not re.fullmatch(r"[0-9a-f]{64}", sha256):
        raise ValueError("a checksum is none")
    return Shard(
        _whole(stored["records"], 0),
        _whole(stored["bytes"], 0),
        sha256,
        _skipped(stored["skipped"]),
    )


def _whole(value: Any, least: int) -> int:
    if type(value) is not int or not least <= value <= _HIGHEST:
        raise ValueError(f"{value!r} is no number of something")
    return value


def _number(text: str, count: int) -> int:
    """Of a shard; one spelling alone, so that none is there twice."""
    number = int(text)
    if str(number) != text or not 0 <= number < count:
        raise ValueError(f"no shard has number {text}")
    return number
