"""`--profile`: a trace with the pipeline's words in it, and training that goes on."""

import gzip
import json

import jax
import jax.numpy as jnp
import pytest

from dsr_jax.errors import UserError
from dsr_jax.training.clock import INPUT, STEP, Clock
from dsr_jax.training.devices import device_mesh
from dsr_jax.training.profiling import PROFILE, Profiler, newest_session
from dsr_jax.training.trace_scopes import (
    PERFETTO,
    SCOPES,
    _all,
    _numbers,
    _text,
    read_trace,
    scope_of,
    scope_seconds,
)
from tests.training.test_step import make_run
from tools import profile_table


def test_the_innermost_scope_counts():
    path = "jit(step)/transpose(jvp(semantics))/cond/branch_1_fun/rasterizer/while/add"
    assert scope_of(path) == "rasterizer"
    assert scope_of("jit(step)/jvp(regressor)/backbone/conv") == "regressor"
    assert scope_of("jit(step)/bodyguard/mul") == "other"


def event(scope, ts, dur, tid=1, op_name=""):
    args = {"scope": scope, "op_name": op_name}
    return {"ph": "X", "pid": 1, "tid": tid, "ts": ts, "dur": dur, "args": args}


def test_times_are_without_what_is_inside():
    events = [
        event("rasterizer", 0, 10e6),
        event("rasterizer", 1e6, 2e6, op_name="transpose(jvp(rasterizer))"),
        event("body", 4e6, 3e6),
        event("camera", 5e6, 1e6),
        event("optimizer", 10e6, 5e6),
        event("body", 0, 7e6, tid=2),
        {"ph": "X", "pid": 1, "tid": 1, "ts": 0, "dur": 99e6, "name": "train"},
        {"ph": "M", "pid": 1, "name": "thread_name", "args": {"name": "x"}},
    ]
    assert scope_seconds(events) == pytest.approx(
        {
            ("rasterizer", False): 5,
            ("rasterizer", True): 2,
            ("body", False): 2 + 7,
            ("camera", False): 1,
            ("optimizer", False): 5,
        }
    )


def test_protocol_buffers():
    # Field 1: varint 300; 2: "ab"; 3: 8 bytes; 4: 4 bytes; 2: "c" again.
    message = memoryview(
        b"\x08\xac\x02\x12\x02ab\x19"
        + 8 * b"\xff"
        + b"\x25"
        + 4 * b"\xff"
        + b"\x12\x01c"
    )
    assert [bytes(value) for value in _all(message, 2)] == [b"ab", b"c"]
    assert _text(message, 2) == "ab" and _text(message, 5) == ""
    assert list(_numbers(message, 1)) == [300]
    assert list(_numbers(memoryview(b"\x0a\x03\x05\xac\x02"), 1)) == [5, 300]
    with pytest.raises(ValueError, match="wire type 7"):
        list(_all(memoryview(b"\x0f"), 1))


def trace_steps(folder, steps, count):
    """Runs `count` steps of something small under a profiler."""
    step = jax.jit(lambda x: x + 1)
    state = jnp.zeros(3)
    profiler = Profiler(folder, steps)
    for number in range(1, count + 1):
        with profiler.step(number, state):
            state = step(state)
    profiler.close(state)
    assert state.tolist() == [count] * 3


def test_it_is_off_by_default(tmp_path, capsys):
    trace_steps(tmp_path, 0, 6)
    assert not (tmp_path / PROFILE).exists()
    assert capsys.readouterr().err == ""


def test_too_few_steps_are_told(tmp_path, capsys):
    trace_steps(tmp_path, 2, 3)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("warning: --profile: nothing traced: the run took 3 steps")


def test_a_folder_that_cannot_be_made(tmp_path, capsys):
    (tmp_path / PROFILE).write_text("a file in its place")
    trace_steps(tmp_path, 2, 8)
    (line,) = capsys.readouterr().err.splitlines()
    assert "cannot trace (FileExistsError" in line
    assert line.endswith("the training goes on")


def test_a_profiler_that_fails(tmp_path, capsys, monkeypatch):
    def fail():
        raise ValueError("no space\nleft")

    stop = jax.profiler.stop_trace
    monkeypatch.setattr(jax.profiler, "stop_trace", fail)
    try:
        trace_steps(tmp_path, 2, 8)
    finally:
        stop()
    (line,) = capsys.readouterr().err.splitlines()
    assert "no trace was written (ValueError: no space left)" in line


def test_an_empty_trace_is_told(tmp_path, capsys, monkeypatch):
    session = tmp_path / PROFILE / "plugins" / "profile" / "now"

    def write_nothing():
        session.mkdir(parents=True)
        with gzip.open(session / PERFETTO, "wt") as stream:
            json.dump({"traceEvents": []}, stream)

    monkeypatch.setattr(jax.profiler, "start_trace", lambda *_, **__: None)
    monkeypatch.setattr(jax.profiler, "stop_trace", write_nothing)
    trace_steps(tmp_path, 2, 8)
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{session}: the trace is empty" in line


@pytest.mark.slow
def test_a_trace_of_training_speaks_the_words_of_the_pipeline(
    tmp_path, capsys, monkeypatch
):
    state, step, scene, batch = make_run(device_mesh())
    profiler, clock = Profiler(tmp_path, 2), Clock()
    for number in range(1, 8):
        with clock.part(INPUT):
            pass
        with clock.part(STEP), profiler.step(number, state):
            state, _ = step(state, scene, batch)
    profiler.close(state)
    session = newest_session(tmp_path / PROFILE)
    assert capsys.readouterr().err == f"profile: {session / PERFETTO}\n"
    # TensorBoard's own form lies beside Perfetto's.
    assert list(session.glob("*.xplane.pb")) and list(session.glob("*.trace.json.gz"))

    events = read_trace(session / PERFETTO)["traceEvents"]
    steps = [e["args"]["step_num"] for e in events if e.get("name") == "train"]
    assert steps == ["4", "5"]
    assert {INPUT, STEP} <= {e.get("name") for e in events}
    seconds = scope_seconds(events)
    assert set(SCOPES) <= {scope for scope, _ in seconds}
    named = sum(value for (scope, _), value in seconds.items() if scope in SCOPES)
    assert named > 0.7 * sum(seconds.values())
    for scope in ("regressor", "body", "rasterizer"):
        assert seconds[scope, False] > 0 and seconds[scope, True] > 0, scope

    monkeypatch.setattr("sys.argv", ["profile_table.py", str(tmp_path)])
    profile_table.main()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith(": 2 steps")
    rows = {line.split()[0] for line in lines if line}
    assert {"rasterizer", "regressor", "optimizer", "input", "step"} <= rows


def test_a_run_without_a_profile(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.argv", ["profile_table.py", str(tmp_path)])
    with pytest.raises(UserError, match="train with --profile=5 first"):
        profile_table.main()


def test_a_trace_that_was_cut_off(tmp_path, monkeypatch):
    session = tmp_path / PROFILE / "plugins" / "profile" / "2026_01_01"
    session.mkdir(parents=True)
    whole = gzip.compress(b'{"traceEvents": []}' * 100)
    (session / PERFETTO).write_bytes(whole[: len(whole) // 2])
    monkeypatch.setattr("sys.argv", ["profile_table.py", str(tmp_path)])
    with pytest.raises(UserError, match="is no whole trace"):
        profile_table.main()
