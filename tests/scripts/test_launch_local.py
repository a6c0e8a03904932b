"""tools/launch_local.py: real processes, their output, signals and exit codes."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LAUNCHER = ROOT / "tools" / "launch_local.py"


def start(tmp_path, text, *options):
    """Launches a script that imports nothing slow."""
    script = tmp_path / "script.py"
    head = "import os, signal, sys, time\nme = int(os.environ['JAX_PROCESS_ID'])\n"
    script.write_text(head + text)
    return subprocess.Popen(
        [sys.executable, str(LAUNCHER), *map(str, options), "--", str(script), "word"],
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "XLA_FLAGS": "--other --xla_force_host_platform_device_count=9",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def started(tmp_path, count):
    """Waits until `count` processes have written their ids."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        files = list(tmp_path.glob("pid*"))
        if len(files) == count and all(file.read_text() for file in files):
            return [int(file.read_text()) for file in files]
        time.sleep(0.05)
    raise AssertionError("the processes did not start")


def note_pid(tmp_path):
    return f"open(f'{tmp_path}/pid{{me}}', 'w').write(str(os.getpid()))\n"


def is_running(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_output_environment_and_arguments(tmp_path):
    text = """
print("out", me, os.environ["JAX_NUM_PROCESSES"], sys.argv[1:])
print("error", os.environ["XLA_FLAGS"], os.environ["JAX_PLATFORMS"], file=sys.stderr)
"""
    process = start(tmp_path, text, "--processes", 3, "--devices", 2)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 0
    lines = ["out 0 3 ['word']", "[1] out 1 3 ['word']", "[2] out 2 3 ['word']"]
    assert sorted(output.splitlines()) == sorted(lines)
    line = "error --other --xla_force_host_platform_device_count=2 cpu"
    expected = [line, f"[1] {line}", f"[2] {line}"]
    assert sorted(errors.splitlines()) == sorted(expected)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="Linux only")
def test_cores_of_each_process(tmp_path):
    """One of its own, and the first again where they run out."""
    available = sorted(os.sched_getaffinity(0))
    count = len(available) + 1
    text = """
time.sleep(0.5)
print(sorted(os.sched_getaffinity(0)))
"""
    process = start(tmp_path, text, "--processes", count, "--cores", 1)
    output, _ = process.communicate(timeout=60)
    expected = [[available[place % len(available)]] for place in range(count)]
    lines = [line.rpartition("] [")[2] for line in output.splitlines()]
    assert sorted(line.strip("[]") for line in lines) == sorted(
        str(core) for (core,) in expected
    )


@pytest.mark.parametrize(
    ("end", "code"),
    [("sys.exit(2)", 2), ("os.kill(os.getpid(), 9)", 137), ("1 / 0", 1)],
)
def test_the_exit_code_of_who_failed_first(tmp_path, end, code):
    text = f"if me == 1: {end}\ntime.sleep(1)\nsys.exit(75 if me else 0)\n"
    process = start(tmp_path, text, "--processes", 3)
    process.communicate(timeout=60)
    assert process.returncode == code


def test_who_does_not_end_is_killed_in_time(tmp_path):
    text = note_pid(tmp_path) + "if me == 1: sys.exit(3)\ntime.sleep(100)\n"
    process = start(tmp_path, text, "--processes", 3, "--grace", 1)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 3
    assert "process 0 did not end within 1 s: killed" in errors
    assert not any(map(is_running, started(tmp_path, 3)))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_reaches_each_process_once(tmp_path, number):
    text = f"""
got = []
signal.signal({int(number)}, lambda *_: got.append(1))
{note_pid(tmp_path)}
while not got: time.sleep(0.05)
time.sleep(0.5)
print("got", len(got))
sys.exit({128 + number})
"""
    process = start(tmp_path, text, "--processes", 2)
    started(tmp_path, 2)
    process.send_signal(number)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 128 + number
    assert sorted(output.splitlines()) == ["[1] got 1", "got 1"]


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel of Linux does it")
def test_no_process_outlives_a_killed_launcher(tmp_path):
    text = note_pid(tmp_path) + "time.sleep(100)\n"
    process = start(tmp_path, text, "--processes", 2)
    pids = started(tmp_path, 2)
    process.kill()
    process.communicate(timeout=30)
    deadline = time.monotonic() + 10
    while any(map(is_running, pids)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(is_running, pids))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--processes", "0", "--", __file__], "at least 1"),
        (["--processes", "2"], "the script is no file"),
        (["--processes", "2", "--", "no.py"], "no.py is no file"),
        (["--processes", "two", "--", __file__], "invalid int value"),
    ],
)
def test_mistakes_are_one_line(arguments, message):
    process = subprocess.run(
        [sys.executable, str(LAUNCHER), *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert process.returncode == 2
    assert len(process.stderr.splitlines()) == 1 and message in process.stderr
