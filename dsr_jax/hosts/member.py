"""The side of every process but the first: one connection to process 0."""

import socket
import threading
import time
from collections.abc import Callable
from typing import NoReturn

from dsr_jax.errors import EnvironmentFault
from dsr_jax.hosts.job import Job
from dsr_jax.hosts.line import Line, Message, Silence
from dsr_jax.hosts.verdict import end_process, take_floor
from dsr_jax.hosts.wording import gone_line, own_greeting, silent_line

_RETRY_SECONDS = 0.5
_GREETING_SECONDS = 10
_FAREWELL_SECONDS = 3


class Member:
    """Comes to process 0, and watches it."""

    def __init__(
        self,
        job: Job,
        silence_seconds: float,
        wait_seconds: float,
        check: Callable[[], None],
    ):
        """Connects.

        Raises:
          EnvironmentFault: process 0 does not come, or something else is there.
        """
        self._job = job
        self._silence_seconds = silence_seconds
        self._interval = silence_seconds / 10
        self._changed = threading.Condition()
        self._greeting = own_greeting(job)
        self._met: set[str] = set()
        self._arrived: dict[str, list[int]] = {}
        self._values: dict[str, object] = {}
        self._leaving = self._started = False
        self._understood = threading.Event()
        connection = _connect(job, wait_seconds, check)
        self.address = connection.getpeername()[:2]
        """Where process 0 was found."""
        self._line = Line(connection)
        self._line.send(**self._greeting)
        welcome = self._line.first(_GREETING_SECONDS)
        if welcome is None or welcome.get("kind") != "welcome":
            raise EnvironmentFault(
                f"{job.address} answers, but not as process 0 of {job.count}: another "
                "program has the port; give another one"
            )
        self._center = str(welcome["who"])
        for target in (self._listen, self._look):
            threading.Thread(target=target, daemon=True).start()

    @property
    def greeting(self) -> Message:
        """How this process introduces itself."""
        return self._greeting

    def gather(self, check: Callable[[], None]) -> None:
        """Waits until all have come; process 0 knows for how long."""
        while not self._started:
            check()
            self.wait(0.2)

    def arrive(self, name: str) -> None:
        """Tells process 0 that this process is at a meeting."""
        self._line.send(kind="arrive", name=name)

    def missing(self, name: str) -> set[int]:
        """Who is not at a meeting yet, as process 0 knew a moment ago."""
        if name in self._met:
            return set()
        return set(range(self._job.count)) - set(self._arrived.get(name, ()))

    def has(self, name: str) -> bool:
        """Whether process 0 has told a value."""
        return name in self._values

    def value(self, name: str) -> object:
        """What process 0 told."""
        return self._values[name]

    def wait(self, seconds: float) -> None:
        """Until something changes."""
        with self._changed:
            self._changed.wait(seconds)

    def end_self(self, line: str, code: int, error: BaseException | None) -> NoReturn:
        """Ends this process, and all others with why."""
        take_floor()
        self._leaving = True
        self._line.send(kind="ended", line=line, code=code)
        # Closed at once, the connection might swallow what was said.
        self._understood.wait(_FAREWELL_SECONDS)
        end_process(line, code, error)

    def who(self, index: int) -> str:
        """`process 2 of 4`."""
        if index == 0:
            return self._center
        return f"{self._job.name(index)} of {self._job.count}"

    def close(self) -> None:
        """Says goodbye; nobody is watched any more."""
        self._leaving = True
        self._line.send(kind="bye")
        self._line.close()

    def _listen(self) -> None:
        for message in self._line.messages():
            with self._changed:
                self._take(message)
                self._changed.notify_all()
        self._understood.set()
        if not self._leaving:
            take_floor()
            end_process(gone_line(self._center), EnvironmentFault.exit_code)

    def _take(self, message: Message) -> None:
        match message["kind"]:
            case "start":
                self._started = True
            case "beat":
                self._arrived = message["arrived"]
            case "met":
                self._met.add(str(message["name"]))
            case "value":
                self._values[str(message["name"])] = message["value"]
            case "bye":
                self._leaving = True
            case "end":
                self._understood.set()
                take_floor()
                end_process(str(message["line"]), int(message["code"]))

    def _look(self) -> None:
        silence = Silence(self._interval)
        while True:
            time.sleep(self._interval)
            silence.look()
            self._line.send(kind="beat")
            if not self._leaving and silence.of(self._line) > self._silence_seconds:
                take_floor()
                line = silent_line(self._center, self._silence_seconds)
                end_process(line, EnvironmentFault.exit_code)


def _connect(job: Job, seconds: float, check: Callable[[], None]) -> socket.socket:
    deadline = time.monotonic() + seconds
    while True:
        check()
        left = deadline - time.monotonic()
        try:
            return socket.create_connection(
                (job.host, job.port), timeout=max(0.1, min(5.0, left))
            )
        except socket.gaierror:
            reason = f"the name {job.host} cannot be resolved"
        except ConnectionRefusedError:
            reason = "nobody listens there"
        except OSError as error:
            reason = error.strerror or "no answer"
        if left <= _RETRY_SECONDS:
            raise EnvironmentFault(
                f"{job.name(0)} of {job.count} did not come within {seconds:g} s: "
                f"{job.address}: {reason}; start the same command as every process, "
                "and see its log"
            )
        time.sleep(_RETRY_SECONDS)
