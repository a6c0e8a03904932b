"""A folder of records as `tensorflow_datasets` knows it, opened and checked."""

import contextlib
import dataclasses
import os
import tempfile
from pathlib import Path

from dsr_jax.data.records.description import (
    FEATURES_FILE,
    INFO_FILE,
    read_description,
)
from dsr_jax.data.records.journal import (
    journal_path,
    read_journal,
    shard_prefix,
    splits_with_journal,
)
from dsr_jax.errors import UserError, nearest


@dataclasses.dataclass(frozen=True)
class RecordFolder:
    """The shards of a split."""

    folder: Path
    split: str
    shards: tuple[Path, ...]
    lengths: tuple[int, ...]
    """Records of each."""


def is_record_folder(path: str | Path) -> bool:
    """Whether something is a folder of records; one that is being built counts."""
    folder = Path(path)
    return folder.is_dir() and (
        (folder / INFO_FILE).exists() or bool(splits_with_journal(folder))
    )


def open_record_folder(path: str | Path, split: str = "") -> RecordFolder:
    """Finds the shards of a split; no record of them is read.

    Args:
      path: the folder.
      split: may be "" if there is one split alone.

    Raises:
      UserError: no such folder, no records or records of another version in it, no such
        split, one that is not complete, a shard that is missing or cut off or holds
        another number of records than the folder's descriptions say.
    """
    folder = Path(path)
    lengths = _read_lengths(folder)
    chosen = _chosen_split(folder, split, sorted(lengths))
    count = len(lengths[chosen])
    shards = tuple(
        folder / f"{shard_prefix(chosen)}{k:05d}-of-{count:05d}" for k in range(count)
    )
    found = RecordFolder(folder, chosen, shards, lengths[chosen])
    _check_shards(found)
    return found


def write_dataset_info(folder: Path) -> None:
    """Writes the files by which `tensorflow_datasets` reads the complete splits.

    Raises:
      UserError: the folder cannot be written to.
    """
    from dsr_jax.data.records.builder import describe_splits

    journals = [read_journal(folder, split) for split in splits_with_journal(folder)]
    complete = [journal for journal in journals if journal.complete]
    try:
        with tempfile.TemporaryDirectory(dir=folder, prefix=".info") as written:
            describe_splits(folder, complete, Path(written))
            # The first names the second, and is what readers look for.
            for name in (FEATURES_FILE, INFO_FILE):
                os.replace(Path(written) / name, folder / name)
    except OSError as error:
        raise UserError(
            f"{folder}: cannot write {INFO_FILE}: {error.strerror}; check the folder "
            "and the disk"
        ) from error


def _read_lengths(folder: Path) -> dict[str, tuple[int, ...]]:
    """As `read_description`; what is missing is told before."""
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder of records; check the path")
    if not (folder / INFO_FILE).exists():
        _check_begun(folder, splits_with_journal(folder))
        raise UserError(
            f"{folder}: holds no records: {INFO_FILE} is missing; build them with "
            "tools/build_records.py, or give an npz file"
        )
    return read_description(folder)


def _chosen_split(folder: Path, split: str, known: list[str]) -> str:
    begun = splits_with_journal(folder)
    if split in begun or not split:
        _check_begun(folder, [split] if split else [b for b in begun if not known])
    if not split and len(known) == 1:
        return known[0]
    if split not in known:
        asked = f"no split '{split}'" if split else f"{len(known)} splits"
        raise UserError(f"{folder}: has {asked}: {nearest(split, known)}")
    return split


def _check_begun(folder: Path, splits: list[str]) -> None:
    for split in splits:
        journal = read_journal(folder, split)
        if not journal.complete:
            raise UserError(
                f"{folder}: split '{split}' is not complete, {len(journal.shards)} of "
                f"{journal.count} shards are there; run the same command of "
                "tools/build_records.py again"
            )


def _check_shards(found: RecordFolder) -> None:
    """Sizes and lengths, of which the description, the journal and the shards know."""
    sizes: dict[str, int] = {}
    if journal_path(found.folder, found.split).exists():
        journal = read_journal(found.folder, found.split)
        sizes = {journal.shard_name(n): s.bytes for n, s in journal.shards.items()}
        written = tuple(journal.shards[n].records for n in sorted(journal.shards))
        if written != found.lengths:
            raise UserError(
                f"{found.folder}: {INFO_FILE} and "
                f"{journal_path(found.folder, found.split).name} differ in the number "
                "of records; copy both again, or build the records anew"
            )
    for path, length in zip(found.shards, found.lengths, strict=True):
        _check_shard(path, length, sizes.get(path.name))


def _check_shard(path: Path, length: int, size: int | None) -> None:
    hint = "copy it again, or run the same command of tools/build_records.py again"
    if not path.is_file():
        raise UserError(f"{path}: this shard is missing; {hint}")
    found = path.stat().st_size
    if size is not None and found != size:
        raise UserError(f"{path}: this shard has {found} of {size} bytes; {hint}")
    if _length(path) != length:
        raise UserError(f"{path}: this shard does not hold {length} records; {hint}")


def _length(path: Path) -> int:
    from array_record.python.array_record_module import ArrayRecordReader

    with contextlib.suppress(RuntimeError):
        reader = ArrayRecordReader(str(path))
        try:
            return reader.num_records()
        finally:
            reader.close()
    return -1
