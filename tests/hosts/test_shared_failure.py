"""A failure that one host tells the others stays what it was."""

import pytest

from dsr_jax.data.image_file import BrokenImage
from dsr_jax.errors import EnvironmentFault, Interrupted, PeerDefect, UserError
from dsr_jax.hosts.shared_failure import (
    failing_together,
    first_failure,
    raise_together,
    words_of,
)


class Lost(Exception):
    """Of one module only."""


@pytest.mark.parametrize(
    ("failure", "kind", "code"),
    [
        (UserError("--steps 0: give 1 or more"), UserError, 2),
        (EnvironmentFault("/runs: disk full"), EnvironmentFault, 75),
        # A subclass that nobody else knows is told as what it is made of.
        (BrokenImage("a.png: cut off", "truncated"), UserError, 2),
        (Interrupted(15), Interrupted, 143),
    ],
)
def test_type_line_and_exit_code(failure, kind, code):
    heard = first_failure(["", words_of(failure), words_of(UserError("later"))])
    assert type(heard) is kind
    assert str(heard) == str(failure) and heard.exit_code == code


def test_kinds_of_a_module_and_of_nobody():
    heard = first_failure([words_of(Lost("leaf 3"), [Lost])], [Lost])
    assert type(heard) is Lost and str(heard) == "leaf 3"
    heard = first_failure(["", words_of(KeyError("x"))])
    assert type(heard) is PeerDefect and heard.exit_code == 1
    assert str(heard) == "process 1 failed: KeyError: 'x'; see its output"


def test_nobody_failed():
    assert words_of(None) == "" and first_failure(["", ""]) is None
    raise_together(None)


def test_alone_it_is_the_failure_itself():
    failure = EnvironmentFault("/runs: disk full")
    with pytest.raises(EnvironmentFault) as raised, failing_together():
        raise failure
    assert raised.value is failure
