"""One change, the same in the image and in every annotation."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dsr_jax.body import (
    KEYPOINT_NAMES_49,
    BodyParams,
    body_joints,
    load_body,
    pose_body,
)
from dsr_jax.camera import project_weak_to_ndc
from dsr_jax.data import (
    Augmentation,
    AugmentationSettings,
    Batch,
    draw_augmentation,
    flip_example,
)
from dsr_jax.data.augmentation import rotate_body, scale_channels
from dsr_jax.rotations import axis_angle_to_matrix


def _draws(settings, count=4000):
    generators = (np.random.default_rng((7, i)) for i in range(count))
    return [draw_augmentation(generator, settings) for generator in generators]


def test_draws_follow_the_published_distributions():
    draws = _draws(AugmentationSettings())
    degrees = np.rad2deg([d.rotation for d in draws])
    scales = np.array([d.scale for d in draws])
    factors = np.array([d.channel_factors for d in draws])
    # Tolerances: four standard errors of 4000 draws.
    assert np.mean([d.flip for d in draws]) == pytest.approx(0.5, abs=0.032)
    assert np.mean(degrees == 0) == pytest.approx(0.6, abs=0.031)
    # A normal variable clipped at two deviations has a deviation of 0.9594.
    assert np.std(degrees[degrees != 0]) == pytest.approx(30 * 0.9594, abs=1.6)
    assert np.abs(degrees).max() == pytest.approx(60)
    assert scales.mean() == pytest.approx(1, abs=0.012)
    assert scales.min() == 0.75 and scales.max() == 1.25
    # Clipped at one deviation, half of the draws but the tails of 0.317 are inside.
    assert np.mean((scales > 0.75) & (scales < 1.25)) == pytest.approx(0.683, abs=0.03)
    assert factors.min() > 0.6 and factors.max() < 1.4
    assert factors.std(0) == pytest.approx(0.8 / np.sqrt(12), abs=0.01)


def test_a_seed_fixes_the_draw_and_zero_strength_changes_nothing():
    settings = AugmentationSettings()
    assert _draws(settings, 5) == _draws(settings, 5)
    assert len({d.rotation for d in _draws(settings, 50)}) > 5
    nothing = AugmentationSettings(0.0, 0.0, 0.0, 0.0, 0.0)
    assert all(d == Augmentation() for d in _draws(nothing, 20))


@pytest.mark.parametrize(
    "change",
    [{"flip_probability": 1.5}, {"scale_std": 1.0}, {"rotation_std_degrees": -1.0}],
)
def test_impossible_settings_are_refused(change):
    with pytest.raises(ValueError, match=next(iter(change))):
        AugmentationSettings(**change)


def test_channel_factors_round_and_clip():
    image = np.array([[[0, 100, 255], [10, 201, 3]]], np.uint8)
    expected = np.clip(np.rint(image * np.array([1.4, 0.6, 1.3])), 0, 255)
    np.testing.assert_array_equal(scale_channels(image, (1.4, 0.6, 1.3)), expected)


@pytest.fixture(scope="module")
def person():
    """A posed body seen in a crop, as one example without a batch axis."""
    model = load_body("free-lite")
    generator = np.random.default_rng(3)
    axis_angle = generator.normal(size=(24, 3)).astype(np.float32) * 0.3
    axis_angle[0] = [np.pi, 0.2, 0.3]
    camera = np.array([0.8, 0.1, -0.05], np.float32)
    pose = np.asarray(axis_angle_to_matrix(jnp.asarray(axis_angle)))
    betas = np.zeros(10, np.float32)
    example = _observe(model, pose, betas, camera)
    labels = generator.integers(0, 20, (8, 8)).astype(np.uint8)
    image = generator.integers(0, 256, (8, 8, 3)).astype(np.uint8)
    return model, dataclasses.replace(example, image=image, labels=labels)


@jax.jit
def _keypoints(model, pose, betas, camera):
    mesh = pose_body(model, BodyParams(pose, betas))
    keypoints = body_joints(model, mesh, "joints49")
    return keypoints, project_weak_to_ndc(keypoints, camera)


def _observe(model, pose, betas, camera):
    keypoints, projected = map(np.asarray, _keypoints(model, pose, betas, camera))
    confidence = np.ones((49, 1), np.float32)
    return Batch(
        image=np.zeros((8, 8, 3), np.uint8),
        labels=np.zeros((8, 8), np.uint8),
        has_labels=np.ones((), np.float32),
        keypoints_ndc=np.concatenate([projected[:, :2], confidence], 1),
        joints=np.concatenate([keypoints[25:], confidence[25:]], 1),
        pose=pose,
        betas=betas,
        has_body=np.ones((), np.float32),
        camera=camera,
    )


def test_flipped_parameters_make_the_flipped_keypoints(person):
    """The flipped pose, posed and projected anew, shows the flipped annotations."""
    model, example = person
    flipped = flip_example(example)
    again = _observe(model, flipped.pose, flipped.betas, flipped.camera)
    # The free body's surface is symmetric to a few millimetres; unflipped annotations
    # would be off by half a metre.
    np.testing.assert_allclose(again.joints, flipped.joints, atol=0.005)
    np.testing.assert_allclose(again.keypoints_ndc, flipped.keypoints_ndc, atol=0.005)


def test_flip_mirrors_pictures_and_swaps_sides(person):
    _, example = person
    flipped = flip_example(example)
    np.testing.assert_array_equal(flipped.image, example.image[:, ::-1])
    side_swap = {14: 15, 15: 14, 16: 17, 17: 16, 18: 19, 19: 18}
    expected = np.vectorize(lambda label: side_swap.get(label, label))(example.labels)
    np.testing.assert_array_equal(flipped.labels, expected[:, ::-1])
    left = KEYPOINT_NAMES_49.index("left_wrist")
    right = KEYPOINT_NAMES_49.index("right_wrist")
    np.testing.assert_allclose(
        flipped.keypoints_ndc[left], example.keypoints_ndc[right] * [-1, 1, 1]
    )


def test_flipping_twice_gives_the_example_back(person):
    _, example = person
    twice = flip_example(flip_example(example))
    for field in dataclasses.fields(Batch):
        np.testing.assert_allclose(
            getattr(twice, field.name), getattr(example, field.name), atol=1e-6
        )


def test_rotated_parameters_make_the_rotated_joints(person):
    """Up to a translation: SMPL turns about the pelvis, joints about the origin."""
    model, example = person
    pose, joints = rotate_body(example.pose, example.joints, 0.7)
    again = _observe(model, pose, example.betas, example.camera)
    centred = [j[:, :3] - j[:1, :3] for j in (again.joints, joints)]
    np.testing.assert_allclose(*centred, atol=1e-5)
    # Clockwise on the screen: what is right of another joint comes to lie below it.
    before = example.joints[6, :3] - example.joints[11, :3]
    after = joints[6, :3] - joints[11, :3]
    angle = np.arctan2(after[1], after[0]) - np.arctan2(before[1], before[0])
    assert np.mod(angle, 2 * np.pi) == pytest.approx(0.7, abs=1e-5)
