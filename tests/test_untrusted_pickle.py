"""Pickles that are made to crash the process that reads them."""

import io
import pickle
import subprocess
import sys

import numpy as np
import pytest

from dsr_jax.body.inert_pickle import as_array, read_pickle
from dsr_jax.regressor.torch_file.pickled import load_pickle
from dsr_jax.untrusted_pickle import SealedDict

# Every way in which a pickle can have a tuple, 300 000 deep, hashed.
_HASH_DEEP_TUPLES = r"""
import io, sys
from dsr_jax.body.inert_pickle import read_pickle
from dsr_jax.errors import UserError
from dsr_jax.regressor.torch_file.pickled import load_pickle

read = {"body": read_pickle, "torch": load_pickle}[sys.argv[1]]
deep = b")" + b"\x85" * 300_000
ordered = b"ccollections\nOrderedDict\n"
for opcodes in (
    b"}" + deep + b"Ns",
    b"}(NN" + deep + b"Nu",
    b"(" + deep + b"Nd",
    b"\x8f(" + deep + b"\x90",
    b"(" + deep + b"\x91",
    ordered + b")R" + deep + b"Ns",
    ordered + b"]" + deep + b"N\x86a\x85R",
    ordered + b"]](" + deep + b"Nea\x85R",
    b"}" + deep + b"N\x86Ns",
):
    try:
        read(io.BytesIO(b"\x80\x04" + opcodes + b"."), "file")
    except UserError as error:
        assert "\n" not in str(error)
        print(error)
"""


@pytest.mark.parametrize("reader", ["body", "torch"])
def test_deep_keys_end_in_one_line(reader):
    """In a process of its own, which a recursion in C would end."""
    done = subprocess.run(
        [sys.executable, "-c", _HASH_DEEP_TUPLES, reader],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-500:]
    lines = done.stdout.splitlines()
    assert len(lines) == 9
    assert all(
        line.startswith("file: not a readable ") and "nested tuples" in line
        for line in lines
    )


@pytest.mark.parametrize("read", [read_pickle, load_pickle])
def test_ordinary_keys_are_read(read):
    content = {"a": 1, 2: "b", (3, "c"): [4.5], None: {}}
    for protocol in range(6):
        data = pickle.dumps(content, protocol)
        assert read(io.BytesIO(data), "file") == content
    sets = {"a": {5, (6, 7)}, frozenset({8}): ()}
    assert read(io.BytesIO(pickle.dumps(sets, 4)), "file") == sets


@pytest.mark.parametrize("read", [read_pickle, load_pickle])
def test_ordered_dictionaries_take_no_attributes(read):
    """NumPy would read the memory that `__array_interface__` points to."""
    interface = {"data": (0xDEADBEEF, True), "shape": (4,), "typestr": "<f8"}
    state = pickle.dumps({"__array_interface__": interface | {"version": 3}}, 2)
    start = b"\x80\x02ccollections\nOrderedDict\n)R"
    found = read(io.BytesIO(start + state[2:-1] + b"b."), "file")
    assert type(found) is SealedDict and not vars(found)


class _Memory:
    """Hands out memory, as an object of a file must not."""

    __array_interface__ = np.zeros(3).__array_interface__


@pytest.mark.parametrize(
    "value", [_Memory(), [_Memory()], [1.0, SealedDict()], b"12", ["1"], [[None]]]
)
def test_arrays_are_made_of_numbers_alone(value):
    with pytest.raises(ValueError, match="where an array is needed"):
        as_array(value)


def test_lists_of_numbers_are_arrays():
    for value in (3, 2.5, True, [], [1, 2.5], ((1, 2), [3, 4]), np.arange(3)):
        np.testing.assert_array_equal(as_array(value), np.asarray(value))


def test_one_list_in_many_places_is_refused_at_once():
    """10 to the 9 numbers, or lists without end, in a handful of bytes."""
    many: list = [0.0] * 1000
    for _ in range(2):
        many = [many] * 1000
    endless: list = []
    endless.append(endless)
    for value in (many, endless):
        with pytest.raises(ValueError, match="where an array is needed"):
            as_array(value)
