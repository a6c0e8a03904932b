"""The evaluator against plain NumPy float64 sums over the same people."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dsr_jax.body import BodyParams, body_joints, load_body, pose_body
from dsr_jax.data import Batch
from dsr_jax.errors import UserError
from dsr_jax.evaluation import (
    PROTOCOLS,
    evaluate,
    format_evaluation,
    mpjpe,
    pa_mpjpe,
    predict_mean_body,
    protocol_by_name,
    write_evaluation,
)
from dsr_jax.rotations import axis_angle_to_matrix

LSP = [6, 5, 4, 1, 2, 3, 16, 15, 14, 11, 12, 13, 8, 10]
PEOPLE = 6


@pytest.fixture(scope="module")
def body():
    return load_body("free-lite")


def _params(seed):
    random = np.random.default_rng(seed)
    axis_angle = jnp.asarray(random.normal(0, 0.3, (PEOPLE, 24, 3)), jnp.float32)
    betas = jnp.asarray(random.normal(size=(PEOPLE, 10)), jnp.float32)
    return BodyParams(axis_angle_to_matrix(axis_angle), betas)


def _batch(truth, **changes):
    random = np.random.default_rng(3)
    joints = np.concatenate(
        [random.normal(0, 0.4, (PEOPLE, 24, 3)), np.ones((PEOPLE, 24, 1))], -1
    )
    fields = {
        # The first pixel of an image says whose it is.
        "image": np.arange(PEOPLE, dtype=np.uint8)[:, None, None, None]
        * np.ones((1, 4, 4, 3), np.uint8),
        "labels": np.zeros((PEOPLE, 4, 4), np.uint8),
        "has_labels": np.zeros(PEOPLE, np.float32),
        "keypoints_ndc": np.zeros((PEOPLE, 49, 3), np.float32),
        "joints": joints.astype(np.float32),
        "pose": np.asarray(truth.pose),
        "betas": np.asarray(truth.betas),
        "has_body": np.ones(PEOPLE, np.float32),
        "camera": np.zeros((PEOPLE, 3), np.float32),
    }
    return Batch(**{**fields, **changes})


def _rows(batch, rows):
    names = [field.name for field in dataclasses.fields(Batch)]
    return Batch(**{name: getattr(batch, name)[rows] for name in names})


def _predictor(params):
    def predict(images):
        people = images[:, 0, 0, 0]
        return BodyParams(params.pose[people], params.betas[people])

    return predict


@jax.jit
def _posed(body, params):
    mesh = pose_body(body, params)
    return body_joints(body, mesh, "h36m17"), mesh.vertices, mesh.joints


def _mesh(body, params):
    """H36M joints, vertices and skeleton, in float64."""
    return [np.asarray(part, np.float64) for part in _posed(body, params)]


def _mean_distance(a, b):
    return 1000 * np.linalg.norm(a - b, axis=-1).mean()


def test_synthetic_protocol_matches_numpy(body):
    predicted, truth = _params(1), _params(2)
    result = evaluate(
        _predictor(predicted), body, [_batch(truth)], PROTOCOLS["synthetic"]
    )
    joints, vertices, skeleton = _mesh(body, predicted)
    true_joints, true_vertices, true_skeleton = _mesh(body, truth)
    centred = (joints - joints[:, :1])[:, LSP]
    true_centred = (true_joints - true_joints[:, :1])[:, LSP]
    assert result.count == PEOPLE
    np.testing.assert_allclose(
        result.mpjpe, _mean_distance(centred, true_centred), rtol=1e-5
    )
    aligned = np.mean(jax.jit(pa_mpjpe)(joints[:, LSP], true_joints[:, LSP]))
    np.testing.assert_allclose(result.pa_mpjpe, aligned, rtol=1e-4)
    np.testing.assert_allclose(
        result.pve, _mean_distance(vertices, true_vertices), rtol=1e-5
    )
    expected = _mean_distance(
        vertices - skeleton[:, :1], true_vertices - true_skeleton[:, :1]
    )
    np.testing.assert_allclose(result.pve_pelvis, expected, rtol=1e-5)
    assert result.pve != pytest.approx(result.pve_pelvis)
    names = body.joint_sets["h36m17"].names
    assert list(result.joint_errors) == [names[i] for i in LSP]
    np.testing.assert_allclose(
        result.joint_errors["right_knee"],
        _mean_distance(centred[:, 1], true_centred[:, 1]),
        rtol=1e-5,
    )
    np.testing.assert_allclose(
        np.mean(list(result.joint_pa_errors.values())), result.pa_mpjpe, rtol=1e-6
    )
    assert result.score == 1.5 * result.pa_mpjpe + result.mpjpe
    assert (result.pck, result.auc) == (None, None)


def test_masked_equals_dropped_whatever_the_batches(body):
    predicted, truth = _params(1), _params(2)
    everyone, protocol = _batch(truth), PROTOCOLS["synthetic"]
    predict = _predictor(predicted)
    kept = np.array([0, 1, 3, 4])
    expected = evaluate(predict, body, [_rows(everyone, kept)], protocol)
    # The dropped ones carry numbers that must not be seen.
    pose = np.asarray(truth.pose).copy()
    pose[[2, 5]] = np.nan
    mask = np.isin(np.arange(PEOPLE), kept).astype(np.float32)
    masked = dataclasses.replace(everyone, has_body=mask, pose=pose)
    halves = [_rows(masked, slice(0, 3)), _rows(masked, slice(3, 6))]
    for batches in ([masked], halves):
        result = evaluate(predict, body, batches, protocol)
        assert result.count == 4
        for name, value in expected.summary().items():
            np.testing.assert_allclose(result.summary()[name], value, rtol=1e-6)


@pytest.mark.parametrize("name", ["h36m-p1", "h36m-p2", "mpi-inf-3dhp"])
def test_annotated_joints_are_the_truth(body, name):
    predicted = _params(1)
    batch = _batch(_params(2), has_body=np.zeros(PEOPLE, np.float32))
    batch.joints[4, 12, 3] = 0
    result = evaluate(_predictor(predicted), body, [batch], PROTOCOLS[name])
    seventeen = name == "mpi-inf-3dhp"
    chosen = LSP + ([0, 7, 9] if seventeen else [])
    annotated = [*range(13), 18] + ([14, 16, 17] if seventeen else [])
    kept = np.array([0, 1, 2, 3, 5])
    joints, _, _ = _mesh(body, predicted)
    joints = (joints - joints[:, :1])[kept][:, chosen]
    truth = batch.joints[kept, :, :3].astype(np.float64)
    truth = (truth - truth[:, 14:15])[:, annotated]
    assert result.count == 5
    np.testing.assert_allclose(result.mpjpe, _mean_distance(joints, truth), rtol=1e-5)
    assert (result.pve, result.pve_pelvis) == (None, None)
    if seventeen:
        within = np.linalg.norm(joints - truth, axis=-1) <= 0.15
        np.testing.assert_allclose(result.pck, 100 * within.mean(), rtol=1e-5)
        assert 0 < result.auc < result.pck
    else:
        assert (result.pck, result.auc) == (None, None)


def test_mean_body_is_the_same_for_every_image(body):
    pose, betas = _params(1).pose[0], _params(1).betas[0]
    params = predict_mean_body(pose, betas)(np.zeros((3, 4, 4, 3), np.uint8))
    np.testing.assert_array_equal(params.pose, np.stack([pose] * 3))
    np.testing.assert_array_equal(params.betas, np.stack([betas] * 3))
    rest = predict_mean_body()(np.zeros((2, 4, 4, 3), np.uint8))
    _, _, skeleton = _mesh(body, rest)
    head, pelvis = skeleton[0, 15], skeleton[0, 0]
    assert head[1] < pelvis[1]  # Upright: camera y points down.


def test_no_truth_and_bad_weights_are_said_in_one_line(body):
    truth = _params(2)
    nobody = _batch(truth, has_body=np.zeros(PEOPLE, np.float32))
    predict = _predictor(truth)
    with pytest.raises(UserError, match="'synthetic': no image has a truth"):
        evaluate(predict, body, [nobody], PROTOCOLS["synthetic"])
    unknown = _batch(truth)
    unknown.joints[..., 3] = 0
    with pytest.raises(UserError, match="3D joints, 'S'"):
        evaluate(predict, body, [unknown], PROTOCOLS["h36m-p1"])
    broken = _predictor(
        dataclasses.replace(truth, betas=truth.betas.at[1].set(jnp.nan))
    )
    with pytest.raises(UserError, match="not finite"):
        evaluate(broken, body, [_batch(truth)], PROTOCOLS["synthetic"])


def test_report_carries_protocol_numbers_and_baseline(body, tmp_path):
    predicted, batches = _params(1), [_batch(_params(2))]
    protocol = PROTOCOLS["synthetic"]
    result = evaluate(_predictor(predicted), body, batches, protocol)
    baseline = evaluate(predict_mean_body(), body, batches, protocol)
    table = format_evaluation(result, baseline)
    row = next(
        line
        for line in table.splitlines()
        if line.startswith("PA-MPJPE  ") and line[22:31].strip()[0].isdigit()
    )
    assert row.split()[1:] == [
        f"{result.pa_mpjpe:.1f}",
        f"{baseline.pa_mpjpe:.1f}",
        f"{result.pa_mpjpe / baseline.pa_mpjpe:.2f}",
    ]
    for line in protocol.lines():
        assert line in table
    path = tmp_path / "evaluation.json"
    write_evaluation(path, result, baseline)
    record = json.loads(path.read_text())
    assert record["model"]["mpjpe"] == result.mpjpe
    assert record["model"]["score"] == result.score
    assert record["mean_body"]["pve"] == baseline.pve
    assert record["model"]["protocol"]["ground_truth"] == protocol.ground_truth
    assert record["model"]["joint_errors"] == result.joint_errors
    assert [p.name for p in tmp_path.iterdir()] == ["evaluation.json"]
    with pytest.raises(UserError, match="cannot write"):
        write_evaluation(tmp_path / "nowhere" / "evaluation.json", result)


def test_protocols_are_complete_and_named(body):
    assert {"synthetic", "3dpw", "h36m-p1", "h36m-p2", "mpi-inf-3dhp"} <= set(PROTOCOLS)
    names = body.joint_sets["h36m17"].names
    annotated = body.joint_sets["gt24"].names
    for name, protocol in PROTOCOLS.items():
        assert protocol.name == name
        assert all(protocol.lines())
        assert names[protocol.root[0]] == "pelvis"
        # The same joint on both sides, under whatever addition a data set makes.
        for joint, row in zip(protocol.joints, protocol.annotated_joints, strict=False):
            assert names[joint].split("_")[0] == annotated[row].split("_")[0]
    with pytest.raises(UserError, match="did you mean 'h36m-p1'"):
        protocol_by_name("h36m_p1")
    with pytest.raises(ValueError, match="differ in number"):
        dataclasses.replace(PROTOCOLS["h36m-p1"], joints=(1, 2))
    with pytest.raises(ValueError, match="annotated_root"):
        dataclasses.replace(PROTOCOLS["h36m-p1"], annotated_root=())


def test_root_index_counts_in_the_whole_set(body):
    """The pelvis that aligns is no member of the 14 measured joints."""
    predicted, truth = _params(1), _params(2)
    joints, true_joints = _mesh(body, predicted)[0], _mesh(body, truth)[0]
    result = evaluate(
        _predictor(predicted), body, [_batch(truth)], PROTOCOLS["synthetic"]
    )
    hips = mpjpe(joints[:, LSP], true_joints[:, LSP], root=[2, 3])
    assert abs(result.mpjpe - np.mean(hips)) > 0.1
