"""People of a data set drawn, and the camera that is fitted for it."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import least_squares

from dsr_jax.body import BodyParams, body_joints, load_body, pose_body
from dsr_jax.camera import project_weak_to_ndc
from dsr_jax.semantics import CIHP
from dsr_jax.visualization import draw_person, fit_weak_camera
from tests.people_sources import make_source


def project(points, camera):
    projected = project_weak_to_ndc(jnp.asarray(points), jnp.asarray(camera))
    return np.array(projected)


@pytest.mark.parametrize("camera", [[0.9, 0.1, -0.2], [0.3, -1.0, 2.0], [3, 0, 0]])
def test_the_camera_of_exact_keypoints_is_found(camera):
    generator = np.random.default_rng(0)
    points = generator.normal(0, 0.5, (12, 3)).astype(np.float32)
    keypoints = project(points, np.array(camera, np.float32))
    keypoints[:, 2] = generator.uniform(0.1, 1, 12)
    # What has no confidence may lie anywhere.
    keypoints[4] = [9, -9, 0]
    found = fit_weak_camera(points, keypoints)
    np.testing.assert_allclose(found, camera, rtol=2e-5, atol=2e-5)


def test_of_noisy_keypoints_it_is_the_best_weighted_fit():
    """Against an iterative solver, for points so flat that depth plays no role."""
    generator = np.random.default_rng(1)
    points = generator.normal(0, 0.5, (10, 3))
    points[:, 2] = 0
    keypoints = generator.normal(0, 0.5, (10, 3)) + points
    keypoints[:, 2] = generator.uniform(0.1, 1, 10)

    def residuals(camera):
        scale, shift = camera[0], camera[1:]
        projected = scale * (points[:, :2] + shift) * [1, -1]
        return (np.sqrt(keypoints[:, 2:]) * (projected - keypoints[:, :2])).ravel()

    keypoints[:, 1] -= 2 * points[:, 1]
    best = least_squares(residuals, [1.0, 0.0, 0.0], xtol=1e-12, ftol=1e-12).x
    np.testing.assert_allclose(fit_weak_camera(points, keypoints), best, atol=1e-6)


def test_without_enough_to_see_there_is_no_camera():
    points = np.random.default_rng(2).normal(size=(6, 3))
    keypoints = project(points.astype(np.float32), np.array([1, 0, 0], np.float32))
    keypoints[:, 2] = [1, 1, 1, 0, 0, 0]
    assert fit_weak_camera(points, keypoints) is None
    keypoints[:, 2] = 1
    # All points at one place, and a person who would be seen mirrored.
    assert fit_weak_camera(np.ones((6, 3)), keypoints) is None
    assert fit_weak_camera(points, keypoints * [-1, -1, 1]) is None


@pytest.fixture(scope="module")
def body():
    return load_body("free-lite")


def standing_person(body, person):
    """Its keypoints and joints are those of the body, half way into the photo."""
    rotations = np.tile(np.eye(3, dtype=np.float32), (24, 1, 1))
    rotations[0] = np.diag([1.0, -1.0, -1.0])
    params = BodyParams(jnp.asarray(rotations), jnp.zeros(10))
    joints = np.asarray(body_joints(body, pose_body(body, params), "joints49"))
    ndc = project(joints, np.array([0.8, 0.05, 0.1], np.float32))
    center, half = np.array([20.0, 15.0]), 12.0
    # Some data sets measure from the camera.
    seen = joints[25:] + np.array([0, 0, 5])
    pixels = center + half * ndc[:, :2] * [1, -1]
    upright = np.zeros((24, 3), np.float32)
    upright[0, 0] = np.pi
    certain = np.ones((49, 1), np.float32)
    return ndc, dataclasses.replace(
        person,
        box_center_px=center,
        box_side_px=2 * half,
        keypoints_px=np.concatenate([pixels, certain], 1).astype(np.float32),
        joints=np.concatenate([seen, certain[25:]], 1),
        pose=upright,
        betas=np.zeros(10, np.float32),
        has_body=True,
    )


def tiles_of(sheet):
    return [sheet[31:351, 4 + k * 324 : 324 + k * 324].astype(int) for k in range(5)]


def test_every_part_is_drawn_where_it_is_or_said_to_be_missing(body):
    source = make_source(1)
    ndc, source.people[0] = standing_person(body, source.people[0])
    photo, keypoints, joints, posed, labels = tiles_of(
        draw_person(source, 0, body, CIHP)
    )
    # The box of the photo, 320 px for its 40, lies at (8, 3) to (32, 27).
    np.testing.assert_array_equal(photo[40 + 24, 100], (255, 208, 0))
    # Joints are seen at their keypoints; only those of OpenPose are no joints.
    knee = np.rint(160 + 160 * ndc[25 + 4, :2] * [1, -1]).astype(int)
    np.testing.assert_array_equal(joints[knee[1], knee[0]], keypoints[knee[1], knee[0]])
    # The body's colour, bluish, at the pelvis.
    pelvis = np.rint(160 + 160 * ndc[25 + 14, :2] * [1, -1]).astype(int)
    red, _, blue = posed[pelvis[1], pelvis[0]]
    assert blue > red + 20
    np.testing.assert_array_equal(posed[:20, :20], labels[:20, :20])
    source.people[0] = dataclasses.replace(
        source.people[0],
        keypoints_px=np.zeros((49, 3), np.float32),
        joints=np.zeros((24, 4), np.float32),
        has_body=False,
    )
    source.labels[0] = None
    missing = [
        (tile == 232).all() for tile in tiles_of(draw_person(source, 0, body, CIHP))
    ]
    assert missing == [False, False, True, True, True]
