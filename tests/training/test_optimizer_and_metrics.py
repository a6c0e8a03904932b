"""Adam against NumPy, schedules at their corners, and metrics files that continue."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from dsr_jax.errors import UserError
from dsr_jax.settings import settings_from_config
from dsr_jax.training import metrics
from dsr_jax.training.metrics import MetricWriter, read_metrics
from dsr_jax.training.optimizer import (
    OptimizerSettings,
    build_optimizer,
    learning_rate_schedule,
)

ADAM = {
    "learning_rate": 0.1,
    "b1": 0.9,
    "b2": 0.99,
    "eps": 1e-8,
    "schedule": "constant",
    "warmup_steps": 0,
    "final_fraction": 0.0,
    "step_boundaries": (),
    "step_factor": 0.1,
    "clip_norm": 0.0,
    "ema_decay": 0.0,
}


def test_adam_agrees_with_the_paper(float64):
    optimizer = build_optimizer(OptimizerSettings(**ADAM), steps=5)
    weights = jnp.array([1.0, -2.0, 0.5])
    state = optimizer.init(weights)
    expected = np.array([1.0, -2.0, 0.5])
    first, second = np.zeros(3), np.zeros(3)
    for t in range(1, 6):
        gradient = 2 * np.asarray(weights)
        updates, state = optimizer.update(jnp.asarray(gradient), state)
        weights = optax.apply_updates(weights, updates)
        first = 0.9 * first + 0.1 * gradient
        second = 0.99 * second + 0.01 * gradient**2
        corrected = first / (1 - 0.9**t), second / (1 - 0.99**t)
        expected = expected - 0.1 * corrected[0] / (np.sqrt(corrected[1]) + 1e-8)
        np.testing.assert_allclose(weights, expected, rtol=1e-9)


def test_clipping_bounds_what_adam_sees():
    settings = OptimizerSettings(**{**ADAM, "clip_norm": 1.0})
    optimizer = build_optimizer(settings, steps=5)
    big, small = jnp.array([3e6, 4e6]), jnp.array([0.6, 0.8])
    state = optimizer.init(big)
    _, after_big = optimizer.update(big, state)
    _, after_small = optimizer.update(small, state)
    np.testing.assert_allclose(after_big[1][0].mu, after_small[1][0].mu, rtol=1e-5)


def test_clipping_changes_no_states_form():
    """So that a checkpoint without it may be continued with it."""
    states = [
        build_optimizer(OptimizerSettings(**{**ADAM, "clip_norm": norm}), steps=5).init(
            jnp.zeros(2)
        )
        for norm in (0.0, 1.0)
    ]
    assert jax.tree.structure(states[0]) == jax.tree.structure(states[1])


def test_schedules_that_fall_along_a_line_and_in_steps():
    line = OptimizerSettings(
        **{**ADAM, "schedule": "linear", "warmup_steps": 10, "final_fraction": 0.2}
    )
    rate = learning_rate_schedule(line, steps=110)
    np.testing.assert_allclose([rate(0), rate(10)], [0.01, 0.1], rtol=1e-6)
    np.testing.assert_allclose([rate(60), rate(110)], [0.06, 0.02], rtol=1e-5)
    stairs = OptimizerSettings(
        **{**ADAM, "schedule": "step", "warmup_steps": 10, "step_boundaries": (30, 50)}
    )
    rate = learning_rate_schedule(stairs, steps=110)
    at = [rate(step) for step in (10, 29, 31, 49, 51, 109)]
    np.testing.assert_allclose(at, [0.1, 0.1, 0.01, 0.01, 0.001, 0.001], rtol=1e-5)


def test_schedule_warms_up_and_decays():
    settings = OptimizerSettings(
        **{**ADAM, "schedule": "cosine", "warmup_steps": 10, "final_fraction": 0.1}
    )
    rate = learning_rate_schedule(settings, steps=110)
    np.testing.assert_allclose(rate(0), 0.01, rtol=1e-6)
    np.testing.assert_allclose(rate(10), 0.1, rtol=1e-6)
    np.testing.assert_allclose(rate(60), 0.055, rtol=1e-5)
    np.testing.assert_allclose(rate(110), 0.01, rtol=1e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schedule": "square"}, "schedule is 'square'"),
        ({"learning_rate": 0.0}, "learning_rate is 0.0"),
        ({"b2": 1.0}, "give values in"),
        ({"clip_norm": -1.0}, "cannot be below 0"),
        ({"ema_decay": 1.0}, "ema_decay is 1.0"),
        ({"step_boundaries": (5, 3)}, "ascending steps"),
        ({"step_boundaries": (0,)}, "from 1 on"),
        ({"schedule": "step"}, "needs step_boundaries"),
    ],
)
def test_settings_are_checked(change, message):
    with pytest.raises(UserError, match=message):
        settings_from_config(OptimizerSettings, {**ADAM, **change}, "optimizer")


def steps_in(folder):
    return [record["step"] for record in read_metrics(folder / "metrics.jsonl")]


def test_a_continued_run_has_no_doubled_steps(tmp_path):
    writer = MetricWriter(tmp_path, first_step=0)
    for step in (10, 20, 30):
        writer.write(step, {"loss/total": float(step)})
    writer.close()
    # A crash while the fourth record was written.
    with open(tmp_path / "metrics.jsonl", "a") as file:
        file.write('{"step": 40, "loss/to')
    writer = MetricWriter(tmp_path, first_step=20)
    assert steps_in(tmp_path) == [10, 20]
    writer.write(30, {"loss/total": 1.0})
    writer.close()
    records = read_metrics(tmp_path / "metrics.jsonl")
    assert [r["step"] for r in records] == [10, 20, 30]
    assert records[-1] == {"step": 30, "loss/total": 1.0}
    assert list(tmp_path.glob("events*"))


def test_metrics_are_plain_json_lines(tmp_path):
    writer = MetricWriter(tmp_path, first_step=0)
    writer.write(1, {"a": 0.5})
    writer.picture(1, "panel", np.zeros((8, 8, 3), np.uint8))
    writer.close()
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [{"step": 1, "a": 0.5}]


def test_another_process_than_the_first_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(metrics, "is_first_host", lambda: False)
    writer = MetricWriter(tmp_path, first_step=0)
    writer.write(1, {"a": 0.5})
    writer.picture(1, "panel", np.zeros((8, 8, 3), np.uint8))
    writer.close()
    assert not list(tmp_path.iterdir())
