"""A step is the same wherever its examples are, and a bad one changes nothing."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax.sharding import PartitionSpec

from dsr_jax.regressor.dropout import ExampleDropout
from dsr_jax.training.devices import device_mesh, put_batch
from dsr_jax.training.state import state_shardings
from dsr_jax.training.step import StepSettings
from tests.training import test_step
from tests.training.test_step import make_run
from tests.training.tiny import TinyRegressor, make_batch, small

# One program for all tests that do not ask for another.
AVERAGED = StepSettings(ema_decay=0.8)


def raw(tree):
    return [
        np.asarray(jax.random.key_data(x))
        if jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key)
        else np.asarray(x)
        for x in jax.tree.leaves(tree)
    ]


def run(mesh, steps, how=StepSettings(), **options):  # noqa: B008
    state, step, scene, batch = make_run(mesh, how, **options)
    losses = []
    for _ in range(steps):
        state, metrics = step(state, scene, batch)
        losses.append(float(metrics["loss"]))
    return state, losses


class WithoutBatchNorm(TinyRegressor):
    """Its examples do not see each other."""

    def __init__(self, rngs):
        super().__init__(rngs)
        self.norm = Scale()


class Scale(nnx.Module):
    def __call__(self, x):
        return x / 255


class Wide(TinyRegressor):
    """Has weights that four devices can split."""

    def __init__(self, rngs):
        super().__init__(rngs)
        self.norm = nnx.Sequential(self.norm, nnx.Linear(3, 8, rngs=rngs))
        self.linear = nnx.Linear(8, 157, kernel_init=small, rngs=rngs)


@pytest.mark.slow
@pytest.mark.parametrize(
    "how", [StepSettings(), StepSettings(parameters="sharded", ema_decay=0.9)]
)
def test_twenty_steps_on_one_device_and_on_four(monkeypatch, how):
    """Dropout, batch norm and the DSR terms from the first step on."""
    monkeypatch.setattr("dsr_jax.training.state._SMALLEST_SPLIT", 8)
    monkeypatch.setattr(test_step, "TinyRegressor", Wide)
    options = {"dsr_start": 0, "rate": 1e-3}
    alone, expected = run(device_mesh(jax.devices()[:1]), 20, **options)
    state, losses = run(device_mesh(), 20, how, **options)
    # Sums over four devices round otherwise than one's, and Adam amplifies it.
    np.testing.assert_allclose(losses, expected, rtol=1e-4)
    for ours, theirs in zip(raw(state.statistics), raw(alone.statistics), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)
    kernel = state.params["linear"]["kernel"][...]
    assert kernel.is_fully_replicated == (how.parameters == "replicated")
    for ours, theirs in zip(raw(state.rng), raw(alone.rng), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.slow
def test_parts_one_after_the_other_are_the_whole_batch(monkeypatch):
    monkeypatch.setattr(test_step, "TinyRegressor", WithoutBatchNorm)
    mesh = device_mesh(jax.devices()[:1])
    _, whole = run(mesh, 5, dsr_start=2)
    for parts in (2, 4):
        _, losses = run(mesh, 5, StepSettings(accumulate=parts), dsr_start=2)
        np.testing.assert_allclose(losses, whole, rtol=1e-5)


def test_the_average_follows_the_weights():
    mesh = device_mesh()
    state, step, scene, batch = make_run(mesh, AVERAGED)
    average = raw({"params": state.params, "statistics": state.statistics})
    for number in range(8):
        state, _ = step(state, scene, batch)
        weight = 1 - min(AVERAGED.ema_decay, (1 + number) / (10 + number))
        now = raw({"params": state.params, "statistics": state.statistics})
        average = [a + weight * (n - a) for a, n in zip(average, now, strict=True)]
    for ours, expected in zip(raw(state.ema), average, strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-7)
    assert state.evaluated is state.ema


def test_a_bad_step_and_those_after_it_change_nothing():
    mesh = device_mesh()
    state, step, scene, batch = make_run(mesh, AVERAGED)
    joints = np.array(make_batch().joints)
    joints[2, 5, 0] = np.inf
    bad = put_batch(dataclasses.replace(make_batch(), joints=joints), mesh)
    state, metrics = step(state, scene, batch)
    assert metrics["fault"] == 0
    before = raw(dataclasses.replace(state, fault=jnp.zeros(())))
    for given in (bad, batch, batch):
        state, metrics = step(state, scene, given)
        assert metrics["fault"] == state.fault == 2
    after = raw(dataclasses.replace(state, fault=jnp.zeros(())))
    for ours, expected in zip(after, before, strict=True):
        np.testing.assert_array_equal(ours, expected)


def test_one_hosts_wish_to_stop_is_seen_by_all():
    mesh = device_mesh()
    state, step, scene, batch = make_run(mesh, AVERAGED)
    state, metrics = step(state, scene, batch)
    assert metrics["stop"] == 0
    _, metrics = step(state, scene, batch, stop=True)
    assert metrics["stop"] == mesh.size


def test_nothing_travels_between_host_and_devices_in_a_step():
    state, step, scene, _ = make_run(device_mesh(), AVERAGED)
    with pytest.raises(RuntimeError, match="Disallowed host-to-device transfer"):
        step(state, scene, make_batch())


def test_what_is_split_over_the_devices(monkeypatch):
    monkeypatch.setattr("dsr_jax.training.state._SMALLEST_SPLIT", 100)
    monkeypatch.setattr(test_step, "TinyRegressor", Wide)
    state, *_ = make_run(
        device_mesh(), StepSettings(parameters="sharded", ema_decay=0.9)
    )
    shardings = state_shardings(state, device_mesh(), "sharded")
    adam = shardings.optimizer[1][0]
    for tree in (shardings.params, adam.mu, adam.nu, shardings.ema["params"]):
        specs = {leaf.spec for leaf in jax.tree.leaves(tree["linear"])}
        assert specs == {PartitionSpec("batch"), PartitionSpec()}
    for leaf in jax.tree.leaves((shardings.statistics, shardings.rng, shardings.step)):
        assert leaf.spec == PartitionSpec()


def test_an_examples_mask_does_not_depend_on_its_company():
    """Rows 0 to 7 at once, in two halves, and one alone."""
    x = jnp.ones((8, 50))

    def dropped(rows):
        layer = ExampleDropout(0.4, rngs=nnx.Rngs(dropout=3))
        return np.asarray(layer(x[: len(rows)], jnp.asarray(rows)))

    whole = dropped(range(8))
    np.testing.assert_array_equal(whole[4:], dropped([4, 5, 6, 7]))
    np.testing.assert_array_equal(whole[6:7], dropped([6]))
    assert 0.5 < np.mean(whole > 0) < 0.7
    np.testing.assert_allclose(np.unique(whole), [0, 1 / 0.6], rtol=1e-6)
    assert not np.array_equal(whole[0], whole[1])
    layer = ExampleDropout(0.4, deterministic=True, rngs=nnx.Rngs(dropout=3))
    np.testing.assert_array_equal(layer(x), x)
