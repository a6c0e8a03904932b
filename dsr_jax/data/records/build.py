"""A data set becomes a folder of records; may be stopped and continued.

The bytes depend on the data set and the settings alone, not on the number of processes:
shard k of n holds people k·N/n to (k + 1)·N/n - 1 in the order of the data set.
"""

import contextlib
import dataclasses
import itertools
import re
from collections.abc import Callable
from pathlib import Path

from dsr_jax.data.label_files import STOP
from dsr_jax.data.people_files import make_folder
from dsr_jax.data.person import PeopleSource
from dsr_jax.data.records.folder import write_dataset_info
from dsr_jax.data.records.journal import (
    SPLIT_NAME,
    Journal,
    journal_path,
    read_journal,
    shard_prefix,
    skipped_path,
    splits_with_journal,
    write_journal,
    write_skipped,
)
from dsr_jax.data.records.screening import Screening
from dsr_jax.data.records.survey import Survey, survey_people
from dsr_jax.data.records.workers import Worker, written_shards
from dsr_jax.errors import UserError

# Large enough for sequential reading, small enough to lose little when one breaks.
SHARD_BYTES = 256 << 20


@dataclasses.dataclass(frozen=True)
class BuildSettings:
    """What is built, and where."""

    kind: str
    """Of the data set, for the journal."""
    split: str
    output: Path
    screening: Screening = dataclasses.field(default_factory=Screening)
    shard_bytes: int = SHARD_BYTES
    """About as much a shard."""
    limit: int | None = None
    """Only the first people."""
    processes: int = 1
    overwrite: bool = False
    """Replace what was built otherwise before."""

    def __post_init__(self) -> None:
        if not re.fullmatch(SPLIT_NAME, self.split):
            raise ValueError(f"split '{self.split}': use letters, digits and _ alone")
        if min(self.shard_bytes, self.processes) < 1:
            raise ValueError("shard_bytes and processes are at least 1")


def build_records(
    source: PeopleSource,
    settings: BuildSettings,
    progress: Callable[[int, int], None] = lambda more, total: None,
    check: Callable[[], None] = lambda: None,
) -> Journal:
    """Writes the records of a split that are not there yet.

    Args:
      source: the data set; what its reader left out is in its `skipped`, if it has one.
      settings: what is built, and where.
      progress: told how many people more are done, of how many.
      check: called often; may raise to stop, and the next call goes on from there.

    Returns:
      What was built; it is beside the records, too.

    Raises:
      UserError: something is broken and is not to be skipped; nothing is left to write;
        the folder holds records that were built otherwise, or cannot be written to.
    """
    survey = survey_people(source, settings.screening, settings.limit, check)
    journal = _open_journal(source, survey, settings)
    write_journal(settings.output, journal)
    bounds = survey.bounds(journal.count)
    people = list(itertools.pairwise(bounds))
    done = (people[number] for number in journal.shards)
    progress(sum(end - first for first, end in done), survey.count)
    tasks = [
        (number, settings.output / journal.shard_name(number), first, end)
        for number, (first, end) in enumerate(people)
        if number not in journal.shards
    ]
    worker = Worker(source, survey.twice, settings.screening)
    with written_shards(
        worker,
        tasks,
        settings.processes,
        lambda more: progress(more, survey.count),
        check,
    ) as shards:
        for number, shard in shards:
            journal.shards[number] = shard
            write_journal(settings.output, journal)
    write_skipped(settings.output, journal)
    if not journal.records:
        what, reason = journal.skipped[0].what, journal.skipped[0].reason
        raise UserError(f"nobody can be used; the first is {what}: {reason}")
    write_dataset_info(settings.output)
    return journal


def _open_journal(
    source: PeopleSource, survey: Survey, settings: BuildSettings
) -> Journal:
    """The journal of a folder that is to be filled or filled on; leftovers are removed.

    Raises:
      UserError: the folder holds something else.
    """
    folder, split, screening = settings.output, settings.split, settings.screening
    made_by = {
        "kind": settings.kind,
        "people": survey.count,
        "annotations": survey.digest,
        "broken": screening.broken,
        "verify_images": screening.verify_images,
        "taxonomy": screening.taxonomy,
        "shards": survey.shards(settings.shard_bytes),
    }
    make_folder(folder)
    for other in splits_with_journal(folder):
        kind = read_journal(folder, other).made_by.get("kind")
        if other != split and kind != settings.kind:
            raise UserError(
                f"{folder}: holds records of '{kind}', not of '{settings.kind}'; give "
                "another --output"
            )
    journal = Journal(split, made_by, tuple(getattr(source, "skipped", ())))
    before = _earlier(folder, split)
    if before is not None and not settings.overwrite:
        _check_same(folder, before, made_by)
        journal.shards = {
            number: shard
            for number, shard in before.shards.items()
            if _size(folder / before.shard_name(number)) == shard.bytes
        }
    kept = {journal.shard_name(number) for number in journal.shards}
    _remove_leftovers(folder, split, kept)
    return journal


def _earlier(folder: Path, split: str) -> Journal | None:
    """What an earlier run left; None if there is none."""
    if journal_path(folder, split).exists():
        return read_journal(folder, split)
    if any(folder.glob(f"{shard_prefix(split)}*")):
        raise UserError(
            f"{folder}: holds records of split '{split}' but no "
            f"{journal_path(folder, split).name}; give another --output"
        )
    return None


def _check_same(folder: Path, before: Journal, made_by: dict[str, object]) -> None:
    for key, value in made_by.items():
        # What was built while broken things stopped has none: skipping may go on.
        if key == "broken" and before.made_by.get(key) == STOP:
            continue
        if before.made_by.get(key) != value:
            raise UserError(
                f"{folder}: split '{before.split}' was built with another '{key}' "
                f"({before.made_by.get(key)}, now {value}); give another --output, or "
                "--overwrite to replace it"
            )


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1


def _remove_leftovers(folder: Path, split: str, kept: set[str]) -> None:
    """Shards that no journal knows, and parts of some."""
    prefix = shard_prefix(split)
    try:
        for path in (*folder.glob(f"{prefix}*"), *folder.glob(f".{prefix}*.partial")):
            if path.name not in kept:
                path.unlink()
        if not kept:
            with contextlib.suppress(FileNotFoundError):
                skipped_path(folder, split).unlink()
    except OSError as error:
        raise UserError(
            f"{folder}: cannot remove an old shard: {error.strerror}; check the folder"
        ) from error
