"""What every reader of an untrusted pickle starts from.

CPython hashes nested tuples by recursion in C without looking at the stack, so that a
tuple in a tuple in a tuple …, 300 000 deep, ends the whole process once it is a
dictionary's key. Deep keys are therefore refused before they are hashed. The unpickler
in C has no place for such a check; the one in Python has, and data files are few
opcodes with much data behind each.
"""

import pickle
from collections.abc import Callable, Iterable
from typing import Any, ClassVar


def check_key(key: Any) -> None:
    """Lets pass what can be hashed in bounded time and depth.

    Raises:
      ValueError: a tuple of tuples. Any other key holds none, or, as a frozenset does,
        knows its hash already.
    """
    if type(key) is tuple and any(type(item) is tuple for item in key):
        raise ValueError("a key is made of nested tuples")


class SealedDict(dict):
    """A dictionary that gets no attributes: the BUILD opcode finds `__setstate__`.

    NumPy reads memory wherever an object's `__array_interface__` points, and a
    subclass of `dict`, such as `OrderedDict`, would take that attribute from a file.
    """

    def __init__(self, items: Any = ()):
        pairs = items if isinstance(items, list | tuple | dict) else ()
        for pair in pairs:
            if isinstance(pair, list | tuple) and pair:
                check_key(pair[0])
        super().__init__(pairs)

    def __setstate__(self, state: Any) -> None:
        """Forgets the state."""


class KeyCheckingUnpickler(pickle._Unpickler):
    """Checks whatever is to be hashed; subclasses say what names stand for."""

    stack: list[Any]
    dispatch: ClassVar[dict[int, Callable[[Any], None]]] = {
        **pickle._Unpickler.dispatch
    }


def _checking(
    opcode: bytes, keys: Callable[[KeyCheckingUnpickler], Iterable[Any]]
) -> None:
    """Before that opcode runs, what `keys` finds on the stack is checked."""
    load = KeyCheckingUnpickler.dispatch[opcode[0]]

    def checked(unpickler: KeyCheckingUnpickler) -> None:
        for key in keys(unpickler):
            check_key(key)
        load(unpickler)

    KeyCheckingUnpickler.dispatch[opcode[0]] = checked


# `stack` holds what came after the last mark: keys and values by turns, or members.
_checking(pickle.SETITEM, lambda unpickler: unpickler.stack[-2:-1])
_checking(pickle.SETITEMS, lambda unpickler: unpickler.stack[::2])
_checking(pickle.DICT, lambda unpickler: unpickler.stack[::2])
_checking(pickle.ADDITEMS, lambda unpickler: unpickler.stack)
_checking(pickle.FROZENSET, lambda unpickler: unpickler.stack)
