"""State, checkpoints and the run folder: what is saved comes back, or one line."""

import dataclasses
import functools
import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from ml_collections import ConfigDict

from dsr_jax.errors import UserError
from dsr_jax.training.checkpoint import Checkpoints
from dsr_jax.training.devices import device_mesh, replicated
from dsr_jax.training.run_folder import open_run_folder, read_run_config
from dsr_jax.training.state import TrainState, create_state


DATA = {"position": 96, "seed": 3, "datasets": [{"name": "coco", "length": 7}]}


class TinyNetwork(nnx.Module):
    """A weight, batch statistics, dropout and a constant: every kind of variable."""

    def __init__(self, rngs: nnx.Rngs, width: int = 3):
        self.linear = nnx.Linear(4, width, rngs=rngs)
        self.norm = nnx.BatchNorm(width, rngs=rngs)
        self.dropout = nnx.Dropout(0.5, rngs=rngs)
        self.mean = nnx.Variable(jnp.full(width, 7.0))

    def __call__(self, x):
        return self.dropout(self.norm(self.linear(x))) + self.mean[...][None]


def make_state(seed=0, width=3):
    return create_state(
        lambda rngs: TinyNetwork(rngs, width),
        optax.adam(1e-2),
        jax.random.key(seed),
        replicated(device_mesh()),
    )


@functools.partial(jax.jit, static_argnums=0)
def advance(network, state):
    """A real update, so that every part of the state differs from its start."""

    def loss(params):
        model = network.for_training(state, params)
        value = jnp.sum(model(jnp.linspace(0.0, 1.0, 20).reshape(5, 4)) ** 2)
        _, _, rng, statistics = nnx.split(model, nnx.Param, nnx.RngState, ...)
        return value, (rng, statistics)

    gradient, (rng, statistics) = jax.grad(loss, has_aux=True)(state.params)
    updates, optimizer = optax.adam(1e-2).update(gradient, state.optimizer)
    return TrainState(
        step=state.step + 1,
        params=optax.apply_updates(state.params, updates),
        statistics=statistics,
        rng=rng,
        optimizer=optimizer,
    )


def raw(tree):
    return [
        np.asarray(jax.random.key_data(x))
        if jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key)
        else np.asarray(x)
        for x in jax.tree.leaves(tree)
    ]


def assert_same(first, second):
    assert jax.tree.structure(first) == jax.tree.structure(second)
    for a, b in zip(raw(first), raw(second), strict=True):
        np.testing.assert_array_equal(a, b)


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


def test_evaluation_ignores_dropout_and_batch(tmp_path):
    network, state = make_state()
    x = jnp.linspace(0.0, 1.0, 20).reshape(5, 4)
    model = network.for_evaluation(state)
    np.testing.assert_array_equal(model(x)[:1], model(x[:1]))
    assert not np.allclose(network.for_training(state, state.params)(x), model(x))


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
    reopened = Checkpoints(tmp_path)
    with pytest.raises(UserError, match="checkpoints/1: the checkpoint is damaged"):
        reopened.restore_latest(state)


def test_another_networks_checkpoint_is_one_line(tmp_path):
    network, state = make_state()
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(advance(network, state), DATA)
    checkpoints.close()
    _, wider = make_state(width=5)
    with pytest.raises(UserError, match=r"holds \(3,\) for .* network has \(5,\)"):
        Checkpoints(tmp_path).restore_latest(wider)


def test_a_half_written_checkpoint_is_not_the_latest(tmp_path):
    network, state = make_state()
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(advance(network, state), DATA)
    checkpoints.close()
    folder = tmp_path / "checkpoints"
    shutil.copytree(folder / "1", folder / "9.orbax-checkpoint-tmp")
    assert Checkpoints(tmp_path).latest_step == 1


def config_of(**changes):
    config = ConfigDict(
        {
            "training": {"steps": 10, "batch_size": 4},
            "data": {"datasets": (("coco", "a.npz", 0.5),)},
            "optimizer": {"learning_rate": 0.1, "clip_norm": 0.0},
        }
    )
    config.update_from_flattened_dict(changes)
    return config


def test_the_config_of_a_run_comes_back(tmp_path):
    folder = open_run_folder(str(tmp_path / "run"), config_of())
    assert read_run_config(folder) == config_of()
    assert json.loads((folder / "config.json").read_text())["training"]["steps"] == 10


def test_a_run_without_a_checkpoint_may_change(tmp_path):
    workdir = str(tmp_path / "run")
    open_run_folder(workdir, config_of())
    open_run_folder(workdir, config_of(**{"training.batch_size": 8}))
    assert read_run_config(workdir).training.batch_size == 8


def test_a_run_may_ask_for_more_steps_only(tmp_path):
    workdir = str(tmp_path / "run")
    folder = open_run_folder(workdir, config_of())
    (folder / "checkpoints" / "5").mkdir()
    open_run_folder(workdir, config_of(**{"training.steps": 20}))
    assert read_run_config(workdir).training.steps == 20
    with pytest.raises(UserError, match=r"'training.steps' is 20 .* and 10 now"):
        open_run_folder(workdir, config_of())
    with pytest.raises(UserError, match=r"'training.batch_size' is 4 .* and 8 now"):
        open_run_folder(
            workdir, config_of(**{"training.batch_size": 8, "training.steps": 20})
        )


def test_a_run_that_blew_up_may_go_on_more_carefully(tmp_path):
    """What the message of a diverged run recommends is possible."""
    workdir = str(tmp_path / "run")
    folder = open_run_folder(workdir, config_of())
    (folder / "checkpoints" / "5").mkdir()
    now = {"optimizer.learning_rate": 0.01, "optimizer.clip_norm": 5.0}
    open_run_folder(workdir, config_of(**now))
    assert read_run_config(workdir).optimizer.clip_norm == 5


def test_folder_errors(tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(UserError, match=r"--workdir .*file: cannot be made"):
        open_run_folder(str(file), config_of())
    with pytest.raises(UserError, match="no such folder"):
        read_run_config(tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"holds no config\.json"):
        read_run_config(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(UserError, match=r"config.json: cannot be read as JSON"):
        read_run_config(tmp_path)


def test_state_is_frozen():
    _, state = make_state()
    with pytest.raises(dataclasses.FrozenInstanceError):
        state.step = 1
