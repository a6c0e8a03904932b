"""A process ends with its code, whatever its threads and workers do."""

import subprocess
import sys
import textwrap
import time

import pytest

# A thread that Python would wait for, and a worker that does not even hear SIGTERM.
STUCK = """
    import multiprocessing, os, signal, sys, threading, time
    from dsr_jax.training.ending import ends_within

    def sleep():
        time.sleep(600)

    if __name__ == "__main__":
        worker = multiprocessing.get_context("fork").Process(target=sleep, daemon=True)
        worker.start()
        os.kill(worker.pid, signal.SIGSTOP)
        threading.Thread(target=sleep).start()
        print(worker.pid, flush=True)
        with ends_within(0.5):
            {end}
"""


@pytest.mark.parametrize(
    ("end", "code"), [("sys.exit(75)", 75), ("pass", 0), ("sys.exit('why')", 1)]
)
def test_it_is_not_held_up(end, code):
    start = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(STUCK).format(end=end)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == code, done.stderr
    assert time.monotonic() - start < 60
    # Nobody is left of it: signal 0 finds no such process.
    with pytest.raises(subprocess.CalledProcessError):
        subprocess.run(["kill", "-0", done.stdout.split()[0]], check=True)
