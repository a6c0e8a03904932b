"""Writes tensors as `torch.save` does, so that PyTorch loads them with weights only.

The pickle is spelt out opcode by opcode (protocol 2): Python's own pickler would have
to import the names that it writes.
"""

import io
import struct
import zipfile
from collections.abc import Mapping

import numpy as np

from dsr_jax.regressor.torch_file.pickled import STORAGE_TYPES

_STORAGE_NAMES = {dtype: name for name, dtype in reversed(STORAGE_TYPES.items())}
_ROOT = "archive"
# Every run writes the same bytes.
_DATE = (1980, 1, 1, 0, 0, 0)

_START, _STOP = b"\x80\x02", b"."
_EMPTY_DICT, _SET_ITEM = b"}", b"s"
_MARK, _TUPLE, _EMPTY_TUPLE, _REDUCE = b"(", b"t", b")", b"R"
_FALSE, _PERSISTENT_ID = b"\x89", b"Q"


def encode_torch_file(tensors: Mapping[str, np.ndarray], key: str | None) -> bytes:
    """A zip archive of the tensors by name, `{key: {name: tensor}}`, or plain.

    Raises:
      ValueError: an array of a type that PyTorch lacks.
    """
    state, arrays = _START + _EMPTY_DICT, []
    if key is not None:
        state += _text(key) + _EMPTY_DICT
    for name, values in tensors.items():
        array = np.asarray(values)
        state += _text(name) + _tensor(array, str(len(arrays))) + _SET_ITEM
        arrays.append(array)
    if key is not None:
        state += _SET_ITEM
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        _add(archive, "data.pkl", state + _STOP)
        _add(archive, "byteorder", b"little")
        for number, array in enumerate(arrays):
            little = array.astype(array.dtype.newbyteorder("<"), copy=False)
            _add(archive, f"data/{number}", little.tobytes())
        _add(archive, "version", b"3\n")
    return stream.getvalue()


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    archive.writestr(zipfile.ZipInfo(f"{_ROOT}/{name}", _DATE), content)


def _tensor(array: np.ndarray, key: str) -> bytes:
    """A call of `_rebuild_tensor_v2` with a storage of its own, by rows."""
    if array.dtype not in _STORAGE_NAMES:
        raise ValueError(f"PyTorch has no tensors of {array.dtype}")
    storage = (
        _text("storage")
        + _name("torch", _STORAGE_NAMES[array.dtype])
        + _text(key)
        + _text("cpu")
        + _number(array.size)
    )
    strides = [int(np.prod(array.shape[i + 1 :])) for i in range(array.ndim)]
    arguments = (
        (_MARK + storage + _TUPLE + _PERSISTENT_ID)
        + _number(0)
        + _numbers(array.shape)
        + _numbers(strides)
        + _FALSE
        + (_name("collections", "OrderedDict") + _EMPTY_TUPLE + _REDUCE)
    )
    call = _name("torch._utils", "_rebuild_tensor_v2")
    return call + _MARK + arguments + _TUPLE + _REDUCE


def _numbers(values) -> bytes:
    return _MARK + b"".join(_number(int(value)) for value in values) + _TUPLE


def _number(value: int) -> bytes:
    if value < 2**31:
        return b"J" + struct.pack("<i", value)
    return b"\x8a\x08" + struct.pack("<q", value)


def _text(value: str) -> bytes:
    encoded = value.encode()
    return b"X" + struct.pack("<I", len(encoded)) + encoded


def _name(module: str, name: str) -> bytes:
    return f"c{module}\n{name}\n".encode()
