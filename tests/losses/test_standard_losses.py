import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from dsr_jax.losses import (
    betas_loss,
    camera_loss,
    joint_3d_loss,
    joint_3d_validity,
    keypoint_2d_loss,
    pose_loss,
)


@pytest.fixture
def random():
    return np.random.default_rng(0)


def keypoints(random):
    predicted, target = random.normal(size=(3, 49, 2)), random.normal(size=(3, 49, 3))
    target[..., 2] = random.random((3, 49)) * (random.random((3, 49)) < 0.6)
    return predicted, target


@pytest.mark.parametrize("sets", [(0.0, 1.0), (0.5, 2.0)])
def test_keypoint_2d_loss_is_a_mean_over_all_entries(float64, random, sets):
    predicted, target = keypoints(random)
    loss = keypoint_2d_loss(jnp.asarray(predicted), jnp.asarray(target), *sets)
    expected = np.zeros(3)
    for example in range(3):
        for joint in range(49):
            weight = sets[joint >= 25] * target[example, joint, 2]
            error = predicted[example, joint] - target[example, joint, :2]
            expected[example] += weight * (error**2).sum() / (49 * 2)
    np.testing.assert_allclose(loss, expected, rtol=1e-12)


def test_keypoint_2d_defaults_ignore_openpose(random):
    predicted, target = (jnp.asarray(a, jnp.float32) for a in keypoints(random))
    moved = predicted.at[:, :25].add(3)
    loss = keypoint_2d_loss(predicted, target)
    np.testing.assert_array_equal(loss, keypoint_2d_loss(moved, target))
    assert (loss > 0).all()


def test_joint_3d_loss_centres_both_on_the_hips(float64, random):
    predicted, target = random.normal(size=(3, 24, 3)), random.normal(size=(3, 24, 4))
    target[..., 3] = random.random((3, 24)) * (random.random((3, 24)) < 0.6)
    loss = joint_3d_loss(jnp.asarray(predicted), jnp.asarray(target))
    expected = []
    for p, t in zip(predicted, target, strict=True):
        p = p - (p[2] + p[3]) / 2
        q = t[:, :3] - (t[2, :3] + t[3, :3]) / 2
        expected.append((t[:, 3:] * (p - q) ** 2).sum() / (24 * 3))
    np.testing.assert_allclose(loss, expected, rtol=1e-12)
    shift = random.normal(size=(3, 1, 3))
    moved = joint_3d_loss(jnp.asarray(predicted + shift), jnp.asarray(target))
    np.testing.assert_allclose(moved, loss, rtol=1e-10)


def test_joint_3d_needs_both_hips():
    target = np.ones((4, 24, 4), np.float32)
    target[1, 2, 3], target[2, 3, 3], target[3, 0, 3] = 0, 0, 0
    valid = joint_3d_validity(jnp.asarray(target))
    np.testing.assert_array_equal(np.asarray(valid), [True, False, False, True])


def test_parameter_losses_are_means_over_entries(float64, random):
    pose, target = random.normal(size=(2, 4, 24, 3, 3))
    loss = pose_loss(jnp.asarray(pose), jnp.asarray(target))
    np.testing.assert_allclose(loss, ((pose - target) ** 2).mean((1, 2, 3)), rtol=1e-12)
    betas, target = random.normal(size=(2, 4, 10))
    loss = betas_loss(jnp.asarray(betas), jnp.asarray(target))
    np.testing.assert_allclose(loss, ((betas - target) ** 2).mean(1), rtol=1e-12)


def test_camera_loss_is_the_square_of_the_exponential(float64):
    scale = np.array([0.0, 0.01, 0.3, 0.9, 5.0])
    camera = jnp.asarray(np.stack([scale, scale + 1, scale - 1], 1))
    np.testing.assert_allclose(
        camera_loss(camera), np.exp(-10 * scale) ** 2, rtol=1e-12
    )


def test_camera_loss_of_a_negative_scale_is_finite_and_downhill():
    scale = jnp.asarray([-1e6, -4.5, -0.1, 0.0, 1e-7, 0.5, 2.0], jnp.float32)
    camera = jnp.zeros((7, 3)).at[:, 0].set(scale)
    loss = camera_loss(camera)
    slope = jax.grad(lambda c: jnp.sum(camera_loss(c)))(camera)
    assert np.isfinite(loss).all()
    np.testing.assert_allclose(slope[:4, 0], -20)
    np.testing.assert_allclose(slope[4:, 0], -20 * np.exp(-20 * scale[4:]), rtol=1e-5)
    np.testing.assert_array_equal(slope[:, 1:], 0)
    np.testing.assert_allclose(loss[:3], 1 - 20 * scale[:3])
    assert np.all(np.diff(loss) < 0)


def test_gradients_are_those_of_finite_differences(float64, random):
    predicted, target = (jnp.asarray(a) for a in keypoints(random))
    check_grads(
        jax.jit(lambda p: keypoint_2d_loss(p, target)), (predicted,), 1, rtol=1e-6
    )
    joints = jnp.asarray(random.normal(size=(2, 24, 3)))
    truth = jnp.asarray(np.abs(random.normal(size=(2, 24, 4))))
    check_grads(jax.jit(lambda p: joint_3d_loss(p, truth)), (joints,), 1, rtol=1e-6)
    camera = jnp.asarray([[0.2, 0.0, 0.0], [-0.3, 0.1, 0.0], [0.9, 0.0, 0.2]])
    check_grads(jax.jit(camera_loss), (camera,), 1, rtol=1e-5)


def test_absent_joints_may_lie_anywhere(random):
    predicted, target = (jnp.asarray(a, jnp.float32) for a in keypoints(random))
    absent = target[..., 2:] == 0
    wild = jnp.where(absent, 1e30, predicted)
    gradient = jax.grad(lambda p: jnp.sum(keypoint_2d_loss(p, target)))
    np.testing.assert_array_equal(gradient(wild), gradient(predicted))
    np.testing.assert_array_equal(
        keypoint_2d_loss(wild, target), keypoint_2d_loss(predicted, target)
    )
