"""The people of a folder of records; any of them in any order, from any process."""

import threading
from pathlib import Path
from typing import Any

import numpy as np

from dsr_jax.arrays import Float
from dsr_jax.data.person import Person, Skipped, StoredFile
from dsr_jax.data.records.fields import Record, decode_record
from dsr_jax.data.records.folder import open_record_folder
from dsr_jax.errors import UserError


class RecordSource:
    """One person a record, in the order of the data set that they were built from.

    Files are opened when they are asked for, once a process.
    """

    skipped: tuple[Skipped, ...] = ()

    def __init__(self, folder: str | Path, split: str = ""):
        """Looks for the shards of a split.

        Args:
          folder: of records.
          split: may be "" if there is one split alone.

        Raises:
          UserError: see `open_record_folder`.
        """
        self._found = open_record_folder(folder, split)
        self._count = sum(self._found.lengths)
        if not self._count:
            raise UserError(f"{folder}: holds no person; build the records anew")
        self._make_caches()

    def __len__(self) -> int:
        return self._count

    @property
    def split(self) -> str:
        """The split's name."""
        return self._found.split

    def person(self, index: int) -> Person:
        """The annotation.

        Raises:
          UserError: the record cannot be read.
        """
        return self.record(index).person

    def others(self, index: int) -> Float[np.ndarray, "P 49 3"]:
        """Keypoints of the other annotated people of the same photo, pixels.

        Raises:
          UserError: the record cannot be read.
        """
        return self.record(index).others_px

    def image(self, index: int) -> StoredFile:
        """The photo's file.

        Raises:
          UserError: the record cannot be read.
        """
        record = self.record(index)
        return StoredFile(self._name(record.person.image_name), record.image)

    def label_map(self, index: int) -> StoredFile | None:
        """The label map's file; None if there is none.

        Raises:
          UserError: the record cannot be read.
        """
        record = self.record(index)
        if not record.label_map:
            return None
        name = self._name(f"label map of {record.person.image_name}")
        return StoredFile(name, record.label_map)

    def record(self, index: int) -> Record:
        """Everything of a person.

        Raises:
          UserError: the record cannot be read.
        """
        number = int(index)
        # Photo, annotation and label map are asked for one after the other.
        if getattr(self._last, "number", None) != number:
            data = self.encoded(number)
            self._last.record = decode_record(data, self._name(f"record {number}"))
            self._last.number = number
        return self._last.record

    def encoded(self, index: int) -> bytes:
        """The bytes of a record.

        Raises:
          IndexError: no such record.
          UserError: the record cannot be read.
        """
        if not 0 <= index < self._count:
            raise IndexError(f"record {index} of {self._count}")
        try:
            return self._opened()[index]
        except (OSError, RuntimeError, ValueError) as error:
            raise UserError(
                f"{self._name(f'record {index}')}: cannot be read: "
                f"{str(error).split(';')[0]}; copy the shards again"
            ) from error

    def _opened(self) -> Any:
        """Random access to the bytes of all records."""
        with self._lock:
            if not self._shards:
                from array_record.python.array_record_data_source import (
                    ArrayRecordDataSource,
                )

                # `tensorflow_datasets` would import what features.json names.
                paths = [str(path) for path in self._found.shards]
                self._shards.append(ArrayRecordDataSource(paths))
            return self._shards[0]

    def _name(self, what: str) -> str:
        return f"{self._found.folder} ({self._found.split}): {what}"

    def _make_caches(self) -> None:
        self._lock, self._last = threading.Lock(), threading.local()
        self._shards: list[Any] = []

    def __getstate__(self) -> dict[str, Any]:
        return {"_found": self._found, "_count": self._count}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._make_caches()
