"""Real jobs of several processes: whoever is lost is named by all others, in time."""

import os
import signal
import socket
import time

import pytest

from tests.hosts.conftest import free_port

pytestmark = pytest.mark.slow


def test_all_meet_and_part(job):
    for process in job.all(3, "end"):
        output, errors = process.communicate(timeout=100)
        assert process.returncode == 0, errors
        assert "sum 3 of 3" in output and "said by 0" in output


@pytest.mark.parametrize("victim", [0, 2])
def test_a_killed_process_is_named_by_the_others(job, ending, victim):
    """They wait for it inside a collective operation."""
    processes = job.all(4, "kill", victim)
    killed = processes.pop(victim)
    assert killed.wait(timeout=100) == -signal.SIGKILL
    start = time.monotonic()
    who = f"process {victim} of 4 (host {socket.gethostname()}, pid {killed.pid})"
    for process in processes:
        code, line = ending(process, 60)
        assert code == 75
        assert line.startswith(f"{who} is gone") and "run the same command" in line
    assert time.monotonic() - start < 60


def test_process_0_is_named_by_processes_that_do_nothing(job, ending):
    """JAX's own client would abort them, with pages of text."""
    first, *others = job.all(2, "idle", 0)
    first.wait(timeout=100)
    for process in others:
        code, line = ending(process, 60)
        assert code == 75 and line.startswith("process 0 of 2 (host ")


@pytest.mark.parametrize("victim", [0, 1])
def test_a_halted_process_is_named_by_the_others(job, ending, victim):
    processes = job.all(3, "halt", victim, 60, 5)
    halted = processes.pop(victim)
    os.waitid(os.P_PID, halted.pid, os.WSTOPPED)
    for process in processes:
        code, line = ending(process, 60)
        assert code == 75
        assert line.startswith(f"process {victim} of 3 (host ") and "5 s" in line
        assert f"pid {halted.pid}" in line


@pytest.mark.parametrize("victim", [0, 1])
def test_who_answers_but_is_stuck_ends_with_all(job, ending, victim):
    """As one whose disk hangs: its heart beats in a thread of its own."""
    processes = job.all(3, "stuck", victim, 60, 30, 2)
    code, line = ending(processes.pop(victim), 60)
    assert code == 75 and line.startswith("nothing has moved for 2 s: the program is")
    for process in processes:
        code, line = ending(process, 20)
        assert code == 75
        assert line.startswith(f"process {victim} of 3 (host ")
        assert "has ended: nothing has moved for 2 s" in line


@pytest.mark.parametrize("victim", [0, 1])
def test_a_mistake_that_one_finds_reaches_all(job, ending, victim):
    processes = job.all(2, "mistake", victim)
    outcomes = [ending(process) for process in processes]
    mistake = "config key 'a.b' is wrong: give another"
    assert outcomes.pop(victim) == (2, mistake)
    for code, line in outcomes:
        assert code == 2
        assert line.startswith(f"process {victim} of 2 (host ")
        assert line.endswith(f"has ended: {mistake}")


def test_a_defect_keeps_its_traceback_and_reaches_all(job, ending):
    other, broken = job.all(2, "defect", 1)
    _, errors = broken.communicate(timeout=100)
    assert broken.returncode == 1 and "Traceback" in errors
    code, line = ending(other)
    assert code == 1 and line.endswith("has ended: ZeroDivisionError: a defect")


def test_who_does_not_come_is_named_by_all_who_did(job, ending):
    address = f"localhost:{free_port()}"
    for process in [job.start(i, 4, address, "end", -1, 8) for i in (0, 2)]:
        code, line = ending(process)
        assert code == 75
        assert line.startswith("process 1 and process 3 of 4 did not come")


def test_process_0_that_does_not_come_is_named(job, ending):
    process = job.start(1, 2, f"localhost:{free_port()}", "end", -1, 3)
    code, line = ending(process)
    assert code == 75
    assert line.startswith("process 0 (host localhost) of 2 did not come within 3 s")
    assert "nobody listens there" in line


def test_a_coordinator_without_an_address(job, ending):
    code, line = ending(job.start(1, 2, "no.such.host:1234", "end", -1, 3))
    assert code == 75 and "the name no.such.host cannot be resolved" in line


def test_two_processes_of_one_number(job, ending):
    address = f"localhost:{free_port()}"
    for process in [job.start(i, 3, address, "end") for i in (0, 1, 1)]:
        code, line = ending(process)
        assert code == 2
        assert line.startswith("process 1 of 3") and "is there already" in line


def test_processes_that_disagree_on_how_many_they_are(job, ending):
    address = f"localhost:{free_port()}"
    for process in (job.start(0, 3, address, "end"), job.start(1, 2, address, "end")):
        code, line = ending(process)
        assert code == 2 and "give all the same number" in line


def test_a_taken_port(job, ending):
    with socket.create_server(("", 0)) as server:
        port = server.getsockname()[1]
        code, line = ending(job.start(0, 2, f"localhost:{port}", "end"))
    assert code == 75 and f"cannot listen at port {port}" in line


def test_who_misses_a_meeting_is_named(job, ending):
    late, *others = job.all(3, "absent", 0)
    for process in others:
        code, line = ending(process)
        assert code == 75 and "process 0 of 3" in line and "'lunch'" in line
    late.wait(timeout=60)


def test_heartbeats_go_on_while_the_interpreter_is_held(job):
    """As long compilations and garbage collections hold it."""
    for process in job.all(2, "busy", -1, 60, 5):
        _, errors = process.communicate(timeout=100)
        assert process.returncode == 0, errors


def test_others_wait_for_one_that_compiles_longer(job):
    for process in job.all(2, "late", 1):
        output, errors = process.communicate(timeout=100)
        assert process.returncode == 0, errors
        assert "sum 2 of 2" in output


def until(process, word):
    for line in process.stdout:
        if word in line:
            return
    raise AssertionError(f"{word!r} was never said")


def test_a_signal_that_all_agree_on_is_a_clean_end(job):
    """JAX leaves the handler of SIGTERM alone."""
    processes = job.all(2, "stop")
    for process in processes:
        until(process, "said by 0")
    processes[1].terminate()
    for process in processes:
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 143
        assert "error" not in errors and "Traceback" not in errors


def test_who_leaves_alone_at_a_signal_is_named(job, ending):
    other, told = job.all(2, "leave")
    until(told, "said by 0")
    told.terminate()
    code, line = ending(told)
    assert code == 143 and line.startswith("interrupted")
    code, line = ending(other)
    assert code == 143
    assert line.startswith("process 1 of 2") and "has ended: interrupted" in line
