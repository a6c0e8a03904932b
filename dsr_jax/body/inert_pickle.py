"""Reads the arrays of a pickle without building a single object that it names.

SMPL's files are Python 2 pickles that hold chumpy expressions and scipy matrices, those
of 3DPW hold lists of arrays, and unpickling runs whatever a pickle names. Here a short
list of names is accepted, and each stands for a `Record` that only remembers what it
was given; any other name ends the reading before it is looked up. Arrays are then made
from the records.
"""

import io
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.sparse

from dsr_jax.errors import UserError
from dsr_jax.untrusted_pickle import KeyCheckingUnpickler, SealedDict

_NUMPY_CORES = ("numpy.core", "numpy._core")
# scipy renamed its modules: scipy.sparse.csc became scipy.sparse._csc in 1.8.
_SPARSE = re.compile(r"scipy\.sparse\._?(csc|csr|coo)\.\1_(?:matrix|array)")
_PYTHON2_MODULES = {"__builtin__": "builtins", "copy_reg": "copyreg"}
_ACCEPTED = {
    "builtins.object",
    "builtins.set",
    "builtins.slice",
    "copyreg._reconstructor",
    "_codecs.encode",
    "numpy.ndarray",
    "numpy.dtype",
    *(f"{core}.multiarray._reconstruct" for core in _NUMPY_CORES),
    *(f"{core}.multiarray.scalar" for core in _NUMPY_CORES),
    *(f"{core}.numeric._frombuffer" for core in _NUMPY_CORES),
}
_NUMBER = re.compile(r"[<>=|]?([biuf])(1|2|4|8)")
# A dense matrix of this many entries is no part of a body file.
_LARGEST_DENSE = 10**8
# Lists nested deeper, or with more numbers, are no part of a data file: one list that
# is named in many places can stand for any number of them.
_DEEPEST_LIST = 8
_LONGEST_LIST = 10**7


class Record:
    """What a pickle asked for: a name, its arguments and its state. Does nothing."""

    source: str
    arguments: tuple[Any, ...]
    state: Any

    def __new__(cls, *arguments: Any) -> "Record":
        """Accepts whatever the pickle passes."""
        record = super().__new__(cls)
        record.arguments = arguments
        record.state = None
        return record

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _Unpickler(KeyCheckingUnpickler):
    def __init__(self, stream: io.BufferedIOBase, path: str):
        # Python 2 kept bytes in strings; latin-1 gives them back one to one.
        super().__init__(stream, encoding="latin1")
        self._path = path

    def find_class(self, module: str, name: str) -> type:
        source = f"{_PYTHON2_MODULES.get(module, module)}.{name}"
        if source == "collections.OrderedDict":
            return SealedDict
        # chumpy has dozens of expression classes and none of them is run here.
        accepted = (
            source in _ACCEPTED
            or module.split(".")[0] == "chumpy"
            or _SPARSE.fullmatch(source)
        )
        if not accepted:
            raise UserError(
                f"{self._path}: refused, this pickle names '{source}', which no data "
                "file needs and which could run code; get the file from its makers"
            )
        return type("Record", (Record,), {"source": source})


def read_pickle(stream: io.BufferedIOBase, path: str) -> Any:
    """The pickle's content, with a `Record` wherever it names a class or function.

    Raises:
      UserError: a name that is not accepted, or bytes that are no pickle.
    """
    try:
        return _Unpickler(stream, path).load()
    except UserError:
        raise
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise UserError(
            f"{path}: not a readable pickle ({reason}); it may be truncated: fetch it "
            "again"
        ) from error


def as_array(value: Any) -> np.ndarray:
    """The array that a value of `read_pickle` stands for; sparse matrices are dense.

    Raises:
      ValueError: the value stands for no numeric array.
    """
    if not isinstance(value, Record):
        return _plain_array(value)
    if _SPARSE.fullmatch(_class_name(value)):
        return _sparse(_class_name(value), _state(value))
    if _class_name(value).startswith("chumpy."):
        return _chumpy(value)
    if value.source.endswith("._reconstruct"):
        return _numpy_array(value)
    if value.source.endswith("._frombuffer"):
        return _array_from_buffer(value)
    if value.source.endswith(".scalar"):
        dtype, data = value.arguments
        return np.frombuffer(_bytes(data), _dtype(dtype)).reshape(())
    raise ValueError(f"holds a {value.source} where an array is needed")


def _plain_array(value: Any) -> np.ndarray:
    # NumPy asks other objects for their memory, so it never sees them.
    if type(value) is not np.ndarray and not _is_of_numbers(value):
        raise ValueError(f"holds a {type(value).__name__} where an array is needed")
    array = np.asarray(value)
    if array.dtype.kind not in "biuf":
        raise ValueError(f"holds a {type(value).__name__} where an array is needed")
    return array


def _is_of_numbers(value: Any) -> bool:
    """Whether it is a number, or lists of lists of numbers."""
    level = [value]
    for _ in range(_DEEPEST_LIST + 1):
        inner = [entry for entry in level if type(entry) in (list, tuple)]
        others = {type(entry) for entry in level} - {list, tuple}
        if not others <= {bool, int, float}:
            return False
        if not inner:
            return True
        if sum(map(len, inner)) > _LONGEST_LIST:
            return False
        level = [entry for entries in inner for entry in entries]
    return False


def _class_name(record: Record) -> str:
    """The class of an object, also if it was made through copyreg._reconstructor."""
    if record.source == "copyreg._reconstructor" and record.arguments:
        return str(getattr(record.arguments[0], "source", ""))
    return record.source


def _state(record: Record) -> dict[str, Any]:
    if not isinstance(record.state, dict):
        raise ValueError(f"holds a {_class_name(record)} without its content")
    return record.state


def _numpy_array(record: Record) -> np.ndarray:
    _, shape, dtype, fortran_order, data = record.state
    if _dtype_code(dtype).startswith("O"):
        if len(data) != 1:
            raise ValueError("holds an array of several objects")
        return as_array(data[0])
    return shaped(np.frombuffer(_bytes(data), _dtype(dtype)), shape, fortran_order)


def _array_from_buffer(record: Record) -> np.ndarray:
    """Protocol 5 keeps the buffer, type, shape and order side by side."""
    data, dtype, shape, order = record.arguments
    return shaped(np.frombuffer(_bytes(data), _dtype(dtype)), shape, order == "F")


def shaped(flat: np.ndarray, shape: Sequence[int], fortran_order: bool) -> np.ndarray:
    """The array that lies in `flat` by rows or, in Fortran order, by columns."""
    if fortran_order:
        return flat.reshape(tuple(shape)[::-1]).T
    return flat.reshape(tuple(shape))


def _dtype_code(record: Any) -> str:
    if not isinstance(record, Record) or record.source != "numpy.dtype":
        raise ValueError("holds an array without a data type")
    return str(record.arguments[0])


def _dtype(record: Any) -> np.dtype:
    code = _dtype_code(record)
    if not _NUMBER.fullmatch(code):
        raise ValueError(f"holds an array of type {code}, not of numbers")
    dtype = np.dtype(code)
    return dtype.newbyteorder(">") if record.state[1] == ">" else dtype


def _bytes(value: Any) -> bytes:
    """Raw bytes, however the pickle's protocol spells them."""
    if isinstance(value, Record) and value.source == "_codecs.encode":
        value = value.arguments[0]
    if isinstance(value, str):
        return value.encode("latin1")
    if isinstance(value, bytes | bytearray):
        return bytes(value)
    raise ValueError("holds an array without its data")


def _sparse(name: str, state: dict[str, Any]) -> np.ndarray:
    """A csc, csr or coo matrix, dense; scipy checks its indices."""
    rows, columns = state["_shape"] if "_shape" in state else state["shape"]
    if rows * columns > _LARGEST_DENSE:
        raise ValueError(f"holds a sparse matrix of {rows} x {columns}")
    data = as_array(state["data"])
    if "coo" in name:
        index = state.get("coords") or (state["row"], state["col"])
        where = tuple(as_array(part) for part in index)
        return scipy.sparse.coo_matrix((data, where), (rows, columns)).toarray()
    make = scipy.sparse.csc_matrix if "csc" in name else scipy.sparse.csr_matrix
    parts = (data, as_array(state["indices"]), as_array(state["indptr"]))
    matrix = make(parts, shape=(rows, columns))
    matrix.check_format(full_check=True)
    return matrix.toarray()


def _chumpy(record: Record) -> np.ndarray:
    """The value of a chumpy constant, or of a selection of its entries."""
    name, state = _class_name(record), _state(record)
    if name == "chumpy.ch.Ch":
        return as_array(state["x"])
    if name == "chumpy.reordering.Select":
        chosen = as_array(state["a"]).ravel()[as_array(state["idxs"])]
        shape = state.get("preferred_shape", chosen.shape)
        return chosen.reshape(tuple(int(n) for n in shape))
    raise ValueError(f"holds a {name} expression, which only chumpy could evaluate")
