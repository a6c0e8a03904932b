"""Runs a script as several processes of one job, on this machine's CPUs.

    python tools/launch_local.py --processes 4 -- train.py --config F --workdir D

Every process gets its number in the environment, as on a cluster. Process 0's output
comes as it is, the others' with their number before each line. Ctrl-C and SIGTERM are
passed on to all of them. Once a process has failed, or was told to stop, the rest have
`--grace` seconds before they are killed. The exit code is that of the process that
failed first (128 + n if signal n killed it), and 0 if none did. With `--cores 1` each
process computes on one core of its own, as long as there are enough; without, every
process uses all of them.
"""

import argparse
import contextlib
import ctypes
import functools
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from typing import NoReturn, TextIO

from dsr_jax.errors import UserError, one_line_errors
from dsr_jax.hosts.job import ADDRESS, COUNT, INDEX

# Longer than the others take to find out for themselves that one is lost, and than a
# step with its checkpoint after a signal.
_GRACE_SECONDS = 60.0
_LOOK_SECONDS = 0.1
_DEVICES_FLAG = "--xla_force_host_platform_device_count"
# PR_SET_PDEATHSIG of Linux's prctl, and the library that has it: looked up before any
# process is forked, when another thread may hold the loader's lock.
_SIGNAL_AT_PARENTS_END = 1
_LIBC = ctypes.CDLL(None)


class _Parser(argparse.ArgumentParser):
    """As the package's own, which takes seconds to import JAX."""

    def error(self, message: str) -> NoReturn:
        raise UserError(f"command line: {message}")


class Launch:
    """The processes, from their start until the last one has ended."""

    def __init__(
        self,
        command: list[str],
        processes: int,
        devices: int,
        grace: float,
        cores: int = 0,
    ):
        self._grace, self._cores = grace, cores
        self._ended: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._signals: queue.SimpleQueue[int] = queue.SimpleQueue()
        # Handlers first: a process that is started is always told.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda number, _: self._signals.put(number))
        port, self._talking = _free_port(), list[threading.Thread]()
        self._processes = [
            self._start(
                command, job_environment(os.environ, index, processes, devices, port)
            )
            for index in range(processes)
        ]

    def wait(self) -> int:
        """Until all have ended; the exit code of the job."""
        code, deadline, left = 0, float("inf"), len(self._processes)
        while left:
            with contextlib.suppress(queue.Empty):
                self._pass_on(self._signals.get_nowait())
                deadline = min(deadline, time.monotonic() + self._grace)
            with contextlib.suppress(queue.Empty):
                returned = self._ended.get(timeout=_LOOK_SECONDS)
                left -= 1
                if returned and not code:
                    code = returned if returned > 0 else 128 - returned
                    deadline = min(deadline, time.monotonic() + self._grace)
            if time.monotonic() > deadline:
                self._kill()
                code, deadline = code or 128 + signal.SIGKILL, float("inf")
        for thread in self._talking:
            thread.join()
        return code

    def _start(
        self, command: list[str], environment: dict[str, str]
    ) -> subprocess.Popen:
        first = environment[INDEX] == "0"
        process = subprocess.Popen(
            [sys.executable, *command],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=None if first else subprocess.PIPE,
            stderr=None if first else subprocess.PIPE,
            text=True,
            errors="replace",
            # A terminal's Ctrl-C would come twice, which means: at once, unsaved.
            start_new_session=True,
            preexec_fn=functools.partial(_die_with_parent, os.getpid()),
        )
        if self._cores:
            # Before Python has come to import anything that counts its cores.
            own = cores_of(int(environment[INDEX]), self._cores)
            with contextlib.suppress(ProcessLookupError):
                os.sched_setaffinity(process.pid, own)
        prefix = f"[{environment[INDEX]}] "
        for source, target in (
            (process.stdout, sys.stdout),
            (process.stderr, sys.stderr),
        ):
            if source is not None:
                arguments = (source, target, prefix)
                talk = threading.Thread(target=_prefix_lines, args=arguments)
                talk.start()
                self._talking.append(talk)

        def wait() -> None:
            self._ended.put(process.wait())

        threading.Thread(target=wait, daemon=True).start()
        return process

    def _pass_on(self, number: int) -> None:
        for process in self._processes:
            if process.poll() is None:
                process.send_signal(number)

    def _kill(self) -> None:
        """With the workers that they have started."""
        for index, process in enumerate(self._processes):
            if process.poll() is None:
                print(
                    f"process {index} did not end within {self._grace:g} s: killed",
                    file=sys.stderr,
                )
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)


def job_environment(
    environment: Mapping[str, str], index: int, processes: int, devices: int, port: int
) -> dict[str, str]:
    """The environment of one process."""
    kept = environment.get("XLA_FLAGS", "").split()
    kept = [flag for flag in kept if not flag.startswith(_DEVICES_FLAG)]
    return {
        **environment,
        ADDRESS: f"127.0.0.1:{port}",
        COUNT: str(processes),
        INDEX: str(index),
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": " ".join([*kept, f"{_DEVICES_FLAG}={devices}"]),
        "PYTHONUNBUFFERED": "1",
    }


def cores_of(index: int, cores: int) -> set[int]:
    """The cores of one process; where they run out, processes share from the first."""
    available = sorted(os.sched_getaffinity(0))
    places = range(index * cores, (index + 1) * cores)
    return {available[place % len(available)] for place in places}


def main() -> int:
    """The launcher from top to bottom."""
    parser = _Parser(description=__doc__.splitlines()[0])
    parser.add_argument("--processes", type=int, required=True, help="how many")
    parser.add_argument("--devices", type=int, default=1, help="CPU devices of each")
    parser.add_argument("--cores", type=int, default=0, help="of each process; 0: all")
    parser.add_argument(
        "--grace",
        type=float,
        default=_GRACE_SECONDS,
        help="seconds until the rest is killed once one has failed or was told to stop",
    )
    parser.add_argument("command", nargs=argparse.REMAINDER, help="script, arguments")
    arguments = parser.parse_args()
    command = arguments.command[arguments.command[:1] == ["--"] :]
    if min(arguments.processes, arguments.devices) < 1:
        raise UserError("command line: --processes and --devices are at least 1")
    if arguments.cores and not hasattr(os, "sched_setaffinity"):
        raise UserError("command line: --cores needs Linux: leave it out")
    if arguments.cores < 0:
        raise UserError("command line: --cores is at least 1, or 0 for all")
    if not command or not os.path.isfile(command[0]):
        raise UserError(
            f"command line: {command[0] if command else 'the script'} is no file: give "
            "a script and its arguments after --"
        )
    launch = Launch(
        command,
        arguments.processes,
        arguments.devices,
        max(0.0, arguments.grace),
        arguments.cores,
    )
    return launch.wait()


def _prefix_lines(source: TextIO, target: TextIO, prefix: str) -> None:
    for line in source:
        target.write(prefix + line.rstrip("\n") + "\n")
        target.flush()


def _die_with_parent(parent: int) -> None:
    """In the new process: it must not outlive a launcher that is killed."""
    with contextlib.suppress(OSError, AttributeError):
        _LIBC.prctl(_SIGNAL_AT_PARENTS_END, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(128 + signal.SIGKILL)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


if __name__ == "__main__":
    with one_line_errors():
        sys.exit(main())
