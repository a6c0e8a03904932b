"""The picture of the worst people, and the camera that draws the truth."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from dsr_jax.body import BodyParams, body_joints, load_body, pose_body
from dsr_jax.camera import project_weak_to_ndc
from dsr_jax.evaluation import PROTOCOLS, Bodies
from dsr_jax.training import error_gallery as module
from dsr_jax.training.data_source import PeopleDataset
from dsr_jax.training.error_gallery import error_gallery, fit_weak_camera
from dsr_jax.training.validation import (
    EvaluationSet,
    compiled_regressor,
    regressor_predictor,
)
from tests.training.tiny import PEOPLE, TinyRegressor, make_batch


def test_the_camera_that_explains_the_keypoints():
    body = load_body("free-lite")
    random = np.random.default_rng(0)
    pose = np.tile(np.diag([1.0, -1, -1]), (1, 24, 1, 1)).astype(np.float32)
    params = BodyParams(jnp.asarray(pose), jnp.zeros((1, 10)))
    mesh = jax.jit(pose_body)(body, params)
    joints = body_joints(body, mesh, "joints49")
    camera = np.array([0.8, 0.1, -0.2], np.float32)
    seen = np.array(project_weak_to_ndc(joints, jnp.asarray(camera)[None])[0])
    seen[:, 2] = random.uniform(0.3, 1, 49)
    # What has no confidence may be anywhere.
    seen[7] = [9.0, 9.0, 0.0]
    found = fit_weak_camera(np.asarray(joints[0]), seen)
    # The far perspective camera is nearly weak.
    np.testing.assert_allclose(found, camera, atol=5e-3)
    seen[3:, 2] = 0
    assert fit_weak_camera(np.asarray(joints[0]), seen) is None


def fake_overlay(photo, points, faces, colour=(0, 0, 255)):
    """Paints the photo in the body's colour: drawing itself is tested elsewhere."""
    assert np.isfinite(points).all() and points.shape[1] == 3
    return np.full_like(photo, colour)


@pytest.mark.parametrize("name", ["folder", "h36m-p1"])
def test_the_worst_beside_the_median(name, monkeypatch):
    body, regressor = load_body("free-lite"), TinyRegressor(nnx.Rngs(0))
    regressor.eval()
    batch = dataclasses.replace(make_batch(), has_body=np.ones(PEOPLE, np.float32))
    dataset = PeopleDataset(batch)
    test = EvaluationSet("mine", dataset, PROTOCOLS[name], Bodies(body), 2)
    result = test.measure(regressor_predictor(regressor))
    look = compiled_regressor(regressor)
    drawn = []

    def remember(pictures, captions, columns):
        drawn.append((pictures, captions, columns))
        return pictures[0]

    monkeypatch.setattr(module, "panel", remember)
    monkeypatch.setattr(module, "overlay_body", fake_overlay)
    error_gallery(test, result, look, 2)
    (pictures, captions, columns) = drawn[0]
    assert len(pictures) == len(captions) == 12 and columns == 6
    order = np.argsort(-result.people["mpjpe"])
    shown = [order[0], order[1], order[1], order[2]]
    for place, row in enumerate(shown):
        kind = ("worst", "median")[place % 2]
        error = (
            f"{kind} {result.people['mpjpe'][row]:.0f} mm  {result.people['name'][row]}"
        )
        assert captions[3 * place : 3 * place + 3] == [error, "prediction", "truth"]
        photo, overlay, truth = pictures[3 * place : 3 * place + 3]
        index = result.people["index"][row]
        assert np.abs(photo[4::8, 4::8] - batch.image[index].astype(int)).mean() < 60
        np.testing.assert_array_equal(overlay[0, 0], [0, 0, 255])
        if name == "folder":
            np.testing.assert_array_equal(truth[0, 0], module._TRUTH_COLOUR)
        else:  # Keypoints on the photo.
            changed = np.any(truth != photo, axis=-1).mean()
            assert 0 < changed < 0.7
    # More rows than people.
    error_gallery(test, result, look, 99)
    assert len(drawn[1][0]) == 6 * PEOPLE
