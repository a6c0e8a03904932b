"""Checkpoints of jobs of several processes: moved, agreed upon, and failed together."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from dsr_jax.training.checkpoint import Checkpoints
from tests.training.checkpoint_process import check, placements

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.slow


def run_job(count, folder, action):
    """What every process says, and the first one's errors."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, "XLA_FLAGS": "", "PYTHONPATH": str(ROOT)}
    environment["JAX_ENABLE_COMPILATION_CACHE"] = "false"
    module = [sys.executable, "-m", "tests.training.checkpoint_process"]
    children = [
        subprocess.Popen(
            [*module, *map(str, (port, count, number, folder, action))],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(count)
    ]
    try:
        outputs = [child.communicate(timeout=240) for child in children]
    finally:
        for child in children:
            child.kill()
    for child, (_, errors) in zip(children, outputs, strict=True):
        assert child.returncode == 0, errors
    # Gloo tells of its connections on standard output.
    lines = [
        [line for line in output.splitlines() if not line.startswith("[Gloo]")]
        for output, _ in outputs
    ]
    return lines, outputs[0][1]


def test_saved_by_four_processes_and_restored_by_two_and_one(tmp_path):
    lines, _ = run_job(4, tmp_path, "save")
    # One process found its disk full, and every process says so.
    for told, left in lines:
        assert told.startswith(
            f"told: {tmp_path}/checkpoints: the checkpoint of step 3"
        )
        assert "No space left" in told
        assert left == "left: 2 2"
    folder = tmp_path / "checkpoints"
    assert sorted(p.name for p in folder.iterdir()) == ["1", "2"]

    # By one process with four devices.
    for sharded in (True, False):
        like = placements(sharded)
        found = Checkpoints(tmp_path, read_only=True).restore_latest(like)
        check(found.state, 2, like)
        assert (found.processes, found.devices, found.best_score) == (4, 4, 3.0)

    # By two, which agree that the newest one is damaged.
    victim = max((folder / "2").rglob("d/*"), key=lambda path: path.stat().st_size)
    victim.write_bytes(victim.read_bytes()[:-1] + b"x")
    lines, errors = run_job(2, tmp_path, "restore")
    assert lines == [["found: 1 of 4"] * 2] * 2
    assert errors.count("checkpoints/2: damaged (") == 1
    names = sorted(p.name for p in folder.iterdir())
    assert names == ["1", "2.damaged", "7"]
