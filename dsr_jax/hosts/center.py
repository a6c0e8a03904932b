"""Process 0's side: who has come, who answers, who has arrived where.

Every process has one connection to process 0. Whoever closes it without a word, or is
silent for too long, is lost; process 0 tells the others and ends.
"""

import dataclasses
import socket
import threading
import time
from collections.abc import Callable
from typing import NoReturn

from dsr_jax.errors import EnvironmentFault, UserError
from dsr_jax.hosts.job import Job
from dsr_jax.hosts.line import Line, Message, Silence
from dsr_jax.hosts.tunnel import serve_tunnel
from dsr_jax.hosts.verdict import end_process, take_floor
from dsr_jax.hosts.wording import (
    described,
    gone_line,
    is_greeting,
    missing_line,
    own_greeting,
    silent_line,
)

_GREETING_SECONDS = 10
# A process of the job before this one may still hold the port.
_PORT_SECONDS = 15
_FAREWELL_SECONDS = 3


@dataclasses.dataclass
class _Member:
    line: Line
    who: str
    leaving: bool = False
    """Whether it has said goodbye, or is given up."""


class Center:
    """Listens at the job's address, on all of this machine's networks."""

    def __init__(self, job: Job, silence_seconds: float):
        self._job = job
        self._silence_seconds = silence_seconds
        self._interval = silence_seconds / 10
        self._changed = threading.Condition()
        self._members: dict[int, _Member] = {}
        self._arrived: dict[str, set[int]] = {}
        self._started = self._leaving = False
        self._service_port = 0
        self._listener = _listen(job)
        for target in (self._accept, self._look):
            threading.Thread(target=target, daemon=True).start()

    def gather(self, seconds: float, check: Callable[[], None]) -> None:
        """Waits until all have come; ends all processes if somebody does not.

        Raises:
          UserError: two processes have one number, or disagree on how many they are.
        """
        deadline = time.monotonic() + seconds
        while not self._complete():
            check()
            if time.monotonic() > deadline:
                missing = set(range(1, self._job.count)) - self._members.keys()
                line = missing_line(self._job, missing, seconds)
                self.end(line, EnvironmentFault.exit_code)
            self.wait(0.2)

    def start(self, service_port: int) -> None:
        """Tells all that JAX's coordination service is at a port of this machine."""
        self._service_port = service_port
        self._broadcast(kind="start")

    def arrive(self, name: str) -> None:
        """Notes that process 0 is at a meeting."""
        self._note(0, name)

    def tell(self, name: str, value: object) -> None:
        """Gives all others a value."""
        self._broadcast(kind="value", name=name, value=value)

    def missing(self, name: str) -> set[int]:
        """Who is not at a meeting yet."""
        return set(range(self._job.count)) - self._arrived.get(name, set())

    def wait(self, seconds: float) -> None:
        """Until something changes."""
        with self._changed:
            self._changed.wait(seconds)

    def end(self, line: str, code: int) -> NoReturn:
        """Ends all processes, this one too, with one line."""
        take_floor()
        self._tell_end(line, code)
        end_process(line, code)

    def end_self(self, line: str, code: int, error: BaseException | None) -> NoReturn:
        """Ends this process, and all others with why."""
        take_floor()
        self._tell_end(f"{self.who(0)} has ended: {line}", code)
        end_process(line, code, error)

    def who(self, index: int) -> str:
        """`process 2 of 4 (host node3, pid 1234)`."""
        if index in self._members:
            return self._members[index].who
        greeting = own_greeting(self._job) if index == 0 else None
        return described(self._job, index, greeting)

    def close(self) -> None:
        """Says goodbye; nobody is watched any more."""
        self._leaving = True
        self._broadcast(kind="bye")
        deadline = time.monotonic() + _FAREWELL_SECONDS
        for member in list(self._members.values()):
            member.line.closed.wait(max(0, deadline - time.monotonic()))
        self._listener.close()

    def _tell_end(self, line: str, code: int) -> None:
        self._broadcast(kind="end", line=line, code=code)
        deadline = time.monotonic() + _FAREWELL_SECONDS
        for member in list(self._members.values()):
            # A lost one closes nothing.
            if not member.leaving:
                member.line.closed.wait(max(0, deadline - time.monotonic()))

    def _complete(self) -> bool:
        with self._changed:
            self._started = len(self._members) == self._job.count - 1
            return self._started

    def _broadcast(self, **message: object) -> None:
        for member in list(self._members.values()):
            member.line.send(**message)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        line = Line(connection)
        hello = line.first(_GREETING_SECONDS)
        if hello is None or not is_greeting(hello):
            # A port scanner, or another program's client.
            line.close()
        elif hello.get("tunnel"):
            serve_tunnel(connection, lambda: self._service_port)
        elif self._welcome(line, hello):
            self._listen_to(int(hello["index"]))

    def _welcome(self, line: Line, hello: Message) -> bool:
        index, count = int(hello["index"]), int(hello["count"])
        who = described(self._job, index, hello)
        line.send(kind="welcome", who=self.who(0))
        with self._changed:
            there = index == 0 or index in self._members
            if count == self._job.count and not there and not self._started:
                self._members[index] = _Member(line, who)
                self._changed.notify_all()
                return True
        if self._started:
            text = f"{self._job.address} runs a job already: wait for its end, or give"
            code = EnvironmentFault.exit_code
            line.send(kind="end", line=f"{text} another port", code=code)
            return False
        text = f"{who} says that the job has {count} processes, and process 0 says "
        text += f"{self._job.count}: give all the same number"
        if count == self._job.count:
            other = self.who(index)
            text = f"{who} came, but {other} is there already: give each process its "
            text += "own number"
        line.send(kind="end", line=text, code=UserError.exit_code)
        self.end(text, UserError.exit_code)
        return False

    def _listen_to(self, index: int) -> None:
        member = self._members[index]
        for message in member.line.messages():
            match message["kind"]:
                case "arrive":
                    self._note(index, str(message["name"]))
                case "ended":
                    member.leaving = True
                    text = f"{member.who} has ended: {message['line']}"
                    self.end(text, int(message["code"]))
                case "bye":
                    member.leaving = True
        if self._leaving or member.leaving:
            return
        with self._changed:
            if not self._started:
                # It may start again before the others have come.
                del self._members[index]
                return
        member.leaving = True
        self.end(gone_line(member.who), EnvironmentFault.exit_code)

    def _note(self, index: int, name: str) -> None:
        with self._changed:
            arrived = self._arrived.setdefault(name, set())
            arrived.add(index)
            self._changed.notify_all()
        if len(arrived) == self._job.count:
            self._broadcast(kind="met", name=name)

    def _look(self) -> None:
        silence = Silence(self._interval)
        while not self._leaving:
            time.sleep(self._interval)
            silence.look()
            open_meetings = {
                name: sorted(arrived)
                for name, arrived in list(self._arrived.items())
                if len(arrived) < self._job.count
            }
            self._broadcast(kind="beat", arrived=open_meetings)
            for member in list(self._members.values()):
                if silence.of(member.line) > self._silence_seconds:
                    member.leaving = True
                    line = silent_line(member.who, self._silence_seconds)
                    self.end(line, EnvironmentFault.exit_code)


def _listen(job: Job) -> socket.socket:
    deadline = time.monotonic() + _PORT_SECONDS
    while True:
        try:
            if socket.has_dualstack_ipv6():
                family, dual = socket.AF_INET6, True
            else:
                family, dual = socket.AF_INET, False
            return socket.create_server(
                ("", job.port), family=family, dualstack_ipv6=dual, backlog=1024
            )
        except OSError as error:
            if time.monotonic() > deadline:
                raise EnvironmentFault(
                    f"process 0 of {job.count} cannot listen at port {job.port} of "
                    f"{socket.gethostname()} ({error.strerror}): another program or "
                    "another process 0 has it; end that, or give another port"
                ) from error
            time.sleep(0.5)
