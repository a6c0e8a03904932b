"""The `checkpoints` folder: one folder a step, and what is never taken for one.

12              a whole checkpoint; the folder takes this name when it is complete
12.partial      one that is being written, or was when the run was killed
12.deleted      one that is being deleted
12.damaged      one that was found damaged and put aside; nothing deletes it

Only one process may call what changes the folder.
"""

import json
import os
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from dsr_jax.errors import UserError
from dsr_jax.files import to_blame
from dsr_jax.training.checkpoint.damage import Damaged
from dsr_jax.training.checkpoint.record import read_record

CHECKPOINTS = "checkpoints"
PARTIAL, DELETED, DAMAGED = ".partial", ".deleted", ".damaged"
# Those of Orbax's CheckpointManager, which earlier versions used.
_OLD_PARTIAL = ".orbax-checkpoint-tmp"
_OLD_MARK = "_CHECKPOINT_METADATA"


@dataclass(frozen=True)
class Entry:
    """A checkpoint in the folder."""

    score: float | None
    """Of its state, if it was evaluated."""
    best_step: int | None
    """Step of the lowest score of the run when it was written."""
    best_score: float | None
    """That score."""
    fault: str = ""
    """Why its record cannot be trusted; "" if it can."""
    old: bool = False
    """Whether an earlier version wrote it, without a record."""


def has_checkpoint(folder: Path) -> bool:
    """Whether a `checkpoints` folder holds one, be it damaged."""
    return any(_steps(folder)) or any(folder.glob(f"*{DAMAGED}*"))


def scan(folder: Path) -> dict[int, Entry]:
    """Every checkpoint by its step, from the oldest on.

    Raises:
      UserError: the folder cannot be read.
    """
    try:
        return {step: _entry(folder / str(step)) for step in sorted(_steps(folder))}
    except OSError as error:
        raise UserError(
            f"{folder}: cannot be read ({error.strerror}); check the folder"
        ) from error


def clean(folder: Path) -> None:
    """Makes the folder, and deletes what a killed run left unfinished.

    Raises:
      UserError: the folder cannot be made or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path in folder.iterdir():
            if path.name.endswith((PARTIAL, DELETED)) or _OLD_PARTIAL in path.name:
                shutil.rmtree(path)
    except OSError as error:
        raise to_blame(error)(
            f"{folder}: cannot be written ({error.strerror}); check the folder, or "
            "give another --workdir"
        ) from error


def set_aside(folder: Path, step: int) -> Path:
    """Renames a damaged checkpoint, so that its step can be saved again.

    Raises:
      UserError: the folder cannot be written.
    """
    number = 1
    while (aside := _aside(folder, step, number)).exists():
        number += 1
    try:
        os.rename(folder / str(step), aside)
    except OSError as error:
        raise to_blame(error)(
            f"{folder / str(step)}: is damaged and cannot be renamed "
            f"({error.strerror}); check the folder"
        ) from error
    return aside


def delete(folder: Path, steps: Iterable[int]) -> None:
    """Deletes checkpoints; killed meanwhile, it leaves nothing that looks like one.

    Raises:
      UserError: the folder cannot be written.
    """
    for step in sorted(steps):
        doomed = folder / f"{step}{DELETED}"
        try:
            os.rename(folder / str(step), doomed)
        except OSError as error:
            raise to_blame(error)(
                f"{folder / str(step)}: an older checkpoint cannot be deleted "
                f"({error.strerror}); check the folder"
            ) from error
        # The next start deletes what remains.
        shutil.rmtree(doomed, ignore_errors=True)


def commit(partial: Path, final: Path) -> None:
    """Gives a complete checkpoint its name; it is on the disk when this returns.

    Raises:
      OSError: the folder cannot be written.
    """
    for folder in (partial, *(p for p in partial.rglob("*") if p.is_dir())):
        _sync(folder)
    os.rename(partial, final)
    _sync(final.parent)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _aside(folder: Path, step: int, number: int) -> Path:
    suffix = "" if number == 1 else f"-{number}"
    return folder / f"{step}{DAMAGED}{suffix}"


def _steps(folder: Path) -> Iterator[int]:
    if not folder.is_dir():
        return
    for path in folder.iterdir():
        # "007" and "²" are not names that were written here.
        if path.name.isdecimal() and path.name == str(int(path.name)):
            yield int(path.name)


def _entry(place: Path) -> Entry:
    if (place / _OLD_MARK).exists():
        score = _old_score(place)
        best = None if score is None else int(place.name)
        return Entry(score, best, score, old=True)
    try:
        record = read_record(place)
        if str(record.step) != place.name:
            raise Damaged(f"its record is that of step {record.step}")
    except Damaged as damage:
        return Entry(None, None, None, fault=str(damage))
    return Entry(record.score, record.best_step, record.best_score)


def _old_score(place: Path) -> float | None:
    try:
        return float(json.loads((place / "metrics" / "metrics").read_text())["score"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
