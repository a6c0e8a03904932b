"""Starts real processes of one job on this machine."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("job_process.py")


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def environment(**variables):
    """This process's, as one that is in no job, with a device a process."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("SLURM_", "TPU_"))}
    return {**kept, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": "", **variables}


class Processes:
    def __init__(self):
        self.running = {}

    def start(self, index, count, address, *arguments):
        variables = {
            "JAX_COORDINATOR_ADDRESS": address,
            "JAX_NUM_PROCESSES": str(count),
            "JAX_PROCESS_ID": str(index),
        }
        process = subprocess.Popen(
            [sys.executable, str(SCRIPT), *map(str, arguments)],
            env=environment(**variables),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.running.setdefault(index, []).append(process)
        return process

    def all(self, count, *arguments):
        address = f"localhost:{free_port()}"
        return [self.start(i, count, address, *arguments) for i in range(count)]

    def kill(self):
        for process in (p for several in self.running.values() for p in several):
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
            process.communicate()


@pytest.fixture
def job():
    processes = Processes()
    yield processes
    processes.kill()


@pytest.fixture
def ending():
    """`ending(process)`: exit code and the one line on standard error."""

    def outcome(process, seconds=100):
        _, errors = process.communicate(timeout=seconds)
        # Gloo's own line is on standard output or error, as its version likes.
        lines = [line for line in errors.splitlines() if "[Gloo]" not in line]
        assert len(lines) == 1, errors
        return process.returncode, lines[0].removeprefix("error: ")

    return outcome
