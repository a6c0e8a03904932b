"""The record of a checkpoint: what is in it, and how to tell whether it still is.

`record.json` is `{"sha256": …, "record": …}`, the SHA-256 that of the record itself. It
lists every file with size and SHA-256, so that a damaged file is found before anything
tries to understand it, and every array with shape, type and fingerprint, taken when
it was saved and compared when it is restored.
"""

import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dsr_jax.training.checkpoint.damage import Damaged
from dsr_jax.training.checkpoint.leaves import Leaf, Leaves

RECORD_FILE = "record.json"
_VERSION = 2  # 1: folders of Orbax's CheckpointManager, without a record


@dataclass(frozen=True)
class FileDigest:
    """A file as it was written."""

    size: int
    sha256: str


@dataclass(frozen=True)
class Record:
    """Everything about a checkpoint but its arrays."""

    step: int
    """Finished steps of the run."""
    score: float | None
    """1.5·PA-MPJPE + MPJPE of this state, if it was evaluated."""
    best_step: int | None
    """The step of the lowest score so far, this one's among them."""
    best_score: float | None
    """That score."""
    data: dict[str, Any]
    """State of the data stream, the same for every host."""
    processes: int
    """How many processes wrote it."""
    devices: int
    """How many devices they had."""
    leaves: Leaves
    """Item → path → array."""
    files: dict[str, FileDigest]
    """Path in the checkpoint's folder → file."""


def digest_files(folder: Path) -> dict[str, FileDigest]:
    """Every file below `folder`; thereafter all are on the disk, not just in memory."""
    digests = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            os.fsync(file.fileno())
        name = path.relative_to(folder).as_posix()
        digests[name] = FileDigest(path.stat().st_size, digest)
    return digests


def check_files(folder: Path, record: Record, items: Iterable[str]) -> None:
    """Compares the files of some items with the record.

    Raises:
      Damaged: a file is missing, cut or changed.
    """
    wanted = tuple(f"{item}/" for item in items)
    for name, expected in record.files.items():
        if not name.startswith(wanted):
            continue
        try:
            size = (folder / name).stat().st_size
            if size != expected.size:
                raise Damaged(f"{name} has {size} bytes where {expected.size} were")
            with (folder / name).open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise Damaged(f"{name} cannot be read: {error.strerror}") from error
        if digest != expected.sha256:
            raise Damaged(f"{name} has another SHA-256 than when it was written")


def write_record(folder: Path, record: Record) -> None:
    """Writes `record.json`; it is on the disk when this returns.

    Raises:
      OSError: the disk is full, or the folder cannot be written.
    """
    content = {"version": _VERSION, **asdict(record)}
    whole = {"sha256": _digest(content), "record": content}
    with (folder / RECORD_FILE).open("w") as file:
        json.dump(whole, file, indent=1)
        file.flush()
        os.fsync(file.fileno())


def read_record(folder: Path) -> Record:
    """The record of a checkpoint, verified.

    Raises:
      Damaged: the file is missing, unreadable, or not what was written.
    """
    try:
        whole = json.loads((folder / RECORD_FILE).read_bytes())
        content = whole["record"]
        if _digest(content) != whole["sha256"]:
            raise Damaged(f"{RECORD_FILE} has another SHA-256 than when it was written")
        return _decode(content)
    except OSError as error:
        raise Damaged(f"{RECORD_FILE} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise Damaged(f"{RECORD_FILE} is not a record") from error


def _decode(content: dict[str, Any]) -> Record:
    fields = {key: value for key, value in content.items() if key != "version"}
    if content["version"] != _VERSION:
        raise Damaged(f"{RECORD_FILE} is of the unknown version {content['version']}")
    fields["leaves"] = {
        item: {path: Leaf(**leaf) for path, leaf in leaves.items()}
        for item, leaves in content["leaves"].items()
    }
    fields["files"] = {
        name: FileDigest(**digest) for name, digest in content["files"].items()
    }
    return Record(**fields)


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
