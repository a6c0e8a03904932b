"""The pickle inside a PyTorch file, read without running anything that it names.

`torch.save` pickles an object tree in which every tensor is a call such as
`torch._utils._rebuild_tensor_v2(storage, offset, size, stride, …)` and every storage a
persistent id. Here those calls become `StoredTensor`s, dictionaries stay dictionaries,
and every other name, be it a training framework's class or `os.system`, becomes a
record that remembers nothing and does nothing: Lightning's checkpoints are full of
them, and none is needed for the weights.
"""

import dataclasses
import io
import math
from typing import Any, NoReturn

import ml_dtypes
import numpy as np

from dsr_jax.errors import UserError
from dsr_jax.untrusted_pickle import KeyCheckingUnpickler, SealedDict

# PyTorch's storage classes and the type of their elements.
STORAGE_TYPES = {
    "DoubleStorage": np.dtype(np.float64),
    "FloatStorage": np.dtype(np.float32),
    "HalfStorage": np.dtype(np.float16),
    "BFloat16Storage": np.dtype(ml_dtypes.bfloat16),
    "LongStorage": np.dtype(np.int64),
    "IntStorage": np.dtype(np.int32),
    "ShortStorage": np.dtype(np.int16),
    "CharStorage": np.dtype(np.int8),
    "ByteStorage": np.dtype(np.uint8),
    "BoolStorage": np.dtype(np.bool_),
    "ComplexFloatStorage": np.dtype(np.complex64),
    "ComplexDoubleStorage": np.dtype(np.complex128),
    # Of quantised tensors, which are not read: only their size counts.
    "QInt8Storage": np.dtype(np.int8),
    "QUInt8Storage": np.dtype(np.uint8),
    "QInt32Storage": np.dtype(np.int32),
}
_ORDERED = "collections.OrderedDict"
_STORAGE_MODULES = ("torch", "torch.cuda", "torch.storage")


class _Sealed:
    """What a pickle may make but not change: its BUILD opcode finds this method."""

    def __setstate__(self, state: Any) -> None:
        """Forgets the state; without it, checked values could be replaced."""


@dataclasses.dataclass(frozen=True)
class Storage(_Sealed):
    """A run of numbers somewhere in the file."""

    key: str
    """Its name in the file."""
    dtype: np.dtype
    """Of its elements, in this machine's byte order."""
    count: int
    """How many there are."""
    first: int = 0
    """Where a view of another storage starts in it, in elements."""


@dataclasses.dataclass(frozen=True)
class StoredTensor(_Sealed):
    """A tensor that is still in its file."""

    storage: Storage
    """Where its elements are; several tensors may share one."""
    offset: int
    """Its first element."""
    shape: tuple[int, ...]
    """Its size."""
    strides: tuple[int, ...]
    """Elements from one index to the next, by axis."""

    def __post_init__(self) -> None:
        """Refuses what would read outside the storage."""
        numbers = (self.offset, *self.shape, *self.strides)
        if not all(type(number) is int and number >= 0 for number in numbers):
            raise ValueError("a tensor's place is not made of whole numbers")
        if len(self.shape) != len(self.strides):
            raise ValueError("a tensor has more sizes than strides")
        steps = zip(self.shape, self.strides, strict=True)
        last = self.offset + sum((size - 1) * step for size, step in steps)
        if 0 not in self.shape and last >= self.storage.count:
            raise ValueError("a tensor reaches beyond its storage")

    def from_flat(self, flat: np.ndarray) -> np.ndarray:
        """The tensor out of all elements of its storage; a copy."""
        if len(flat) != self.storage.count:
            raise ValueError(f"storage {self.storage.key} has {len(flat)} elements")
        if math.prod(self.shape) > len(flat):
            raise ValueError(f"{self.shape} of {len(flat)} elements repeats some")
        if 0 in self.shape:
            return np.zeros(self.shape, flat.dtype)
        steps = [step * flat.itemsize for step in self.strides]
        start = flat[self.offset :]
        return np.lib.stride_tricks.as_strided(start, self.shape, steps).copy()


class Inert(_Sealed):
    """Stands for any object that is not needed; takes whatever it is given."""

    def __new__(cls, *arguments: Any, **named: Any) -> "Inert":
        """Forgets the arguments."""
        del arguments, named
        return super().__new__(cls)

    def __init__(self, *arguments: Any, **named: Any):
        del arguments, named

    def __setitem__(self, key: Any, value: Any) -> None:
        """As a dictionary's subclass needs."""

    def append(self, value: Any) -> None:
        """As a list's subclass needs."""

    def extend(self, values: Any) -> None:
        """As a list's subclass needs."""

    def add(self, value: Any) -> None:
        """As a set's subclass needs."""


class _StorageType(Inert):
    """A class of storage; a subclass for each type of element."""

    dtype: np.dtype


class _RebuildTensor(Inert):
    """`_rebuild_tensor_v2(storage, offset, size, stride, …)`."""

    def __call__(
        self, storage: Any, offset: Any, size: Any, stride: Any, *_: Any
    ) -> Any:
        """The tensor, unless its elements are of a type that NumPy lacks."""
        if not isinstance(storage, Storage):
            return Inert()
        return StoredTensor(storage, offset, tuple(size), tuple(stride))


class _RebuildParameter(Inert):
    """`_rebuild_parameter(data, …)`."""

    def __call__(self, data: Any, *_: Any) -> Any:
        """The tensor."""
        return data


class _RebuildFromType(Inert):
    """`_rebuild_from_type_v2(function, class, arguments, state)`."""

    def __call__(self, function: Any, _: Any, arguments: Any, *__: Any) -> Any:
        """The tensor without its attributes; nothing for a foreign class of tensor."""
        if isinstance(function, _RebuildTensor):
            return function(*arguments)
        return Inert()


_CALLS: dict[str, type[Inert]] = {
    "torch._utils._rebuild_tensor": _RebuildTensor,
    "torch._utils._rebuild_tensor_v2": _RebuildTensor,
    "torch._utils._rebuild_parameter": _RebuildParameter,
    "torch._utils._rebuild_parameter_with_state": _RebuildParameter,
    "torch._tensor._rebuild_from_type_v2": _RebuildFromType,
}


class Unpickler(KeyCheckingUnpickler):
    """Finds no class and no function but the few above."""

    def __init__(
        self, stream: io.BufferedIOBase | io.BytesIO, types: dict[str, np.dtype]
    ):
        # Python 2 wrote some of these files.
        super().__init__(stream, encoding="latin1")
        self._types = types

    def find_class(self, module: str, name: str) -> Any:
        """What a name stands for here."""
        source = f"{module}.{name}"
        if source == _ORDERED:
            return SealedDict
        if source in _CALLS:
            return _CALLS[source]()
        if module in _STORAGE_MODULES and name in STORAGE_TYPES:
            return type(name, (_StorageType,), {"dtype": STORAGE_TYPES[name]})
        return type("Inert", (Inert,), {})

    def persistent_load(self, pid: Any) -> Any:
        """A storage: ("storage", class, key, device, elements[, view])."""
        if not isinstance(pid, tuple) or len(pid) < 5 or pid[0] != "storage":
            raise ValueError("something other than a storage lies outside the pickle")
        kind, key, count = pid[1], pid[2], pid[4]
        if not isinstance(kind, type) or not issubclass(kind, _StorageType):
            return Inert()  # of a type that NumPy lacks
        self._types[str(key)] = kind.dtype
        view = pid[5] if len(pid) > 5 else None
        if view is not None:
            _, first, count = view
            return Storage(str(key), kind.dtype, int(count), int(first))
        return Storage(str(key), kind.dtype, int(count))


def load_pickle(
    stream: io.BufferedIOBase | io.BytesIO,
    path: str,
    types: dict[str, np.dtype] | None = None,
) -> Any:
    """One pickle of the stream, which then stands behind it.

    Args:
      stream: the bytes.
      path: the file, for errors.
      types: takes the type of every storage, by its key.

    Raises:
      UserError: bytes that are no pickle, or one that no PyTorch wrote.
    """
    try:
        return Unpickler(stream, {} if types is None else types).load()
    # Damaged pickles raise nearly anything: KeyError, IndexError, TypeError, …
    except Exception as error:
        refuse(path, error)


def refuse(path: str, error: Exception) -> NoReturn:
    """Says that the file is damaged, and how it shows."""
    reason = " ".join(f"{type(error).__name__}: {error}".split())
    raise UserError(
        f"{path}: not a readable PyTorch file ({reason}); it may be truncated: fetch "
        "it again"
    ) from error
