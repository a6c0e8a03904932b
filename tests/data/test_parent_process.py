"""Workers of a process that was killed end, too."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

PARENT = """
import multiprocessing
import time

from dsr_jax.data.parent_process import end_with_parent


def work(ready):
    end_with_parent()
    ready.set()
    time.sleep(600)


if __name__ == "__main__":
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    worker = context.Process(target=work, args=(ready,))
    worker.start()
    ready.wait()
    print(worker.pid, flush=True)
    time.sleep(600)
"""


def _runs(pid):
    """One that nobody has asked for its exit code counts as ended."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")
def test_a_worker_ends_with_its_parent(tmp_path):
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    parent = subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE)
    worker = int(parent.stdout.readline())
    try:
        assert _runs(worker)
        parent.kill()
        parent.wait()
        end = time.monotonic() + 10
        while _runs(worker) and time.monotonic() < end:
            time.sleep(0.05)
        assert not _runs(worker)
    finally:
        parent.stdout.close()
        if _runs(worker):
            os.kill(worker, signal.SIGKILL)
