"""One file of records: it appears whole, with its checksum, or not at all."""

import contextlib
import hashlib
import os
import uuid
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from dsr_jax.data.person import PeopleSource, Skipped
from dsr_jax.data.records.fields import encode_record
from dsr_jax.data.records.journal import Shard
from dsr_jax.data.records.screening import Screening, screened_record
from dsr_jax.errors import UserError

# One record a chunk, so that any record is read by itself.
WRITER_OPTIONS = "group_size:1"
_READ_AT_ONCE = 1 << 20


def write_shard(
    path: Path,
    source: PeopleSource,
    people: Iterable[int],
    twice: dict[int, Skipped],
    screening: Screening,
    looked_at: Callable[[], None] = lambda: None,
) -> Shard:
    """Writes the records of some people.

    Args:
      path: the file; it is replaced.
      source: the data set.
      people: their numbers, in order.
      twice: those who are there already, and are left out.
      screening: what is looked at before.
      looked_at: called after each person; may raise to stop, which leaves no file.

    Raises:
      UserError: something is broken and is not to be skipped, or the file cannot be
        written.
    """
    skipped: list[Skipped] = []

    def records() -> Iterator[bytes]:
        for index in people:
            if index in twice:
                skipped.append(twice[index])
            else:
                record, left_out = screened_record(source, index, screening)
                skipped.extend(left_out)
                if record is not None:
                    yield encode_record(record)
            looked_at()

    count = _write(path, records())
    return Shard(count, path.stat().st_size, file_sha256(path), tuple(skipped))


def file_sha256(path: Path) -> str:
    """The checksum of a file.

    Raises:
      UserError: it cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(_READ_AT_ONCE):
                digest.update(block)
    except OSError as error:
        raise UserError(
            f"{path}: cannot read this shard: {error.strerror}; build it again"
        ) from error
    return digest.hexdigest()


def _write(path: Path, records: Iterable[bytes]) -> int:
    """Writes beside the place and moves the file there in one step; counts records."""
    from array_record.python.array_record_module import ArrayRecordWriter

    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.partial")
    count = 0
    try:
        writer = ArrayRecordWriter(str(temporary), WRITER_OPTIONS)
        with _closed(writer):
            for record in records:
                writer.write(record)
                count += 1
                if not writer.ok():  # It says why when it is closed.
                    break
        os.replace(temporary, path)
    except (OSError, RuntimeError) as error:
        # The library's own words: "write() failed: No space left on device; …".
        reason = str(error).split(";")[0].removeprefix("write() failed: ")
        raise UserError(
            f"{path}: cannot write: {reason}; check the folder and the disk, then run "
            "the same command again"
        ) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
    return count


@contextlib.contextmanager
def _closed(writer: Any) -> Iterator[None]:
    """Closes a writer; what is wrong with it counts only if nothing else is."""
    try:
        yield
    except BaseException:
        with contextlib.suppress(RuntimeError):
            writer.close()
        raise
    writer.close()
