"""A program in which nothing moves ends, and says where it stands."""

import os
import signal
import subprocess
import sys
import time

import pytest

from tests.hosts.conftest import environment

PROGRAM = """
import multiprocessing, os, signal, sys, threading, time
from dsr_jax.errors import one_line_errors
from dsr_jax.hosts import joined_hosts, moved

def sleep():
    time.sleep(600)

with one_line_errors(), joined_hosts(stuck_seconds=1.5):
    worker = multiprocessing.get_context("fork").Process(target=sleep, daemon=True)
    worker.start()
    print(worker.pid, flush=True)
    for _ in range({moves}):
        time.sleep(0.5)
        moved()
    if {stuck}:
        open("{pipe}").read()
print("done")
"""


def start(tmp_path, moves, stuck):
    """A program that gets on, and then reads a pipe that nobody writes if `stuck`."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    program = PROGRAM.format(moves=moves, stuck=stuck, pipe=pipe)
    return subprocess.Popen(
        [sys.executable, "-c", program],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_who_moves_now_and_then_is_not_stuck(tmp_path):
    process = start(tmp_path, 6, False)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert output.endswith("done\n") and not errors


def test_who_is_stuck_ends_with_its_workers(tmp_path):
    process = start(tmp_path, 1, True)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 75
    assert errors.startswith("error: nothing has moved for 1.5 s: the program is in ")
    assert errors.count("\n") == 1 and "done" not in output
    with pytest.raises(ProcessLookupError):
        os.kill(int(output.split()[0]), 0)


def test_who_was_halted_is_not_stuck(tmp_path):
    process = start(tmp_path, 4, False)
    process.stdout.readline()
    os.kill(process.pid, signal.SIGSTOP)
    time.sleep(3)
    os.kill(process.pid, signal.SIGCONT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
