"""What the processes of a job do together."""

import time
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from dsr_jax.errors import EnvironmentFault
from dsr_jax.hosts.center import Center
from dsr_jax.hosts.job import Job
from dsr_jax.hosts.member import Member
from dsr_jax.hosts.wording import AGAIN

WAIT_SECONDS = 300.0

Arguments = ParamSpec("Arguments")
Value = TypeVar("Value")


class Hosts:
    """The processes of this job, seen from one of them."""

    def __init__(
        self,
        job: Job | None = None,
        board: Center | Member | None = None,
        wait_seconds: float = WAIT_SECONDS,
    ):
        self.index = 0 if job is None else job.index
        """Number of this process, from 0."""
        self.count = 1 if job is None else job.count
        """Processes of the job."""
        self._board = board
        self._wait_seconds = wait_seconds
        self._meetings: dict[str, int] = {}

    @property
    def is_first(self) -> bool:
        """Whether this process writes and prints for all."""
        return self.index == 0

    def meet(self, name: str, seconds: float | None = None) -> None:
        """Waits until all processes are here.

        Args:
          name: of the meeting, for the message; may be used again.
          seconds: for how long; `wait_seconds` of `joined_hosts` by default.

        Raises:
          EnvironmentFault: names who is missing.
        """
        if self._board is not None:
            board, key = self._board, self._key(name)
            board.arrive(key)
            self._until(board, name, seconds, lambda: board.missing(key))

    def from_first(
        self, name: str, function: Callable[[], Value], seconds: float | None = None
    ) -> Value:
        """What a function gives in the first process; no other process calls it.

        Args:
          name: of the matter, for the message; may be used again.
          function: gives a value of JSON's types.
          seconds: how long others wait for it.

        Raises:
          EnvironmentFault: the first process has not answered in time.
        """
        if self._board is None:
            return function()
        key = self._key(name)
        if isinstance(self._board, Center):
            value = function()
            self._board.tell(key, value)
            return value
        member = self._board
        self._until(member, name, seconds, lambda: set() if member.has(key) else {0})
        return member.value(key)  # type: ignore[return-value]

    def first_does(
        self,
        function: Callable[Arguments, object],
        *args: Arguments.args,
        **kwargs: Arguments.kwargs,
    ) -> None:
        """Calls a function in the first process alone; nobody waits for it."""
        if self.is_first:
            function(*args, **kwargs)

    def say(self, text: str) -> None:
        """Prints in the first process alone."""
        self.first_does(print, text)

    def _key(self, name: str) -> str:
        self._meetings[name] = self._meetings.get(name, 0) + 1
        return f"{name} {self._meetings[name]}"

    def _until(
        self,
        board: Center | Member,
        name: str,
        seconds: float | None,
        missing: Callable[[], set[int]],
    ) -> None:
        seconds = self._wait_seconds if seconds is None else seconds
        deadline = time.monotonic() + seconds
        while missing():
            if time.monotonic() > deadline:
                late = map(board.who, sorted(missing() - {self.index}))
                raise EnvironmentFault(
                    f"{' and '.join(late)} answered, but did not come to '{name}' "
                    f"within {seconds:g} s: see what it does, and {AGAIN}"
                )
            board.wait(0.1)
