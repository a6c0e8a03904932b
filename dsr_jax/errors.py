"""What a user can get wrong, said in one line.

Library code raises `UserError` with a message that names the file or the key, says what
is wrong with it and what to do. Scripts turn it into that one line on standard error
and its exit code, with no traceback; every other exception is a defect and keeps its
own.
"""

import contextlib
import difflib
import signal
import sys
from collections.abc import Iterable, Iterator


class UserError(Exception):
    """A mistake in what the user gave; the message is one complete line."""

    exit_code = 2


class EnvironmentFault(UserError):
    """Nobody's mistake: a machine or the network; the same command may do tomorrow.

    Its exit code is EX_TEMPFAIL of sysexits.h, which tells a scheduler to try again.
    """

    exit_code = 75


class PeerDefect(UserError):
    """A defect in another process of the job, which has shown its traceback there."""

    exit_code = 1


class Interrupted(Exception):
    """The user or the system asked to stop; the run is not done."""

    def __init__(self, signal_number: int):
        super().__init__(signal.Signals(signal_number).name)
        self.exit_code = 128 + signal_number
        """130 for Ctrl-C, 143 for SIGTERM, as a shell reports them."""


def nearest(word: str, choices: Iterable[str]) -> str:
    """The end of an error line: the most similar choice, or all of them."""
    known = sorted(choices)
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"choose one of: {', '.join(known)}" if known else "none is known"


@contextlib.contextmanager
def one_line_errors() -> Iterator[None]:
    """Ends the process with one line: a `UserError`'s code, or 130 for Ctrl-C.

    Scripts that can go on where they were stopped catch the signal before, with
    `dsr_jax.training.interruption`.
    """
    try:
        yield
    except UserError as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print("interrupted: the same command starts again", file=sys.stderr)
        sys.exit(130)
