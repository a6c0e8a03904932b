"""Whether records still have the bytes that were written."""

from collections.abc import Callable, Iterator
from pathlib import Path

from dsr_jax.data.records.fields import decode_record, image_is_intact
from dsr_jax.data.records.folder import open_record_folder
from dsr_jax.data.records.journal import journal_path, read_journal
from dsr_jax.data.records.shard import file_sha256
from dsr_jax.errors import UserError


def verify_records(
    folder: str | Path,
    split: str = "",
    progress: Callable[[int, int], None] = lambda more, total: None,
) -> list[str]:
    """Compares shards with their checksums, and every photo with its own.

    Args:
      folder: of records.
      split: may be "" if there is one split alone.
      progress: told how many records more were read, of how many.

    Returns:
      A line for everything that is wrong; none if all is well.

    Raises:
      UserError: the folder cannot be used at all, see `open_record_folder`.
    """
    found = open_record_folder(folder, split)
    sums: dict[str, str] = {}
    if journal_path(found.folder, found.split).exists():
        journal = read_journal(found.folder, found.split)
        sums = {journal.shard_name(n): s.sha256 for n, s in journal.shards.items()}
    wrong = []
    for path, length in zip(found.shards, found.lengths, strict=True):
        if path.name in sums and file_sha256(path) != sums[path.name]:
            wrong.append(f"{path}: not the bytes that were written (sha256)")
        wrong += _wrong_records(path, length)
        progress(length, sum(found.lengths))
    return wrong


def _wrong_records(path: Path, length: int) -> Iterator[str]:
    from array_record.python.array_record_module import ArrayRecordReader

    try:
        reader = ArrayRecordReader(str(path))
    except RuntimeError as error:
        yield f"{path}: {str(error).split(';')[0]}"
        return
    for number in range(length):
        what = f"{path}: record {number}"
        try:
            (data,) = reader.read([number])
            decode_record(data, what)
            if not image_is_intact(data):
                yield f"{what}: its photo is not the one that was written (crc32)"
        except (RuntimeError, ValueError) as error:
            yield f"{what}: {str(error).split(';')[0]}"
        except UserError as error:
            yield str(error)
    reader.close()
