"""Time, memory and compilations of a run, as the log shows them."""

import threading

import jax
import jax.numpy as jnp
import pytest
from jax.experimental.compilation_cache import compilation_cache

from dsr_jax.training.clock import (
    CHECKPOINT,
    EVALUATION,
    INPUT,
    STEP,
    Clock,
)
from dsr_jax.training.compilation import Compilations
from dsr_jax.training.memory import memory_use


class Seconds:
    """A timer that moves only when told."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now

    def pass_(self, seconds):
        self.now += seconds


@pytest.fixture
def timer():
    return Seconds()


@pytest.fixture
def clock(timer):
    return Clock(timer)


def test_parts_are_disjoint_and_add_up(clock, timer):
    timer.pass_(0.5)
    with clock.part(INPUT):
        timer.pass_(1)
    with clock.part(STEP):
        timer.pass_(2)
        with clock.part(INPUT):
            timer.pass_(4)
        timer.pass_(8)
    with clock.part(EVALUATION), clock.part(CHECKPOINT):
        timer.pass_(16)
    record = clock.record(images=62)
    seconds = {k: v for k, v in record.items() if k.startswith("seconds/")}
    assert seconds == {
        "seconds/input": 5,
        "seconds/step": 10,
        "seconds/other": 0.5,
        "seconds/evaluation": 0,
        "seconds/checkpoint": 16,
    }
    assert sum(seconds.values()) == timer.now - 100
    assert record["images_per_second"] == 62 / 15.5
    assert record["images_per_second_overall"] == 62 / 31.5


def test_a_record_starts_anew_even_inside_a_part(clock, timer):
    with clock.part(STEP):
        timer.pass_(1)
        assert clock.record(1)["seconds/step"] == 1
        timer.pass_(2)
    assert clock.record(1) == {
        "images_per_second": 0.5,
        "images_per_second_overall": 0.5,
        "seconds/input": 0,
        "seconds/step": 2,
        "seconds/other": 0,
    }
    assert clock.record(1)["images_per_second"] == 0


def test_a_part_ends_with_an_error(clock, timer):
    with pytest.raises(KeyError), clock.part(INPUT):
        timer.pass_(1)
        raise KeyError
    timer.pass_(2)
    record = clock.record(0)
    assert (record["seconds/input"], record["seconds/other"]) == (1, 2)


def test_memory_of_the_host():
    before = memory_use()
    # CPUs count nothing.
    assert before.keys() == {"memory/host_gb"}
    held = jnp.ones((50_000_000,), jnp.float32)
    jax.block_until_ready(held)
    assert memory_use()["memory/host_gb"] > before["memory/host_gb"] + 0.15


def test_memory_of_devices_is_the_largest(monkeypatch):
    class Device:
        def __init__(self, used):
            self.used = used

        def memory_stats(self):
            return {
                "bytes_in_use": self.used,
                "peak_bytes_in_use": 2 * self.used,
                "bytes_limit": 80_000_000_000,
                "num_allocs": 3,
            }

    monkeypatch.setattr(jax, "local_devices", lambda: [Device(3e9), Device(5e9)])
    record = memory_use()
    assert record.pop("memory/host_gb") > 0
    assert record == {
        "memory/in_use_gb": 5.0,
        "memory/peak_gb": 10.0,
        "memory/limit_gb": 80.0,
    }


@pytest.fixture
def own_cache(tmp_path):
    """An empty persistent cache that keeps everything."""
    settings = {
        "jax_compilation_cache_dir": str(tmp_path),
        "jax_persistent_cache_min_compile_time_secs": 0.0,
    }
    before = {name: getattr(jax.config, name) for name in settings}
    for name, value in settings.items():
        jax.config.update(name, value)
    compilation_cache.reset_cache()
    yield
    for name, value in before.items():
        jax.config.update(name, value)
    compilation_cache.reset_cache()


@pytest.fixture
def double():
    # A new function each time, which JAX has not compiled before.
    return jax.jit(lambda x: 2 * x)


def call(function, *sizes):
    for size in sizes:
        jax.block_until_ready(function(jnp.zeros(size)))


def test_programs_are_counted_and_timed(own_cache, double):
    zeros = [jnp.zeros(3), jnp.zeros(4)]
    with Compilations() as compilations:
        start = compilations.record()
        for x in (*zeros, *zeros):
            double(x)
        record = compilations.record()
    assert not any(start.values())
    assert (record["compile/programs"], record["compile/loaded"]) == (2, 0)
    stages = ("trace", "lower", "backend")
    assert all(record[f"compile/{stage}_seconds"] > 0 for stage in stages)
    # Nothing is heard after the end.
    double(jnp.zeros(5))
    assert compilations.record() == record


def test_nested_stages_add_up():
    compilations = Compilations()
    trace, backend = (
        "/jax/core/compile/jaxpr_trace_duration",
        "/jax/core/compile/backend_compile_duration",
    )
    for event, seconds in ((trace, 1.0), (backend, 2.0), (trace, 10.0), (trace, 0.0)):
        compilations._listen(event, seconds, fun_name="f")
    record = compilations.record()
    # By the clock they all ended just now: each lies inside the next.
    assert record["compile/trace_seconds"] == pytest.approx(1 + 8, abs=0.1)
    assert record["compile/backend_seconds"] == pytest.approx(2 - 1, abs=0.1)


def test_a_program_of_the_cache_is_loaded(own_cache):
    x = jnp.zeros(7)
    for kind, other in (("programs", "loaded"), ("loaded", "programs")):
        # Another object, the same program.
        function = jax.jit(lambda x: 3 * x + 1)
        with Compilations() as compilations:
            function(x)
        record = compilations.record()
        assert record[f"compile/{kind}"] == 1, record
        assert record[f"compile/{other}"] == 0, record
    assert record["compile/load_seconds"] > 0


def test_a_late_compilation_is_told_once(own_cache, double, capsys):
    with Compilations(settled_after=1) as compilations:
        for number, sizes in enumerate(([3], [3], [4], [5, 6]), start=41):
            x = [jnp.zeros(size) for size in sizes]
            with compilations.step(number):
                for value in x:
                    double(value)
    assert compilations.record()["compile/late"] == 3
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and "step 43 compiled 'jit(<lambda>)' anew" in lines[0]


def test_only_the_step_itself_is_watched(own_cache, double, capsys):
    with Compilations(settled_after=0) as compilations:
        call(double, 3)
        with compilations.step(1):
            thread = threading.Thread(target=call, args=(double, 4))
            thread.start()
            thread.join()
        call(double, 5)
    assert compilations.record()["compile/programs"] >= 3
    assert compilations.record()["compile/late"] == 0
    assert capsys.readouterr().err == ""
