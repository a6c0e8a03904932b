"""Training streams: continued where they stopped, split over devices and data sets."""

import dataclasses
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs.base import base_config
from dsr_jax.body import KEYPOINT_FLIP_49, load_body
from dsr_jax.data import AugmentationSettings, Batch, write_people
from dsr_jax.data.synthetic import SyntheticSettings, split_key
from dsr_jax.errors import UserError
from dsr_jax.training import data_source
from dsr_jax.training.checkpoint import CHECKPOINTS
from dsr_jax.training.data_source import (
    PeopleDataset,
    example_order,
    make_people,
    open_datasets,
    training_stream,
    trouble_counts,
    trouble_report,
)
from dsr_jax.training.devices import device_mesh
from dsr_jax.training.run_folder import keep_same_data
from dsr_jax.training.settings import RunSettings

SIZE = 16
BODY = load_body("free-lite")


def fake_people(key, count, body, settings, backgrounds=None, first=0):
    """People whose betas say which key and number made them."""
    keys = jax.vmap(jax.random.fold_in, (None, 0))(key, first + jnp.arange(count))
    numbers = jax.vmap(lambda k: jax.random.normal(k, (10,)))(keys)
    side = settings.image_size
    return Batch(
        image=jnp.zeros((count, side, side, 3), jnp.uint8),
        labels=jnp.zeros((count, side, side), jnp.uint8),
        has_labels=jnp.ones(count),
        keypoints_ndc=jnp.ones((count, 49, 3)),
        joints=jnp.ones((count, 24, 4)),
        pose=jnp.broadcast_to(jnp.eye(3), (count, 24, 3, 3)),
        betas=numbers,
        has_body=jnp.ones(count),
        camera=jnp.ones((count, 3)),
    )


@pytest.fixture
def cheap_people(monkeypatch):
    monkeypatch.setattr(data_source, "synthetic_people", fake_people)
    for cached in (data_source.people_generator, data_source._chunk_generator):
        cached.cache_clear()
    yield
    for cached in (data_source.people_generator, data_source._chunk_generator):
        cached.cache_clear()


def settings_with(**changes):
    config = base_config()
    config.data.image_size = SIZE
    config.data.pool = 20
    config.data.workers = 2
    config.training.batch_size = 8
    config.update_from_flattened_dict(changes)
    return RunSettings.from_config(config)


def take(stream, count):
    return [jax.device_get(batch) for batch in itertools.islice(stream, count)]


@pytest.mark.parametrize("pool", [0, 20])
def test_a_stream_continues_where_it_stopped(cheap_people, pool):
    settings = settings_with(**{"data.pool": pool})
    whole = take(training_stream(settings, BODY, device_mesh(), 0), 7)
    rest = take(training_stream(settings, BODY, device_mesh(), 4), 3)
    for first, second in zip(whole[4:], rest, strict=True):
        jax.tree.map(np.testing.assert_array_equal, first, second)
    assert not np.array_equal(whole[0].betas, whole[1].betas)


def test_another_seed_is_another_stream(cheap_people):
    first = take(training_stream(settings_with(), BODY, device_mesh(), 0), 1)
    settings = settings_with(**{"training.seed": 1})
    second = take(training_stream(settings, BODY, device_mesh(), 0), 1)
    assert not np.array_equal(first[0].betas, second[0].betas)


def test_every_device_makes_its_own_people(cheap_people):
    settings = settings_with(**{"data.pool": 0})
    batch = next(training_stream(settings, BODY, device_mesh(), 0))
    assert len(batch.betas.sharding.device_set) == 4
    assert len(np.unique(np.asarray(batch.betas)[:, 0])) == 8


def test_people_are_the_same_on_any_devices(cheap_people):
    one, four = (device_mesh(jax.devices()[:count]) for count in (1, 4))
    settings = settings_with(**{"data.pool": 0})
    batches = [
        take(training_stream(settings, BODY, mesh, 3), 2)
        for mesh in (one, device_mesh(jax.devices()[:2]), four)
    ]
    for others in batches[1:]:
        # Compiled for another number a device, sums may be rounded otherwise.
        for first, second in zip(batches[0], others, strict=True):
            np.testing.assert_allclose(first.betas, second.betas, rtol=1e-6)
    few, many = (
        make_people(BODY, settings.synthetic, 0, "test", 150, mesh).betas
        for mesh in (one, four)
    )
    np.testing.assert_array_equal(few, many)
    assert len(np.unique(few[:, 0])) == len(few) == 150


def test_a_pool_is_used_up_before_it_starts_again(cheap_people):
    settings = settings_with(**{"data.pool": 24})
    batches = take(training_stream(settings, BODY, device_mesh(), 0), 3)
    seen = np.concatenate([batch.betas[:, 0] for batch in batches])
    assert len(np.unique(seen)) == 24


def test_people_do_not_depend_on_the_devices(cheap_people):
    def made_on(devices):
        mesh = device_mesh(jax.devices()[:devices])
        settings = SyntheticSettings(image_size=SIZE)
        return data_source.make_people(BODY, settings, 0, "test", 70, mesh)

    alone = made_on(1)
    assert len(np.unique(alone.betas[:, 0])) == 70
    # Three chunks: two devices have one left over, of four one has nothing to do.
    for devices in (2, 4):
        others = made_on(devices)
        jax.tree.map(np.testing.assert_array_equal, others, alone)
    key = jax.random.fold_in(split_key(0, "test", 1), 0)
    second = fake_people(key, 32, BODY, _Sized())
    np.testing.assert_array_equal(alone.betas[32:64], second.betas)


def test_people_are_mirrored_or_not():
    people = jax.device_get(fake_people(jax.random.key(0), 4, None, _Sized()))
    keypoints = np.random.default_rng(0).normal(size=(4, 49, 3)).astype(np.float32)
    people = dataclasses.replace(people, keypoints_ndc=keypoints)
    settings = AugmentationSettings(flip_probability=1.0, channel_noise=0.0)
    dataset = PeopleDataset(people, settings)
    flipped = dataset.example(2, np.random.default_rng(0))
    expected = keypoints[2][np.asarray(KEYPOINT_FLIP_49)] * np.array([-1, 1, 1])
    np.testing.assert_allclose(flipped.keypoints_ndc, expected)
    np.testing.assert_array_equal(dataset.example(2).keypoints_ndc, keypoints[2])
    assert len(dataset) == 4


class _Sized:
    image_size = SIZE


def test_a_share_too_small_is_one_line():
    sets = tuple((name, "a.npz", "images", "", share) for name, share in SMALL)
    settings = settings_with(**{"data.source": "folder", "data.datasets": sets})
    people = jax.device_get(fake_people(jax.random.key(0), 4, None, _Sized()))
    datasets = [PeopleDataset(people)] * 2
    with pytest.raises(UserError, match=r"'data.datasets': a share of 1e-06 beside 1"):
        example_order(settings, datasets)


SMALL = (("many", 1.0), ("few", 1e-6))


def test_data_sets_are_mixed_by_share(tmp_path):
    people = jax.device_get(fake_people(jax.random.key(0), 6, None, _Sized()))
    sets = []
    for number, (name, share) in enumerate((("many", 0.75), ("few", 0.25))):
        marked = np.full((6, 10), number, np.float32)
        write_people(tmp_path / name, [dataclasses.replace(people, betas=marked)])
        folder = tmp_path / name
        files = folder / "annotations.npz", folder / "images", folder / "labels"
        sets.append((name, *map(str, files), share))
    settings = settings_with(**{"data.source": "folder", "data.datasets": tuple(sets)})
    datasets = open_datasets(settings)
    stream = training_stream(settings, BODY, device_mesh(), 0, datasets)
    batches = take(stream, 3)
    for batch in batches:
        assert batch.image.shape == (8, SIZE, SIZE, 3)
        assert (batch.betas[:, 0] == 0).sum() == 6
    again = take(training_stream(settings, BODY, device_mesh(), 2, datasets), 1)
    jax.tree.map(np.testing.assert_array_equal, batches[2], again[0])


@pytest.fixture
def two_sets(tmp_path):
    """Two data sets on disk; the second has a label map that is cut short."""
    people = jax.device_get(fake_people(jax.random.key(0), 6, None, _Sized()))
    sets = []
    for name in ("whole", "broken"):
        write_people(tmp_path / name, [people])
        parts = ("annotations.npz", "images", "labels")
        sets.append((name, *(str(tmp_path / name / part) for part in parts), 0.5))
    path = tmp_path / "broken" / "labels" / "000004.png"
    path.write_bytes(path.read_bytes()[:-9])
    return {"data.source": "folder", "data.datasets": tuple(sets)}


def test_a_broken_label_map_ends_the_stream_with_one_line(two_sets):
    settings = settings_with(**two_sets)
    datasets = open_datasets(settings)
    stream = training_stream(settings, BODY, device_mesh(), 0, datasets)
    with pytest.raises(UserError, match=r"000004\.png: this label map is truncated"):
        take(stream, 2)


def test_broken_and_refused_label_maps_are_counted_over_data_sets(two_sets):
    settings = settings_with(**two_sets, **{"labels.broken": "skip"})
    datasets = open_datasets(settings)
    assert trouble_counts([]) == {}
    stream = training_stream(settings, BODY, device_mesh(), 0, datasets)
    batches = take(stream, 3)
    # The fakes' label maps are all background.
    assert not any(batch.has_labels.any() for batch in batches)
    assert trouble_counts([*datasets, PeopleDataset(batches[0])]) == {
        "data/broken_photos": 0.0,
        "data/broken_label_maps": 1.0,
        "data/refused_label_maps": 11.0,
    }
    assert trouble_report(settings, datasets).splitlines() == [
        "data set 'whole': 6 label map(s) refused: shows nobody",
        "data set 'broken': 1 label map(s) broken: truncated",
        "data set 'broken': 5 label map(s) refused: shows nobody",
    ]
    trusting = settings_with(
        **two_sets, **{"labels.broken": "skip", "cleaning.refuse": False}
    )
    stream = training_stream(trusting, BODY, device_mesh(), 0, open_datasets(trusting))
    assert sum(batch.has_labels.sum() for batch in take(stream, 3)) == 22


def test_a_missing_data_set_is_one_line(tmp_path):
    sets = (("coco", str(tmp_path / "coco.npz"), str(tmp_path), "", 1.0),)
    settings = settings_with(**{"data.source": "folder", "data.datasets": sets})
    with pytest.raises(UserError, match=r"data set 'coco' .*coco\.npz"):
        open_datasets(settings)


def test_a_run_is_not_continued_with_other_data(tmp_path):
    one = {"name": "coco", "length": 5, "share": 0.5}
    keep_same_data(tmp_path, [one])
    # Nothing was learnt yet: the data may be corrected.
    (tmp_path / CHECKPOINTS).mkdir()
    keep_same_data(tmp_path, [one | {"length": 6}])
    (tmp_path / CHECKPOINTS / "1").mkdir()
    keep_same_data(tmp_path, [one | {"length": 6}])
    with pytest.raises(
        UserError, match=r"data\.json: data set 'coco': its length is 7"
    ):
        keep_same_data(tmp_path, [one | {"length": 7}])
