"""Fits: each person alone, without looking at the truth, and downhill."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax.test_util import check_grads

from dsr_jax.body import BodyParams, body_joints, load_body, pose_body
from dsr_jax.camera import project_weak_to_ndc
from dsr_jax.data.synthetic import SyntheticSettings
from dsr_jax.fitting import (
    ExemplarSettings,
    FitSettings,
    PosePrior,
    fine_tune,
    fit_bodies,
    learn_pose_prior,
    pose_prior_loss,
    start_at_keypoints,
)
from dsr_jax.fitting.pose_prior import NUM_FEATURES
from dsr_jax.losses import ObjectiveSettings
from dsr_jax.pipeline import PipelineSettings
from dsr_jax.rasterizer import RasterSettings
from dsr_jax.regressor import Prediction, default_mean_parameters
from dsr_jax.rotations import (
    axis_angle_to_matrix,
    matrix_to_rotation_6d,
    rotation_6d_to_matrix,
)
from tests.training.tiny import SIZE, TinyRegressor, make_batch, make_scene

PIPELINE = PipelineSettings(
    objective=ObjectiveSettings(dsr_mc=0.01, dsr_c=0.01, camera=0.0),
    raster=RasterSettings(image_size=(SIZE, SIZE), sigma=1e-3),
    visible_only=False,
)
JOINTS = dataclasses.replace(
    PIPELINE, objective=ObjectiveSettings(dsr_mc=0.0, dsr_c=0.0, camera=0.0)
)
LOOSE = PosePrior(jnp.zeros(NUM_FEATURES), 0.1 * jnp.eye(NUM_FEATURES))


@pytest.fixture(scope="module")
def scene():
    return make_scene()


def bodies(count, spread=0.3, seed=0):
    """Upright people who face the camera, with limbs anywhere."""
    random = np.random.default_rng(seed)
    turns = random.normal(0, spread, (count, 24, 3)).astype(np.float32)
    turns[:, 0] = [np.pi, 0, 0]
    pose = axis_angle_to_matrix(jnp.asarray(turns))
    return Prediction(
        pose=pose,
        betas=jnp.asarray(random.normal(0, 0.5, (count, 10)), jnp.float32),
        camera=jnp.broadcast_to(jnp.array([0.9, 0.0, 0.1]), (count, 3)),
        rotation_6d=matrix_to_rotation_6d(pose),
    )


def annotated(scene, truth):
    """The batch of `make_batch` with the joints of these bodies."""
    body = scene.body
    mesh = jax.jit(pose_body)(body, BodyParams(truth.pose, truth.betas))
    flat = project_weak_to_ndc(body_joints(body, mesh, "joints49"), truth.camera)
    space = body_joints(body, mesh, "gt24")
    certain = np.ones((*flat.shape[:2], 1), np.float32)
    return dataclasses.replace(
        make_batch(),
        keypoints_ndc=np.concatenate([flat[..., :2], certain], -1),
        joints=np.concatenate([space, certain[:, :24]], -1),
    )


def start(count=4):
    return bodies(count, spread=0.0)


def test_joints_are_found_and_the_truth_is_not_looked_at(scene):
    truth = bodies(4)
    people = annotated(scene, truth)
    settings = FitSettings(steps=300, pose_prior=1e-4, shape_prior=1e-4, dsr_start=1.0)
    seen = []
    fitted, values = fit_bodies(
        scene, LOOSE, start(), people, JOINTS, settings, lambda n, _: seen.append(n)
    )
    assert seen == [*range(0, 301, 10)]
    # 2 cm on average, from half a metre between neutral and random limbs.
    assert (values["joints_3d"] < 2e-4).all(), values["joints_3d"]
    assert (values["keypoints_2d"] < 2e-4).all()
    lied = dataclasses.replace(
        people, pose=np.zeros_like(people.pose), betas=people.betas + 9
    )
    again, _ = fit_bodies(scene, LOOSE, start(), lied, JOINTS, settings)
    np.testing.assert_array_equal(fitted.pose, again.pose)


@pytest.mark.slow
def test_a_person_alone_is_fitted_as_in_a_batch(scene):
    people = annotated(scene, bodies(4))
    # The last one's labels are nobody's, and nobody's business.
    settings = FitSettings(steps=20, dsr_start=0.5)
    together, values = fit_bodies(scene, LOOSE, start(), people, PIPELINE, settings)
    assert (values["dsr_c"][:3] > 0).all() and values["dsr_c"][3] == 0
    pick = slice(1, 2)
    alone, _ = fit_bodies(
        scene,
        LOOSE,
        jax.tree.map(lambda x: x[pick], start()),
        jax.tree.map(lambda x: x[pick], people),
        PIPELINE,
        settings,
    )
    for name in ("pose", "betas", "camera"):
        np.testing.assert_allclose(
            getattr(alone, name)[0], getattr(together, name)[1], atol=2e-4
        )


def test_fine_tuning_moves_a_copy_of_the_network(scene):
    network = TinyRegressor(nnx.Rngs(0))
    network.eval()
    person = jax.tree.map(lambda x: x[:1], annotated(scene, bodies(4)))
    before = jax.tree.map(np.array, nnx.state(network, nnx.Param))
    first = network(jnp.asarray(person.image, jnp.float32) / 255)
    settings = ExemplarSettings(steps=6, learning_rate=1e-2, dsr_start=1.0)
    seen = []
    fitted, tuned = fine_tune(
        network, scene, LOOSE, person, JOINTS, settings, lambda n, b: seen.append(b)
    )
    assert len(seen) == 7
    jax.tree.map(np.testing.assert_array_equal, before, nnx.state(network, nnx.Param))
    assert np.abs(np.asarray(fitted.pose - first.pose)).max() > 1e-3
    errors = [joint_error(scene, bodies, person) for bodies in (seen[0], fitted)]
    assert errors[1] < 0.95 * errors[0]
    assert isinstance(tuned, TinyRegressor)
    with pytest.raises(ValueError, match="4 people given"):
        fine_tune(network, scene, LOOSE, make_batch(), JOINTS, settings)


def joint_error(scene, predicted, person):
    mesh = jax.jit(pose_body)(scene.body, BodyParams(predicted.pose, predicted.betas))
    joints = body_joints(scene.body, mesh, "joints49")
    flat = project_weak_to_ndc(joints, predicted.camera)[..., :2]
    return float(np.mean(np.square(flat - person.keypoints_ndc[..., :2])))


@pytest.mark.parametrize("turn", [0.0, 1.9, 3.4])
def test_the_start_finds_the_turn_and_the_camera(turn):
    body, mean = load_body("free-lite"), default_mean_parameters()
    pose = rotation_6d_to_matrix(mean.rotation_6d)
    about = axis_angle_to_matrix(jnp.array([0.0, turn, 0.0]))
    pose = pose.at[0].set(pose[0] @ about)[None]
    camera = jnp.array([[0.6, 0.3, -0.2]])
    mesh = jax.jit(pose_body)(body, BodyParams(pose, mean.betas[None]))
    flat = project_weak_to_ndc(body_joints(body, mesh, "joints49"), camera)
    keypoints = jnp.concatenate([flat[..., :2], jnp.ones_like(flat[..., :1])], -1)
    # One keypoint is wrong and says so, one is absent.
    keypoints = keypoints.at[:, 3].set(jnp.array([9.0, 9.0, 0.0]))
    found = start_at_keypoints(body, mean, keypoints)
    np.testing.assert_allclose(found.camera, camera, atol=0.05)
    cosine = (np.trace(np.asarray(found.pose[0, 0].T @ pose[0, 0])) - 1) / 2
    assert np.arccos(np.clip(cosine, -1, 1)) <= np.pi / 12 + 1e-3
    np.testing.assert_allclose(
        rotation_6d_to_matrix(found.rotation_6d), found.pose, atol=1e-5
    )
    nobody = start_at_keypoints(body, mean, jnp.zeros((1, 49, 3)))
    np.testing.assert_allclose(nobody.camera[0], mean.camera)


def test_the_pose_prior_knows_which_way_knees_bend():
    prior = learn_pose_prior(load_body("free-lite"), SyntheticSettings())
    turns = np.zeros((3, 24, 3), np.float32)
    turns[1, [4, 5], 0] = 1.2  # knees as in sitting
    turns[2, [4, 5], 0] = -1.2  # knees as no knee bends
    rest, bent, broken = pose_prior_loss(
        prior, axis_angle_to_matrix(jnp.asarray(turns))
    )
    assert broken > 2 * bent and broken > 2 * rest


def test_the_pose_prior_is_a_gaussian(float64):
    random = np.random.default_rng(0)
    root = random.normal(size=(NUM_FEATURES, NUM_FEATURES)) / 10
    prior = PosePrior(jnp.asarray(random.normal(size=NUM_FEATURES)), jnp.asarray(root))
    pose = jnp.asarray(random.normal(size=(2, 24, 3, 3)))
    features = np.asarray(pose)[:, 1:, :, :2].reshape(2, -1) - np.asarray(prior.mean)
    expected = np.einsum("bi,ij,bj->b", features, root.T @ root, features)
    loss = jax.jit(pose_prior_loss)
    np.testing.assert_allclose(loss(prior, pose), expected / NUM_FEATURES, rtol=1e-9)
    check_grads(lambda p: loss(prior, p), (pose,), order=1, rtol=1e-6)


@pytest.mark.parametrize("cls", [FitSettings, ExemplarSettings])
@pytest.mark.parametrize(
    "change",
    [{"steps": 0}, {"learning_rate": 0.0}, {"pose_prior": -1.0}, {"dsr_start": 2.0}],
)
def test_impossible_settings_are_refused(cls, change):
    with pytest.raises(ValueError, match=next(iter(change))):
        cls(**change)
