"""A data set on disk: what is written is read, and broken files are named."""

import dataclasses

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from dsr_jax.data import (
    AugmentationSettings,
    Batch,
    FolderDataset,
    FolderSettings,
    read_spin_npz,
    write_people,
    write_spin_npz,
)
from dsr_jax.errors import UserError
from dsr_jax.semantics import RELEASED_CLEANING, UNCLEANED

SIDE = 16


def _handmade(count, seed=0):
    """Random but legal examples; the second has neither labels nor a body."""
    generator = np.random.default_rng(seed)
    known = np.ones(count, np.float32)
    known[1] = 0
    confidence = generator.integers(0, 2, (count, 49, 1)) * 0.75
    place = generator.uniform(-1, 1, (count, 49, 2))
    pose = Rotation.from_rotvec(generator.normal(size=(count * 24, 3))).as_matrix()
    body = known[:, None]
    return Batch(
        image=generator.integers(0, 256, (count, SIDE, SIDE, 3)).astype(np.uint8),
        labels=(
            generator.integers(0, 20, (count, SIDE, SIDE)) * known[:, None, None]
        ).astype(np.uint8),
        has_labels=known,
        keypoints_ndc=np.concatenate([place * (confidence > 0), confidence], -1).astype(
            np.float32
        ),
        joints=generator.normal(size=(count, 24, 4)).astype(np.float32),
        pose=(pose.reshape(count, 24, 3, 3) * body[..., None, None]).astype(np.float32),
        betas=(generator.normal(size=(count, 10)) * body).astype(np.float32),
        has_body=known,
        camera=np.zeros((count, 3), np.float32),
    )


def _settings(folder, **changes):
    settings = FolderSettings(
        annotations=str(folder / "annotations.npz"),
        images=str(folder / "images"),
        labels=str(folder / "labels"),
        resolution=SIDE,
        cleaning=UNCLEANED,
    )
    return dataclasses.replace(settings, **changes)


@pytest.fixture
def written(tmp_path):
    batches = [_handmade(3), _handmade(2, seed=1)]
    assert write_people(tmp_path / "people", batches) == 5
    return tmp_path / "people", batches


def test_written_people_come_back(written):
    folder, batches = written
    dataset = FolderDataset(_settings(folder))
    assert len(dataset) == 5
    for index in range(5):
        batch, row = (batches[0], index) if index < 3 else (batches[1], index - 3)
        example = dataset.example(index)
        for field in dataclasses.fields(Batch):
            value = getattr(example, field.name)
            expected = np.asarray(getattr(batch, field.name))[row]
            assert value.dtype == expected.dtype and value.shape == expected.shape
            # Pixels of 16-px crops pass through float32 coordinates.
            np.testing.assert_allclose(value, expected, atol=2e-6, err_msg=field.name)


def test_nothing_but_the_data_set_is_left_behind(written):
    folder, _ = written
    names = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*.*"))
    images = [f"images/{i:06d}.png" for i in range(5)]
    labels = [f"labels/{i:06d}.png" for i in (0, 2, 3)]
    assert names == ["annotations.npz", *images, *labels]


def test_augmentation_is_one_change_of_everything(written):
    """Draw marks where the keypoints are; they stay together under augmentation."""
    folder, _ = written
    generator = np.random.default_rng(4)
    image = np.zeros((1, 64, 64, 3), np.uint8)
    labels = np.zeros((1, 64, 64), np.uint8)
    keypoints = np.zeros((1, 49, 3), np.float32)
    # Keypoint 25 is the right ankle: a right shoe (19) is painted around it.
    image[0, 38:43, 23:28] = 255
    labels[0, 38:43, 23:28] = 19
    keypoints[0, 25] = [(2 * 25 + 1 - 64) / 64, (63 - 2 * 40) / 64, 1]
    batch = dataclasses.replace(
        _handmade(2),
        image=image.repeat(2, 0),
        labels=labels.repeat(2, 0),
        keypoints_ndc=keypoints.repeat(2, 0),
        has_labels=np.ones(2, np.float32),
    )
    write_people(folder / "marks", [batch])
    settings = _settings(folder / "marks", resolution=48)
    augmentation = AugmentationSettings(channel_noise=0.0, no_rotation_probability=0.0)
    dataset = FolderDataset(settings, augmentation)
    sides = set()
    for _ in range(20):
        example = dataset.example(0, generator)
        (joint,) = np.flatnonzero(example.keypoints_ndc[:, 2])
        sides.add((int(joint), int(example.labels.max())))
        x, y, _ = example.keypoints_ndc[joint]
        marked = [(x * 48 + 47) / 2, (47 - y * 48) / 2]
        for weights in (example.image[..., 0], example.labels):
            rows, columns = np.mgrid[:48, :48]
            centroid = np.array([columns, rows]) * weights.astype(float)
            centroid = centroid.sum((1, 2)) / weights.sum()
            # Nearest-neighbour labels of a 4-px mark are half a pixel coarse.
            np.testing.assert_allclose(centroid, marked, atol=0.5)
    assert sides == {(25, 19), (30, 18)}


def test_without_a_generator_there_is_no_augmentation(written):
    folder, batches = written
    example = FolderDataset(_settings(folder), AugmentationSettings()).example(0)
    np.testing.assert_array_equal(example.image, batches[0].image[0])


def test_labels_far_from_the_keypoints_are_cleaned(tmp_path):
    keypoints = np.zeros((2, 49, 3), np.float32)
    keypoints[0, 25] = [-1, 1, 1]
    batch = dataclasses.replace(
        _handmade(2),
        image=np.zeros((2, 64, 64, 3), np.uint8),
        labels=np.full((2, 64, 64), 5, np.uint8),
        keypoints_ndc=keypoints,
        has_labels=np.ones(2, np.float32),
    )
    write_people(tmp_path, [batch])
    settings = _settings(tmp_path, resolution=64, cleaning=RELEASED_CLEANING)
    dataset = FolderDataset(settings)
    cleaned = dataset.example(0).labels
    # The top-left corner grown by 30 px; the border itself stays.
    assert cleaned[:30, :30].min() == 5
    assert cleaned[30:].max() == 0 and cleaned[:, 30:].max() == 0
    # Without keypoints nothing says what to drop.
    assert dataset.example(1).labels.min() == 5


def test_missing_annotations_become_zero_weights(written):
    folder, _ = written
    full = read_spin_npz(folder / "annotations.npz")
    poor = type(full)(full.imgname, full.center, full.scale)
    write_spin_npz(folder / "annotations.npz", poor)
    example = FolderDataset(_settings(folder, labels=None)).example(0)
    for name in ("has_labels", "has_body", "keypoints_ndc", "joints", "pose", "labels"):
        np.testing.assert_array_equal(getattr(example, name), 0)


def test_a_body_without_has_smpl_counts(written):
    folder, _ = written
    full = read_spin_npz(folder / "annotations.npz")
    write_spin_npz(folder / "annotations.npz", dataclasses.replace(full, has_smpl=None))
    assert FolderDataset(_settings(folder)).example(1).has_body == 1


def test_broken_data_sets_are_named(written, tmp_path):
    folder, _ = written
    with pytest.raises(UserError, match="nowhere: no such folder"):
        FolderDataset(_settings(folder, images=str(tmp_path / "nowhere")))
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="empty: has no label map for any photo"):
        FolderDataset(_settings(folder, labels=str(tmp_path / "empty")))
    dataset = FolderDataset(_settings(folder))
    photo = folder / "images" / "000003.png"
    photo.write_bytes(photo.read_bytes()[:-20])
    with pytest.raises(UserError, match=r"000003\.png: this image is truncated"):
        dataset.example(3)
    photo.unlink()
    with pytest.raises(UserError, match=r"000003\.png: cannot read this image"):
        dataset.example(3)


def test_a_label_map_must_fit_its_photo(written):
    folder, _ = written
    labels = folder / "labels"
    write_people(folder / "other", [_wider(_handmade(2))])
    (folder / "other" / "labels" / "000000.png").replace(labels / "000000.png")
    with pytest.raises(UserError, match=r"000000\.png: .* must agree"):
        FolderDataset(_settings(folder)).example(0)


def _wider(batch):
    return dataclasses.replace(batch, labels=np.zeros((2, 20, 20), np.uint8))
