"""A connection between two processes of a job: JSON messages, one a line."""

import contextlib
import json
import socket
import struct
import threading
import time
from collections.abc import Iterator
from typing import Any

Message = dict[str, Any]

# Longer than the list of arrivals of ten thousand processes.
_LONGEST = 1 << 17
# A halted peer takes nothing from the buffers; nobody waits for it.
_SEND_SECONDS = 5


class Line:
    """Messages both ways; any thread may send, one receives."""

    def __init__(self, connection: socket.socket):
        connection.settimeout(None)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        limit = struct.pack("ll", _SEND_SECONDS, 0)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
        self.connection = connection
        self.heard = time.monotonic()
        """When the last message came."""
        self.closed = threading.Event()
        """Set once the other end is closed."""
        self._sending = threading.Lock()

    def send(self, **message: object) -> None:
        """Sends a message; a broken connection shows when one receives."""
        data = json.dumps(message).encode() + b"\n"
        with self._sending, contextlib.suppress(OSError):
            self.connection.sendall(data)

    def first(self, seconds: float) -> Message | None:
        """The first message, taken byte by byte: what follows may be another's."""
        self.connection.settimeout(seconds)
        data = b""
        try:
            while not data.endswith(b"\n") and len(data) < _LONGEST:
                byte = self.connection.recv(1)
                if not byte:
                    return None
                data += byte
            return _message(data)
        except (OSError, ValueError):
            return None
        finally:
            self.connection.settimeout(None)

    def messages(self) -> Iterator[Message]:
        """Everything that comes, until the other end is closed."""
        data = b""
        with contextlib.suppress(OSError, ValueError):
            while len(data) < _LONGEST:
                received = self.connection.recv(1 << 14)
                if not received:
                    break
                *lines, data = (data + received).split(b"\n")
                self.heard = time.monotonic()
                yield from map(_message, lines)
        self.closed.set()

    def close(self) -> None:
        """Closes this end."""
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)
        self.connection.close()


def _message(data: bytes) -> Message:
    message = json.loads(data)
    if not isinstance(message, dict):
        raise ValueError(f"{data[:80]!r} is no message")
    return message


class Silence:
    """How long others have been silent, without the time that this process slept."""

    def __init__(self, interval: float):
        self._interval = interval
        self._looked = time.monotonic()
        self._awake = self._looked

    def look(self) -> None:
        """To be called every `interval` seconds."""
        now = time.monotonic()
        # Halted, or starved: what others sent meanwhile is not read yet.
        if now - self._looked > 3 * self._interval:
            self._awake = now
        self._looked = now

    def of(self, line: Line) -> float:
        """Seconds since the line was heard."""
        return self._looked - max(line.heard, self._awake)
