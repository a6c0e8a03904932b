"""JAX's connection to its coordination service, through process 0's one port.

The client inside JAX aborts its process, with pages of text, the moment process 0 is
gone. Here it talks to a port of its own machine, whose far end may break: the client
then waits, and whoever watches process 0 has the time to say what happened.
"""

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable

_CHUNK = 1 << 16
_SERVICE_SECONDS = 60


def open_tunnel(
    address: tuple[str, int], greeting: dict[str, object], hold_seconds: float
) -> int:
    """Listens on this machine and connects whoever comes with process 0.

    Args:
      address: where process 0 listens.
      greeting: that it expects.
      hold_seconds: how long an end stays open after the other has closed.

    Returns:
      The port.
    """
    listener = socket.create_server(("127.0.0.1", 0))
    hello = json.dumps({**greeting, "tunnel": True}).encode() + b"\n"

    def accept() -> None:
        while True:
            near, _ = listener.accept()
            try:
                far = socket.create_connection(address, timeout=10)
                far.sendall(hello)
            except OSError:
                near.close()
                continue
            _join(near, far, hold_seconds)

    threading.Thread(target=accept, daemon=True).start()
    return int(listener.getsockname()[1])


def serve_tunnel(connection: socket.socket, port: Callable[[], int]) -> None:
    """Process 0's end: connects with the service, as soon as it is there."""
    deadline = time.monotonic() + _SERVICE_SECONDS
    while time.monotonic() < deadline:
        try:
            service = socket.create_connection(("127.0.0.1", port()), timeout=10)
        except OSError:
            time.sleep(0.05)
            continue
        _join(connection, service, 0)
        return
    connection.close()


def _join(near: socket.socket, far: socket.socket, hold_seconds: float) -> None:
    for end in (near, far):
        end.settimeout(None)
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, bytes(16))
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for source, target, hold in ((near, far, 0.0), (far, near, hold_seconds)):
        arguments = (source, target, hold)
        threading.Thread(target=_pump, args=arguments, daemon=True).start()


def _pump(source: socket.socket, target: socket.socket, hold: float) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(_CHUNK):
            target.sendall(data)
    time.sleep(hold)
    for end in (source, target):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
