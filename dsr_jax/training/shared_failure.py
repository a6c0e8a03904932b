"""What stops one host stops all of them, with the same line."""

import contextlib
from collections.abc import Iterator

import jax

from dsr_jax.between_hosts import first_line
from dsr_jax.errors import UserError
from dsr_jax.training.interruption import Interrupted

_SIGNAL = "signal "


@contextlib.contextmanager
def failing_together() -> Iterator[None]:
    """At its end every host raises what any host raised within.

    Nothing within may wait for other hosts: one that has failed does not take part.

    Raises:
      UserError: the mistake of the first host that met one.
      Interrupted: after a signal on any host.
    """
    failure: UserError | Interrupted | None = None
    try:
        yield
    except (UserError, Interrupted) as error:
        failure = error
    if jax.process_count() == 1:
        if failure is not None:
            raise failure
        return
    line = first_line(_line_of(failure))
    if line.startswith(_SIGNAL):
        raise Interrupted(int(line.removeprefix(_SIGNAL))) from failure
    if line:
        raise UserError(line) from failure


def _line_of(failure: UserError | Interrupted | None) -> str:
    if isinstance(failure, Interrupted):
        return f"{_SIGNAL}{failure.exit_code - 128}"
    return "" if failure is None else str(failure)
