"""Eight fixed images are learnt by heart: gradients reach everything that matters."""

import jax
import numpy as np
import pytest

from configs.base import base_config
from dsr_jax.evaluation import Bodies, protocol_by_name
from dsr_jax.training.data_source import PeopleDataset, make_people, training_stream
from dsr_jax.training.devices import device_mesh, replicated
from dsr_jax.training.loading import load_scene, regressor_builder
from dsr_jax.training.optimizer import build_optimizer
from dsr_jax.training.settings import RunSettings
from dsr_jax.training.state import create_state
from dsr_jax.training.step import build_train_step
from dsr_jax.training.validation import EvaluationSet, state_predictor

STEPS = 500


def settings_of_overfitting():
    config = base_config()
    config.training.steps = STEPS
    config.training.batch_size = 8
    config.data.image_size = 64
    config.data.pool = 8
    config.data.workers = 1
    config.augmentation.flip_probability = 0.0
    config.augmentation.channel_noise = 0.0
    config.body.name = "free-lite"
    config.semantics.prior = "free-lite"
    config.regressor.backbone = "resnet18"
    config.regressor.dropout = 0.0
    config.objective.dsr_start_step = STEPS // 2
    config.optimizer.learning_rate = 5e-4
    config.optimizer.schedule = "cosine"
    config.optimizer.warmup_steps = 20
    return RunSettings.from_config(config)


@pytest.mark.slow
def test_eight_images_are_learnt_by_heart():
    settings = settings_of_overfitting()
    mesh = device_mesh(jax.devices()[:1])
    scene = jax.device_put(load_scene(settings), replicated(mesh))
    optimizer = build_optimizer(settings.optimizer, STEPS)
    network, state = create_state(
        regressor_builder(settings), optimizer, jax.random.key(0), mesh
    )
    step = build_train_step(network, optimizer, settings.pipeline, mesh)
    history = []
    for batch in training_stream(settings, scene.body, mesh, 0):
        state, metrics = step(state, scene, batch)
        history.append({name: float(value) for name, value in metrics.items()})
        if len(history) == STEPS:
            break
    people = make_people(scene.body, settings.synthetic, 0, "train", 8, mesh)
    protocol, truth = protocol_by_name("synthetic"), Bodies(scene.body)
    learnt = EvaluationSet("train", PeopleDataset(people), protocol, truth, 8)
    bodies = state_predictor(network)
    result = learnt.measure(bodies(state))
    assert result.count == 8
    assert result.pa_mpjpe < 25
    first, last = history[STEPS // 2], history[-1]
    for term in ("term/dsr_mc", "term/dsr_c"):
        assert last[term] < first[term]
    assert np.isfinite([m["gradient_norm"] for m in history]).all()
