"""What stops one host stops all of them, with the same line and exit code."""

import contextlib
import json
from collections.abc import Iterator, Sequence

import jax

from dsr_jax.errors import EnvironmentFault, Interrupted, PeerDefect, UserError
from dsr_jax.hosts.exchange import gather_bytes

_KNOWN: tuple[type[Exception], ...] = (PeerDefect, EnvironmentFault, UserError)


@contextlib.contextmanager
def failing_together() -> Iterator[None]:
    """At its end every host raises what any host raised within.

    Nothing within may wait for other hosts: one that has failed does not take part.

    Raises:
      UserError: the mistake of the first host that met one, with its exit code.
      Interrupted: after a signal on any host.
    """
    failure: UserError | Interrupted | None = None
    try:
        yield
    except (UserError, Interrupted) as error:
        failure = error
    raise_together(failure)


def raise_together(failure: UserError | Interrupted | None) -> None:
    """Raises the failure of the first host that met one, on every host.

    Raises:
      UserError, Interrupted: as on that host.
    """
    if jax.process_count() > 1:
        words = gather_bytes(words_of(failure).encode())
        first = first_failure([word.decode() for word in words])
        if first is not None:
            raise first from failure
    if failure is not None:
        raise failure


def words_of(failure: Exception | None, kinds: Sequence[type[Exception]] = ()) -> str:
    """What another host needs to raise the same; "" for None.

    Args:
      failure: what was raised here.
      kinds: exceptions beside `UserError` and `Interrupted` that keep their type.
    """
    if failure is None:
        return ""
    if isinstance(failure, Interrupted):
        return json.dumps(["signal", failure.exit_code - 128])
    for kind in (*kinds, *_KNOWN):
        if isinstance(failure, kind):
            return json.dumps([kind.__name__, str(failure)])
    return json.dumps(["", f"{type(failure).__name__}: {failure}"])


def first_failure(
    words: Sequence[str], kinds: Sequence[type[Exception]] = ()
) -> Exception | None:
    """The first of the hosts' failures (`words_of`), by host; None if there is none.

    An exception of no known kind becomes a `PeerDefect` that names the host.
    """
    for host, said in enumerate(words):
        if said:
            name, content = json.loads(said)
            if name == "signal":
                return Interrupted(content)
            for kind in (*kinds, *_KNOWN):
                if name == kind.__name__:
                    return kind(content)
            return PeerDefect(f"process {host} failed: {content}; see its output")
    return None
