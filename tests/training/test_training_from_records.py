"""Training from records of synthetic people is training from the generator."""

import itertools

import jax
import numpy as np
import pytest

from configs.base import base_config
from dsr_jax.body import load_body
from dsr_jax.data import write_people
from dsr_jax.data.records import BuildSettings, DataSet, build_records
from dsr_jax.training.data_source import make_people, open_datasets, training_stream
from dsr_jax.training.devices import device_mesh, replicated
from dsr_jax.training.loading import load_scene
from dsr_jax.training.optimizer import build_optimizer
from dsr_jax.training.settings import RunSettings
from dsr_jax.training.state import create_state
from dsr_jax.training.step import build_train_step
from tests.training.tiny import TinyRegressor

PEOPLE, STEPS, SIZE = 24, 12, 32


def settings_with(records=None):
    """Flips and colours; people who are turned would be others than the pool's."""
    config = base_config()
    config.training.batch_size = 8
    config.training.steps = STEPS
    config.data.image_size = SIZE
    config.data.pool = PEOPLE
    config.data.workers = 2
    config.augmentation.no_rotation_probability = 1.0
    config.augmentation.scale_std = 0.0
    config.cleaning.others = "none"
    config.cleaning.speck_px = 0.0
    config.cleaning.refuse = False
    config.body.name = "free-lite"
    config.semantics.prior = "free-lite"
    config.rasterizer.sigma = 1e-4
    config.objective.dsr_start_step = STEPS // 2
    config.optimizer.learning_rate = 1e-3
    if records is not None:
        config.data.source = "folder"
        config.data.datasets = (("people", str(records), "", "", 1.0),)
    return RunSettings.from_config(config)


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    folder = tmp_path_factory.mktemp("people")
    body, mesh = load_body("free-lite"), device_mesh(jax.devices()[:1])
    settings = settings_with().synthetic
    people = make_people(body, settings, 0, "train", PEOPLE, mesh)
    write_people(folder / "files", [people])
    source = DataSet("synthetic", str(folder / "files")).open()
    build = BuildSettings("synthetic", "train", folder / "records", shard_bytes=20_000)
    build_records(source, build)
    return folder / "records"


def stream(settings, mesh):
    body = load_body("free-lite")
    return training_stream(settings, body, mesh, 0, open_datasets(settings))


@pytest.mark.slow
def test_the_same_people_give_the_same_batches(records):
    """Photos and labels bit for bit; keypoints and poses went through other units."""
    mesh = device_mesh(jax.devices()[:1])
    both = (
        stream(settings, mesh) for settings in (settings_with(), settings_with(records))
    )
    for first, second in itertools.islice(zip(*both, strict=True), 6):
        first, second = jax.device_get((first, second))
        for name in ("image", "labels", "has_labels", "joints", "betas", "has_body"):
            np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
        seen = first.keypoints_ndc[..., 2] > 0
        np.testing.assert_array_equal(seen, second.keypoints_ndc[..., 2] > 0)
        np.testing.assert_allclose(
            first.keypoints_ndc[seen], second.keypoints_ndc[seen], atol=1e-6
        )
        np.testing.assert_allclose(first.pose, second.pose, atol=1e-6)


@pytest.mark.slow
def test_training_learns_the_same(records):
    """Differences of 1e-7 in the batches grow with the steps, but stay far below what
    is learnt."""
    mesh = device_mesh(jax.devices()[:1])
    settings = settings_with()
    scene = jax.device_put(load_scene(settings), replicated(mesh))
    optimizer = build_optimizer(settings.optimizer, STEPS)
    network, _ = create_state(
        TinyRegressor, optimizer, jax.random.key(0), replicated(mesh)
    )
    step = build_train_step(network, optimizer, settings.pipeline, mesh)
    losses = []
    for source in (settings, settings_with(records)):
        _, state = create_state(
            TinyRegressor, optimizer, jax.random.key(0), replicated(mesh)
        )
        history = []
        for batch in itertools.islice(stream(source, mesh), STEPS):
            state, metrics = step(state, scene, batch)
            history.append(float(metrics["loss"]))
        losses.append(np.array(history))
    learnt = losses[0][: STEPS // 2].max() - losses[0][: STEPS // 2].min()
    assert learnt > 1
    np.testing.assert_allclose(losses[0], losses[1], atol=1e-3 * learnt)
