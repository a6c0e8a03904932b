"""Saving behind the training's back: the step that was saved, whole or not at all."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dsr_jax.errors import EnvironmentFault, UserError
from dsr_jax.training.checkpoint import Checkpoints, Retention, writing
from dsr_jax.training.checkpoint.arrays import finish_item, read_item, write_item
from dsr_jax.training.checkpoint.background import Background
from dsr_jax.training.checkpoint.items import abstract_item
from dsr_jax.training.devices import device_mesh, replicated
from dsr_jax.training.state import TrainState
from tests.training.tiny_network import DATA, assert_same

ROOT = Path(__file__).parents[2]


def large_state(size=200_000):
    """Arrays that take a while to be written."""
    weights = {f"w{k}": jnp.zeros(size) for k in range(8)}
    state = TrainState(
        step=jnp.zeros((), jnp.int32),
        params=weights,
        statistics={"mean": jnp.zeros(size)},
        rng={"key": jax.random.key(0)},
        optimizer={"moment": jnp.zeros(size)},
    )
    return jax.device_put(state, replicated(device_mesh()))


def next_state(state):
    """Every element of step n is n."""
    grown = jax.tree.map(
        lambda x: x if jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key) else x + 1,
        state,
    )
    return grown


def test_donated_steps_run_on_while_a_state_is_saved(tmp_path):
    """The naive ways fail here: the thread finds that the arrays were deleted."""
    donate = jax.jit(next_state, donate_argnums=0)
    state = donate(large_state())
    checkpoints = Checkpoints(tmp_path, Retention(latest=9))
    saved = []
    for _ in range(3):
        saved.append(int(state.step))
        checkpoints.save(state, DATA)
        for _ in range(20):
            before, state = state, donate(state)
        assert before.params["w0"].is_deleted()
    checkpoints.close()
    assert saved == [1, 21, 41]
    for step in saved:
        like = {"params": state.params, "statistics": state.statistics}
        found = checkpoints.restore_regressor(step, like)
        for array in jax.tree.leaves(found):
            np.testing.assert_array_equal(array, np.full(array.shape, step))


def test_the_caller_does_not_wait_for_the_disk(tmp_path, monkeypatch):
    allowed = threading.Event()
    write_item = writing.write_item

    def slow_disk(folder, item):
        assert allowed.wait(60)
        write_item(folder, item)

    monkeypatch.setattr(writing, "write_item", slow_disk)
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(large_state(), DATA)
    checkpoints.check()
    assert checkpoints.latest_step is None
    allowed.set()
    checkpoints.wait()
    assert checkpoints.latest_step == 0


def test_a_failed_save_is_told_once_and_the_next_one_works(tmp_path, monkeypatch):
    def full_disk(folder, item):
        raise OSError(28, "No space left on device")

    state = large_state(8)
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(state, DATA)
    checkpoints.wait()
    monkeypatch.setattr(writing, "write_item", full_disk)
    state = next_state(state)
    checkpoints.save(state, DATA)
    with pytest.raises(
        UserError, match=r"checkpoints: .* step 1 cannot be written .*No"
    ):
        while True:
            checkpoints.check()
            time.sleep(0.01)
    checkpoints.check()
    assert {p.name for p in (tmp_path / "checkpoints").iterdir()} == {"0"}
    monkeypatch.undo()
    checkpoints.save(state, DATA)
    checkpoints.close()
    assert_same(Checkpoints(tmp_path).restore_latest(state).state, state)


def test_the_data_state_is_that_of_the_save(tmp_path):
    """The stream moves on while it is written."""
    state, position = large_state(8), {"position": 1, "datasets": [{"length": 3}]}
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(state, position)
    position["datasets"][0]["length"] = 4
    checkpoints.close()
    found = checkpoints.restore_latest(state)
    assert found.data == {"position": 1, "datasets": [{"length": 3}]}


def test_what_a_killed_save_left_is_cleaned_up(tmp_path):
    state = large_state(8)
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(state, DATA)
    checkpoints.close()
    folder = tmp_path / "checkpoints"
    for name in ("7.partial", "3.deleted", "9.orbax-checkpoint-tmp"):
        (folder / name / "regressor").mkdir(parents=True)
    assert Checkpoints(tmp_path, read_only=True).latest_step == 0
    assert len(list(folder.iterdir())) == 4
    assert Checkpoints(tmp_path).latest_step == 0
    assert [p.name for p in folder.iterdir()] == ["0"]


SAVES_FOR_EVER = """
    import pathlib, sys
    import jax
    from dsr_jax.training.checkpoint import Checkpoints, Retention
    from tests.training.test_checkpoint_background import large_state, next_state

    donate = jax.jit(next_state, donate_argnums=0)
    checkpoints = Checkpoints(pathlib.Path(sys.argv[1]), Retention(latest=1))
    state = large_state(20_000)
    if checkpoints.latest_step is not None:
        state = checkpoints.restore_latest(state).state
    print("ready", flush=True)
    while True:
        state = donate(state)
        checkpoints.save(state, data={"position": int(state.step)})
"""


@pytest.mark.slow
def test_killed_at_any_moment_the_latest_checkpoint_is_whole(tmp_path):
    """Saving all the time, and killed eight times: one checkpoint is always there."""
    draw = np.random.default_rng(0)
    latest = 0
    for _ in range(8):
        child = start(SAVES_FOR_EVER, tmp_path)
        assert child.stdout.readline() == "ready\n"
        time.sleep(draw.uniform(0.3, 1.5))
        child.send_signal(signal.SIGKILL)
        _, errors = child.communicate()
        assert "damaged" not in errors
        if not latest and not Checkpoints(tmp_path, read_only=True).latest_step:
            continue
        found = Checkpoints(tmp_path).restore_latest(large_state(20_000))
        assert found.step == found.data["position"] >= latest
        for array in jax.tree.leaves(found.state.params):
            np.testing.assert_array_equal(array, np.full(array.shape, found.step))
        latest = found.step
    assert latest > 4
    assert not list((tmp_path / "checkpoints").glob("*.damaged*"))


def start(script, *arguments, **options):
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def test_a_disk_that_takes_nothing_is_given_up():
    """Whether it is slow or broken, what the work itself raised is told."""
    answer, background = threading.Event(), Background()
    background.start(lambda: answer.wait() and None)
    with pytest.raises(EnvironmentFault, match="writing a checkpoint has not ended"):
        background.wait("run/checkpoints: writing a checkpoint", 0.1)
    answer.set()

    def fail():
        raise TimeoutError("of the disk")

    background.start(fail)
    with pytest.raises(TimeoutError, match="of the disk"):
        background.wait("run/checkpoints: writing a checkpoint", 10)


def test_a_save_starts_no_program_behind_the_step(tmp_path):
    """Started between the parts of a step on several devices, one can halt both."""
    everywhere = replicated(device_mesh())
    arrays = {f"w{k}": np.zeros((1024, 1037 + k), np.float32) for k in range(3)}
    item = jax.block_until_ready(jax.device_put(arrays, everywhere))
    built = []
    jax.monitoring.register_event_duration_secs_listener(
        lambda event, *_, **__: built.append(event) if "backend_compile" in event else 0
    )
    # Of shapes that nothing else has: every program on them would be compiled.
    write_item(tmp_path, item)
    assert not built
    finish_item(tmp_path)
    for path, array in read_item(tmp_path, abstract_item(item)).items():
        np.testing.assert_array_equal(array, arrays[path])
