"""Training from records of synthetic people is training from the generator."""

import itertools

import jax
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from configs.base import base_config
from dsr_jax.body import load_body
from dsr_jax.data import Batch, write_people
from dsr_jax.data.records import BuildSettings, DataSet, build_records
from dsr_jax.training import data_source
from dsr_jax.training.data_source import open_datasets, training_stream
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


def handmade_people():
    """Legal, but nothing to look at: the generator takes a minute to compile."""
    generator = np.random.default_rng(0)
    keypoints = generator.uniform(-0.9, 0.9, (PEOPLE, 49, 3))
    keypoints[..., 2] = generator.integers(0, 2, (PEOPLE, 49))
    keypoints[keypoints[..., 2] == 0] = 0
    poses = Rotation.from_rotvec(generator.normal(0, 0.5, (PEOPLE * 24, 3))).as_matrix()
    labels = np.zeros((PEOPLE, SIZE, SIZE), np.uint8)
    labels[:, 4:28, 8:24] = generator.integers(0, 20, (PEOPLE, 24, 16))
    ones = np.ones(PEOPLE, np.float32)
    return Batch(
        image=generator.integers(0, 256, (PEOPLE, SIZE, SIZE, 3)).astype(np.uint8),
        labels=labels,
        has_labels=ones,
        keypoints_ndc=keypoints.astype(np.float32),
        joints=generator.uniform(-1, 1, (PEOPLE, 24, 4)).astype(np.float32),
        pose=poses.reshape(PEOPLE, 24, 3, 3).astype(np.float32),
        betas=generator.normal(size=(PEOPLE, 10)).astype(np.float32),
        has_body=ones,
        camera=np.zeros((PEOPLE, 3), np.float32),
    )


@pytest.fixture
def records(tmp_path, monkeypatch):
    people = handmade_people()
    monkeypatch.setattr(data_source, "make_people", lambda *_: people)
    write_people(tmp_path / "files", [people])
    source = DataSet("synthetic", str(tmp_path / "files")).open()
    build = BuildSettings(
        "synthetic", "train", tmp_path / "records", shard_bytes=20_000
    )
    build_records(source, build)
    return tmp_path / "records"


def stream(settings, mesh):
    body = load_body("free-lite")
    return training_stream(settings, body, mesh, 0, open_datasets(settings))


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
    """Differences of 1e-7 in the batches grow, but stay far below what is learnt."""
    mesh = device_mesh(jax.devices()[:1])
    settings = settings_with()
    scene = jax.device_put(load_scene(settings), replicated(mesh))
    optimizer = build_optimizer(settings.optimizer, STEPS)
    network, _ = create_state(TinyRegressor, optimizer, jax.random.key(0), mesh)
    step = build_train_step(network, optimizer, settings.pipeline, mesh)
    losses = []
    for source in (settings, settings_with(records)):
        _, state = create_state(TinyRegressor, optimizer, jax.random.key(0), mesh)
        history = []
        for batch in itertools.islice(stream(source, mesh), STEPS):
            state, metrics = step(state, scene, batch)
            history.append(float(metrics["loss"]))
        losses.append(np.array(history))
    learnt = losses[0][: STEPS // 2].max() - losses[0][: STEPS // 2].min()
    assert learnt > 1
    np.testing.assert_allclose(losses[0], losses[1], atol=1e-3 * learnt)
