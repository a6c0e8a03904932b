"""Reads both formats of `torch.save`: zip archives, and what PyTorch wrote before 1.6.

A zip archive holds `<name>/data.pkl`, `<name>/data/<key>` for each storage and perhaps
`<name>/byteorder`. The older format is a row of pickles (magic number, protocol,
system, object, keys of the storages) and then, for each key, the number of its elements
(8 bytes) and the elements, both little-endian.
"""

import dataclasses
import io
import os
import sys
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dsr_jax.errors import UserError
from dsr_jax.regressor.torch_file.pickled import (
    Storage,
    StoredTensor,
    load_pickle,
    refuse,
)

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
_HINT = "give a .pt, .pth or .ckpt that torch.save wrote"


@dataclasses.dataclass(frozen=True)
class TorchFile:
    """What a file holds; the tensors are read when they are asked for."""

    path: str
    """The file."""
    content: Any
    """Dictionaries, lists, numbers and strings, with a `StoredTensor` for each tensor
    and an inert record for every other object."""
    _read: Callable[[Storage], np.ndarray]

    def array(self, tensor: StoredTensor) -> np.ndarray:
        """The tensor's values, in this machine's byte order.

        Raises:
          UserError: they are missing or cut.
        """
        try:
            return tensor.from_flat(self._read(tensor.storage))
        except UserError:
            raise
        # zipfile, zlib and NumPy raise an error of their own for each kind of damage.
        except Exception as error:
            refuse(self.path, error)


def open_torch_file(path: str | Path) -> TorchFile:
    """Opens a file of either format.

    Raises:
      UserError: no such file, not a PyTorch file, TorchScript, PyTorch's oldest format
        (0.1, a tar archive), or a damaged file.
    """
    path = str(path)
    try:
        with Path(path).open("rb") as stream:
            start = stream.read(512)
    except OSError as error:
        raise UserError(
            f"{path}: cannot read this checkpoint: {error.strerror}; check the path"
        ) from error
    if start.startswith(b"PK"):
        return _open_zip(path)
    if start and tarfile.is_tarfile(path):
        raise UserError(
            f"{path}: is in PyTorch's oldest format, a tar archive; load it with "
            "PyTorch and save it again"
        )
    return _open_legacy(path)


def _open_zip(path: str) -> TorchFile:
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
            pickles = [name for name in names if name.endswith("/data.pkl")]
            if len(pickles) != 1:
                raise UserError(f"{path}: a zip archive without weights; {_HINT}")
            root = pickles[0].removesuffix("data.pkl")
            if f"{root}constants.pkl" in names:
                raise UserError(
                    f"{path}: is a TorchScript program; give the checkpoint that it "
                    "was made from"
                )
            data = archive.read(pickles[0])
            order = b"little"
            if f"{root}byteorder" in names:
                order = archive.read(f"{root}byteorder")
    except UserError:
        raise
    # zipfile and zlib raise an error of their own for each kind of damage.
    except Exception as error:
        refuse(path, error)
    content = load_pickle(io.BytesIO(data), path)

    # Open as long as the result is there: its list of hundreds of files is read once.
    opened = zipfile.ZipFile(path)

    def read(storage: Storage) -> np.ndarray:
        content = opened.read(f"{root}data/{storage.key}")
        return _elements(content, storage, order.strip() == b"big")

    return TorchFile(path, content, read)


def _open_legacy(path: str) -> TorchFile:
    with Path(path).open("rb") as stream:
        start = io.BytesIO(stream.read(32))
        if not _is_magic(start):
            raise UserError(f"{path}: not a checkpoint of PyTorch; {_HINT}")
        stream.seek(start.tell())
        types: dict[str, np.dtype] = {}
        version, _, content, keys = (load_pickle(stream, path, types) for _ in range(4))
        if version != _PROTOCOL or not isinstance(keys, list):
            raise UserError(f"{path}: not a checkpoint of PyTorch; {_HINT}")
        try:
            places = _legacy_places(stream, [str(key) for key in keys], types)
        except (OSError, ValueError, KeyError, OverflowError) as error:
            refuse(path, error)

    def read(storage: Storage) -> np.ndarray:
        place, count = places[storage.key]
        with Path(path).open("rb") as stream:
            stream.seek(place)
            content = stream.read(count * storage.dtype.itemsize)
        return _elements(content, storage, big_endian=False)

    return TorchFile(path, content, read)


def _is_magic(start: io.BytesIO) -> bool:
    """Whether the first pickle is the number that marks the format."""
    try:
        return load_pickle(start, "") == _MAGIC
    except UserError:
        return False


def _legacy_places(
    stream: io.BufferedReader, keys: list[str], types: Mapping[str, np.dtype]
) -> dict[str, tuple[int, int]]:
    """Where each storage's elements start in the file, and how many there are."""
    end = os.fstat(stream.fileno()).st_size
    places = {}
    for key in keys:
        count = int.from_bytes(stream.read(8), "little", signed=True)
        places[key] = stream.tell(), count
        after = stream.tell() + count * types[key].itemsize
        if count < 0 or after > end:
            raise ValueError(f"storage {key} ends at {after}, the file at {end}")
        stream.seek(after)
    return places


def _elements(content: bytes, storage: Storage, big_endian: bool) -> np.ndarray:
    """All elements of a storage, or of the part that a view of it covers."""
    flat = np.frombuffer(content, storage.dtype)
    part = flat[storage.first : storage.first + storage.count]
    if len(part) < storage.count:
        raise ValueError(
            f"storage {storage.key} has {len(part)} of {storage.count} elements"
        )
    return part.byteswap() if big_endian == (sys.byteorder == "little") else part
