"""State and checkpoints: what is saved comes back, on any devices, or one line."""

import dataclasses
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from dsr_jax.errors import UserError
from dsr_jax.training.checkpoint import Checkpoints, Retention
from dsr_jax.training.checkpoint.items import REGRESSOR, TRAINING, split_state, to_item
from dsr_jax.training.checkpoint.record import read_record
from dsr_jax.training.devices import BATCH_AXIS, device_mesh
from tests.training.tiny_network import (
    DATA,
    advance,
    assert_same,
    make_state,
)


def test_the_whole_state_survives_a_checkpoint(tmp_path):
    network, state = make_state()
    for _ in range(3):
        state = advance(network, state)
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(state, DATA)
    checkpoints.close()

    _, fresh = make_state(seed=1)
    reopened = Checkpoints(tmp_path)
    found = reopened.restore_latest(fresh)
    reopened.close()
    restored = found.state
    assert_same(restored, state)
    assert int(restored.step) == found.step == 3
    assert found.data == DATA
    assert (found.processes, found.devices) == (1, 4)
    # The next step, dropout included, is the same as if nothing had happened.
    assert_same(advance(network, restored), advance(network, state))


def test_the_latest_and_the_best_are_kept(tmp_path):
    network, state = make_state()
    checkpoints = Checkpoints(tmp_path)
    for score in (5.0, 3.0, None, 4.0, None):
        state = advance(network, state)
        checkpoints.save(state, DATA, score)
    checkpoints.close()
    reopened = Checkpoints(tmp_path, read_only=True)
    assert reopened.best_step == 2
    assert reopened.latest_step == 5
    kept = {p.name for p in (tmp_path / "checkpoints").iterdir() if p.name.isdigit()}
    assert kept == {"2", "4", "5"}
    reopened.close()


def saved_steps(folder):
    return sorted(int(p.name) for p in (folder / "checkpoints").iterdir())


def test_every_rule_keeps_its_own(tmp_path):
    network, state = make_state()
    checkpoints = Checkpoints(tmp_path, Retention(latest=1, best=2, every=4))
    for score in (5.0, 1.0, 4.0, 3.0, float("nan"), 2.0, None, None, None):
        state = advance(network, state)
        checkpoints.save(state, DATA, score)
    checkpoints.close()
    assert saved_steps(tmp_path) == [2, 4, 6, 8, 9]


@pytest.mark.parametrize("bad", [{"latest": 0}, {"best": -1}, {"every": -1}])
def test_a_policy_that_keeps_nothing_is_refused(bad):
    with pytest.raises(ValueError, match=f"{next(iter(bad))} is"):
        Retention(**bad)


def test_the_best_score_outlives_its_checkpoint(tmp_path):
    network, state = make_state()
    checkpoints = Checkpoints(tmp_path, Retention(latest=1, best=0))
    for score in (2.0, 1.0, 3.0):
        state = advance(network, state)
        checkpoints.save(state, DATA, score)
    checkpoints.close()
    reopened = Checkpoints(tmp_path)
    found = reopened.restore_latest(state)
    assert (found.score, found.best_step, found.best_score) == (3.0, 2, 1.0)
    assert reopened.best_score == 1.0
    assert reopened.best_step == 3


def test_a_step_is_saved_once(tmp_path):
    _, state = make_state()
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(state, DATA)
    checkpoints.save(dataclasses.replace(state, params=None), DATA)
    checkpoints.close()
    assert_same(checkpoints.restore_latest(state).state, state)


def averaged(state):
    parts = {"params": state.params, "statistics": state.statistics}
    return dataclasses.replace(state, ema=jax.tree.map(lambda x: x + 1, parts))


def test_nothing_is_stored_twice():
    _, state = make_state()
    parts = split_state(state)
    assert set(parts[REGRESSOR]) == {"params", "statistics"}
    assert set(parts[TRAINING]) == {"step", "rng", "optimizer", "fault"}
    state = averaged(state)
    parts = split_state(state)
    assert parts[REGRESSOR] == state.ema
    assert parts[TRAINING]["params"] is state.params
    assert parts[TRAINING]["statistics"] is state.statistics
    assert "ema" not in parts[TRAINING]


@pytest.mark.parametrize("has_average", [True, False])
def test_evaluation_gets_the_averaged_weights(tmp_path, has_average):
    network, state = make_state()
    state = advance(network, state)
    state = averaged(state) if has_average else state
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(state, DATA)
    checkpoints.close()
    like = jax.tree.map(jnp.zeros_like, state)
    assert_same(checkpoints.restore_latest(like).state, state)
    like = {"params": like.params, "statistics": like.statistics}
    assert_same(checkpoints.restore_regressor(1, like), state.evaluated)


def placed(state, devices, axis):
    """Shapes of `state` on some devices; weights split along `axis`, or copied."""
    mesh = device_mesh(jax.devices()[:devices])

    def place(path, leaf):
        parts = [None] * leaf.ndim
        if axis is not None and "kernel" in jax.tree_util.keystr(path):
            parts[axis] = BATCH_AXIS
        sharding = NamedSharding(mesh, PartitionSpec(*parts))
        return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding)

    return jax.tree_util.tree_map_with_path(place, state)


def put(state, like):
    return jax.tree.map(lambda x, s: jax.device_put(x, s.sharding), state, like)


@pytest.mark.parametrize("written", [None, 0, 1])
@pytest.mark.parametrize("read", [(4, 0), (2, None), (2, 1), (1, None), (4, None)])
def test_checkpoints_move_between_devices(tmp_path, written, read):
    """Copied or sharded along either axis on four devices, then on other ones."""
    network, state = make_state(width=8)
    state = advance(network, state)
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(put(state, placed(state, 4, written)), DATA)
    checkpoints.close()
    like = placed(state, *read)
    restored = checkpoints.restore_latest(like).state
    assert_same(restored, state)
    for leaf, wanted in zip(
        jax.tree.leaves(restored), jax.tree.leaves(like), strict=True
    ):
        assert leaf.sharding == wanted.sharding


def test_the_record_does_not_depend_on_the_devices(tmp_path):
    _, state = make_state(width=8)
    leaves = []
    for name, place in (("a", (4, 0)), ("b", (4, None)), ("c", (1, None))):
        checkpoints = Checkpoints(tmp_path / name)
        checkpoints.save(put(state, placed(state, *place)), DATA)
        checkpoints.close()
        leaves.append(read_record(tmp_path / name / "checkpoints" / "0").leaves)
    assert leaves[0] == leaves[1] == leaves[2]


def damage(folder):
    for file in sorted((folder / "checkpoints").rglob("d/*")):
        file.write_bytes(file.read_bytes()[:5])


def delete_weights(folder):
    for path in (folder / "checkpoints").glob("*/regressor"):
        shutil.rmtree(path)


@pytest.mark.parametrize("harm", [damage, delete_weights])
def test_a_damaged_checkpoint_is_one_line(tmp_path, harm):
    network, state = make_state()
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(advance(network, state), DATA)
    checkpoints.close()
    harm(tmp_path)
    reopened = Checkpoints(tmp_path, read_only=True)
    like = {"params": state.params, "statistics": state.statistics}
    with pytest.raises(UserError, match="checkpoints/1: the checkpoint is damaged"):
        reopened.restore_regressor(reopened.best_step, like)
    with pytest.raises(UserError, match="checkpoints/1: the checkpoint is damaged"):
        reopened.restore_latest(state)
    assert saved_steps(tmp_path) == [1]


def test_another_networks_checkpoint_is_one_line(tmp_path):
    network, state = make_state()
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(advance(network, state), DATA)
    checkpoints.close()
    _, wider = make_state(width=5)
    with pytest.raises(
        UserError, match=r"holds float32 \(3,\) for .* has float32 \(5,\)"
    ):
        Checkpoints(tmp_path).restore_latest(wider)


def test_a_half_written_checkpoint_is_not_the_latest(tmp_path):
    network, state = make_state()
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(advance(network, state), DATA)
    checkpoints.close()
    folder = tmp_path / "checkpoints"
    shutil.copytree(folder / "1", folder / "9.orbax-checkpoint-tmp")
    assert Checkpoints(tmp_path).latest_step == 1


def test_evaluation_ignores_dropout_and_batch(tmp_path):
    network, state = make_state()
    x = jnp.linspace(0.0, 1.0, 20).reshape(5, 4)
    model = network.for_evaluation(state)
    np.testing.assert_array_equal(model(x)[:1], model(x[:1]))
    training = network.for_training(state.params, state.rng, state.statistics)
    assert not np.allclose(training(x), model(x))


def test_state_is_frozen():
    _, state = make_state()
    with pytest.raises(dataclasses.FrozenInstanceError):
        state.step = 1


def write_as_before(folder, state, score):
    """What versions without records wrote: Orbax's manager and its layout."""
    items = {name: to_item(part) for name, part in split_state(state).items()}
    manager = ocp.CheckpointManager(
        folder / "checkpoints",
        options=ocp.CheckpointManagerOptions(
            best_fn=lambda metrics: metrics["score"],
            best_mode="min",
            enable_async_checkpointing=False,
        ),
        item_handlers={name: ocp.StandardCheckpointHandler() for name in items},
    )
    args = {name: ocp.args.StandardSave(item) for name, item in items.items()}
    manager.save(
        int(state.step), args=ocp.args.Composite(**args), metrics={"score": score}
    )
    manager.close()


def test_checkpoints_of_earlier_versions_can_be_evaluated(tmp_path, capsys):
    network, state = make_state()
    earlier = advance(network, state)
    write_as_before(tmp_path, earlier, 1.0)
    write_as_before(tmp_path, advance(network, earlier), 2.0)
    capsys.readouterr()
    checkpoints = Checkpoints(tmp_path, read_only=True)
    assert (checkpoints.best_step, checkpoints.latest_step) == (1, 2)
    like = {"params": state.params, "statistics": state.statistics}
    found = checkpoints.restore_regressor(1, like)
    assert_same(found["params"], earlier.params)
    assert "checkpoints/1: an earlier version wrote it" in capsys.readouterr().err
    with pytest.raises(UserError, match=r"checkpoints/2: .*training.start_from="):
        Checkpoints(tmp_path).restore_latest(state)
    assert saved_steps(tmp_path) == [1, 2]
    shutil.rmtree(tmp_path / "checkpoints" / "1" / "regressor" / "d")
    with pytest.raises(UserError, match="checkpoints/1: the checkpoint is damaged"):
        checkpoints.restore_regressor(1, like)
