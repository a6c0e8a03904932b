"""Reads and writes `.safetensors`: a JSON header and then the numbers, nothing to run.

The format: 8 bytes with the header's length (little-endian), the header, {name:
{"dtype", "shape", "data_offsets"}} and "__metadata__" of strings, then the bytes that
the offsets count from. https://github.com/huggingface/safetensors
"""

import json
import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

from dsr_jax.errors import UserError
from dsr_jax.files import read_bytes

_TYPES = {
    "F64": np.dtype(np.float64),
    "F32": np.dtype(np.float32),
    "F16": np.dtype(np.float16),
    "BF16": np.dtype(ml_dtypes.bfloat16),
    "I64": np.dtype(np.int64),
    "I32": np.dtype(np.int32),
    "I16": np.dtype(np.int16),
    "I8": np.dtype(np.int8),
    "U8": np.dtype(np.uint8),
    "BOOL": np.dtype(np.bool_),
}
_NAMES = {dtype: name for name, dtype in _TYPES.items()}
_METADATA = "__metadata__"
_LENGTH_BYTES = 8
# The numbers start at a multiple of this, as the format's own writer has it.
_ALIGNMENT = 8


def is_safetensors(path: str | Path) -> bool:
    """Whether the file starts like one: a length and an opening brace."""
    with Path(path).open("rb") as stream:
        start = stream.read(_LENGTH_BYTES + 1)
    return start[_LENGTH_BYTES:] == b"{"


def read_safetensors(path: str | Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """All tensors by name, and the metadata.

    Raises:
      UserError: the file is missing or damaged, or has a type that NumPy lacks.
    """
    content = read_bytes(path, "checkpoint")
    try:
        end = _LENGTH_BYTES + int.from_bytes(content[:_LENGTH_BYTES], "little")
        header = json.loads(content[_LENGTH_BYTES:end])
        metadata = dict(header.pop(_METADATA, {}))
        tensors = {
            str(name): _tensor(entry, content, end) for name, entry in header.items()
        }
    # RecursionError: a header of nothing but brackets.
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise UserError(
            f"{path}: not a readable safetensors file ({reason}); it may be truncated: "
            "fetch it again"
        ) from error
    return tensors, metadata


def encode_safetensors(
    tensors: Mapping[str, np.ndarray], metadata: Mapping[str, str]
) -> bytes:
    """The bytes of a file of these tensors.

    Raises:
      KeyError: an array of a type that the format lacks.
    """
    header: dict[str, Any] = {_METADATA: dict(metadata)}
    chunks, place = [], 0
    for name, values in tensors.items():
        array = np.asarray(values)
        little = array.astype(array.dtype.newbyteorder("<"), copy=False)
        chunks.append(little.tobytes())
        header[name] = {
            "dtype": _NAMES[array.dtype],
            "shape": list(array.shape),
            "data_offsets": [place, place + len(chunks[-1])],
        }
        place += len(chunks[-1])
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    return b"".join([len(text).to_bytes(_LENGTH_BYTES, "little"), text, *chunks])


def _tensor(entry: Mapping[str, Any], content: bytes, start: int) -> np.ndarray:
    dtype, shape = _TYPES[entry["dtype"]], tuple(entry["shape"])
    first, last = entry["data_offsets"]
    size = math.prod(shape) * dtype.itemsize
    if not 0 <= first <= last <= len(content) - start or last - first != size:
        raise ValueError(f"a tensor of {shape} at bytes {first} to {last}")
    flat = np.frombuffer(content, dtype, math.prod(shape), start + first)
    return (flat if sys.byteorder == "little" else flat.byteswap()).reshape(shape)
