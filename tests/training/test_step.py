"""The training step: one compilation, sharded, donated, learning, and loud on NaN."""

import dataclasses

import jax
import numpy as np
import pytest
from flax import nnx

from dsr_jax.errors import UserError
from dsr_jax.losses import ObjectiveSettings
from dsr_jax.pipeline import PipelineSettings
from dsr_jax.rasterizer import RasterSettings
from dsr_jax.training.devices import check_batch, device_mesh, put_batch, replicated
from dsr_jax.training.optimizer import OptimizerSettings, build_optimizer
from dsr_jax.training.state import create_state
from dsr_jax.training.step import StepSettings, build_train_step
from tests.training.tiny import SIZE, TinyRegressor, make_batch, make_scene

DSR_START = 3
TERMS = ("keypoints_2d", "joints_3d", "pose", "betas", "camera", "dsr_mc", "dsr_c")
OPTIMIZER = OptimizerSettings(
    learning_rate=3e-3,
    b1=0.9,
    b2=0.999,
    eps=1e-8,
    schedule="constant",
    warmup_steps=0,
    final_fraction=0.0,
    step_boundaries=(),
    step_factor=0.1,
    clip_norm=0.0,
    ema_decay=0.0,
)


def make_run(mesh, how=StepSettings(), dsr_start=DSR_START, rate=3e-3):  # noqa: B008
    scene = jax.device_put(make_scene(), replicated(mesh))
    optimizer = build_optimizer(
        dataclasses.replace(OPTIMIZER, learning_rate=rate),
        steps=10,
    )
    network, state = create_state(
        *(TinyRegressor, optimizer, jax.random.key(0), mesh),
        how.parameters,
        how.ema_decay > 0,
    )
    settings = PipelineSettings(
        objective=ObjectiveSettings(dsr_start_step=dsr_start),
        raster=RasterSettings(image_size=(SIZE, SIZE), sigma=1e-4),
        visible_only=False,
    )
    step = build_train_step(network, optimizer, settings, mesh, how)
    return state, step, scene, put_batch(make_batch(), mesh)


def run_steps(mesh, count, *options):
    state, step, scene, batch = make_run(mesh, *options)
    history, compilations = [], []
    jax.monitoring.register_event_duration_secs_listener(
        lambda event, *_, **__: compilations.append(event)
    )
    for _ in range(count):
        del compilations[:]
        state, metrics = step(state, scene, batch)
        history.append({name: float(value) for name, value in metrics.items()})
        history[-1]["compilations"] = sum(
            event.endswith(("backend_compile_duration", "jaxpr_trace_duration"))
            for event in compilations
        )
    return state, history, step


@pytest.fixture(scope="module")
def sharded():
    """Six steps on four devices, the semantic terms from the fourth on."""
    mesh = device_mesh()
    assert mesh.size == 4
    return run_steps(mesh, 6)


def test_one_compilation_across_the_switch(sharded):
    _, history, _ = sharded
    assert history[0]["compilations"] > 0
    assert [metrics["compilations"] for metrics in history[1:]] == [0] * 5
    for number, metrics in enumerate(history):
        active = number >= DSR_START
        assert (metrics["valid/dsr_c"] > 0) == active
        assert (metrics["term/dsr_mc"] > 0) == active
        assert (metrics["term/dsr_c"] > 0) == active


def test_terms_add_up_to_the_loss(sharded):
    _, history, _ = sharded
    weights = ObjectiveSettings()
    for metrics in history:
        weighted = {name: metrics[f"weighted/{name}"] for name in TERMS}
        np.testing.assert_allclose(sum(weighted.values()), metrics["loss"], rtol=1e-5)
        for name in TERMS:
            expected = 60 * getattr(weights, name) * metrics[f"term/{name}"]
            np.testing.assert_allclose(weighted[name], expected, rtol=1e-5)
    assert history[-1]["valid/dsr_c"] == history[-1]["valid/pose"] == 0.75


def test_it_learns(sharded):
    state, history, _ = sharded
    assert int(state.step) == 6
    assert history[2]["loss"] < history[0]["loss"]
    assert history[-1]["weighted/keypoints_2d"] < history[0]["weighted/keypoints_2d"]
    moved = jax.tree.leaves(nnx.to_pure_dict(state.statistics))
    assert any(np.abs(np.asarray(x) - 1).min() > 0 for x in moved)


def test_the_state_is_given_away_and_copied_everywhere(sharded):
    state, _, step = sharded
    _, _, scene, batch = make_run(device_mesh())
    before = jax.tree.leaves(state.params)[0]
    assert len(before.sharding.device_set) == 4 and before.is_fully_replicated
    step(jax.tree.map(lambda x: x, state), scene, batch)
    assert before.is_deleted()


@pytest.mark.slow
def test_devices_do_not_change_the_result():
    """Global means, global batch statistics: four devices compute what one does."""
    first, history, _ = run_steps(device_mesh(), 5)
    second, alone, _ = run_steps(device_mesh(jax.devices()[:1]), 5)
    for ours, theirs in zip(history, alone, strict=True):
        for name in ours.keys() - {"compilations"}:
            np.testing.assert_allclose(
                ours[name], theirs[name], rtol=2e-4, atol=1e-6, err_msg=name
            )
    pairs = zip(
        jax.tree.leaves(first.params), jax.tree.leaves(second.params), strict=True
    )
    for a, b in pairs:
        # Adam turns the sign of a gradient of 1e-9 into a step of the learning rate.
        assert np.mean(np.abs(np.asarray(a) - np.asarray(b)) > 1e-4) < 0.02


def test_a_batch_must_split_over_the_devices_and_into_parts():
    check_batch(8, device_mesh(), 2)
    with pytest.raises(UserError, match=r"'training.batch_size' is 6, .* 4 devices"):
        check_batch(6, device_mesh())
    with pytest.raises(UserError, match=r"'training.accumulate' is 3, .* divisor of 2"):
        check_batch(8, device_mesh(), 3)


def test_settings_are_static():
    settings = PipelineSettings(
        ObjectiveSettings(), RasterSettings(image_size=(8, 8)), False
    )
    assert hash(settings) == hash(dataclasses.replace(settings))
