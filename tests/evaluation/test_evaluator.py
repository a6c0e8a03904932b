"""The evaluator against plain NumPy float64 sums over the same people."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from dsr_jax.body import BodyParams, load_body
from dsr_jax.errors import UserError
from dsr_jax.evaluation import (
    PROTOCOLS,
    Bodies,
    evaluate,
    evaluate_all,
    mpjpe,
    pa_mpjpe,
    predict_mean_body,
)
from dsr_jax.evaluation.error_rows import host_share, merge_rows
from tests.evaluation.fake_people import (
    LSP,
    FakePeople,
    fake_people,
    meshes,
    params_of,
    predictor,
)

PEOPLE = 6


@pytest.fixture(scope="module")
def body():
    return load_body("free-lite")


@pytest.fixture(scope="module")
def predicted():
    return params_of(fake_people(PEOPLE, seed=1))


def measure(predicted, body, people, name="folder", batch_size=3):
    chosen = PROTOCOLS[name] if isinstance(name, str) else name
    bodies = body if isinstance(body, Bodies) else Bodies(body)
    dataset = FakePeople(people)
    result = evaluate(predictor(predicted), bodies, dataset, chosen, batch_size)
    return result, dataset.read


def mean_distance(a, b):
    return 1000 * np.linalg.norm(a - b, axis=-1).mean()


def test_a_true_body_matches_numpy(body, predicted):
    people = fake_people(PEOPLE)
    result, _ = measure(predicted, body, people)
    joints, vertices, skeleton = meshes(body, predicted)
    true_joints, true_vertices, true_skeleton = meshes(body, params_of(people))
    centred = (joints - joints[:, :1])[:, LSP]
    true_centred = (true_joints - true_joints[:, :1])[:, LSP]
    assert result.count == PEOPLE
    close = {"rtol": 1e-6}
    np.testing.assert_allclose(
        result.mpjpe, mean_distance(centred, true_centred), **close
    )
    aligned = np.mean(pa_mpjpe(joints[:, LSP], true_joints[:, LSP]))
    np.testing.assert_allclose(result.pa_mpjpe, aligned, **close)
    for name, root, true_root in (
        ("pve", 0, 0),
        ("pve_pelvis", skeleton[:, :1], true_skeleton[:, :1]),
        ("pve_root", joints[:, :1], true_joints[:, :1]),
    ):
        expected = mean_distance(vertices - root, true_vertices - true_root)
        np.testing.assert_allclose(getattr(result, name), expected, **close)
    assert len({result.pve, result.pve_pelvis, result.pve_root}) == 3
    names = body.joint_sets["h36m17"].names
    assert list(result.joint_errors) == [names[i] for i in LSP]
    np.testing.assert_allclose(
        result.joint_errors["right_knee"],
        mean_distance(centred[:, 1], true_centred[:, 1]),
        **close,
    )
    np.testing.assert_allclose(
        np.mean(list(result.joint_pa_errors.values())), result.pa_mpjpe, rtol=1e-12
    )
    assert result.score == 1.5 * result.pa_mpjpe + result.mpjpe
    assert (result.pck, result.auc) == (None, None)


@pytest.mark.parametrize("batch_size", [1, 4, 64])
def test_nobody_counts_twice_wherever_batches_end(body, predicted, batch_size):
    people = fake_people(PEOPLE)
    expected, _ = measure(predicted, body, people, batch_size=2)
    result, read = measure(predicted, body, people, batch_size=batch_size)
    assert result.count == PEOPLE and set(read) == set(range(PEOPLE))
    for name, value in expected.summary().items():
        np.testing.assert_allclose(result.summary()[name], value, rtol=1e-6)


def test_who_is_left_out_is_not_read_and_is_counted(body, predicted):
    people = fake_people(
        PEOPLE,
        valid=[True, True, False, True, True, True],
        has_body=[True, True, True, True, True, False],
    )
    result, read = measure(predicted, body, people, "3dpw")
    assert set(read) == {0, 1, 3, 4}
    assert result.count == 4
    assert result.left_out == {"not valid": 1, "no true body": 1}
    kept = np.array([0, 1, 3, 4])
    part = BodyParams(predicted.pose[kept], predicted.betas[kept])
    expected, _ = measure(part, body, [people[i] for i in kept], "3dpw")
    np.testing.assert_allclose(result.mpjpe, expected.mpjpe, rtol=1e-6)
    everyone, read = measure(predicted, body, people, "3dpw-all")
    assert everyone.count == 5 and 2 in read
    with pytest.raises(UserError, match=r"keeps nobody .*6 no true body"):
        measure(predicted, body, fake_people(PEOPLE, has_body=[False] * PEOPLE))


@pytest.mark.parametrize("name", ["h36m-p1", "h36m-p2", "mpi-inf-3dhp"])
def test_annotated_joints_are_the_truth(body, predicted, name):
    people = fake_people(PEOPLE, has_body=[False] * PEOPLE)
    people[4].joints[12, 3] = 0
    seventeen = name == "mpi-inf-3dhp"
    chosen = LSP + ([0, 7, 9] if seventeen else [])
    annotated = [*range(13), 18] + ([14, 16, 17] if seventeen else [])
    kept = np.array([0, 1, 2, 3, 5])
    joints = meshes(body, predicted)[0]
    noise = np.random.default_rng(7).normal(0, 0.1, (PEOPLE, len(chosen), 3))
    for person, near in zip(people, joints[:, chosen] + noise, strict=True):
        person.joints[annotated, :3] = near
    result, read = measure(predicted, body, people, name)
    assert set(read) == set(kept) and result.left_out == {"no true joints": 1}
    joints = (joints - joints[:, :1])[kept][:, chosen]
    truth = np.stack([p.joints for p in people])[kept, :, :3].astype(np.float64)
    truth = (truth - truth[:, 14:15])[:, annotated]
    np.testing.assert_allclose(result.mpjpe, mean_distance(joints, truth), rtol=1e-6)
    assert (result.pve, result.pve_pelvis, result.pve_root) == (None, None, None)
    if seventeen:
        distance = 1000 * np.linalg.norm(joints - truth, axis=-1)
        np.testing.assert_allclose(result.pck, 100 * (distance <= 150).mean())
        curve = [(distance <= 5 * step).mean() for step in range(31)]
        np.testing.assert_allclose(result.auc, 100 * np.mean(curve))
        assert 0 < result.auc < result.pck
    else:
        assert (result.pck, result.auc) == (None, None)


def test_gendered_truth_is_posed_with_the_body_of_its_gender(body, predicted):
    people = fake_people(PEOPLE, gender=["m", "f", "f", "m", "n", "f"])
    male = dataclasses.replace(body, template=body.template * 1.1)
    female = dataclasses.replace(body, template=body.template * 0.9)
    result, _ = measure(predicted, Bodies(body, male, female), people, "3dpw")
    vertices = meshes(body, predicted)[1]
    of_gender = {"m": male, "f": female, "n": body}
    truth = {g: meshes(b, params_of(people))[1] for g, b in of_gender.items()}
    true_vertices = np.stack([truth[p.gender][i] for i, p in enumerate(people)])
    expected = 1000 * np.linalg.norm(vertices - true_vertices, axis=-1).mean(-1)
    np.testing.assert_allclose(result.people["pve"], expected, rtol=1e-6)
    neutral, _ = measure(predicted, Bodies(body, male, female), people, "folder")
    assert abs(neutral.pve - result.pve) > 1
    with pytest.raises(UserError, match=r"needs the body of gender 'f'.*'body.female'"):
        measure(predicted, Bodies(body, male), people, "3dpw")
    other = load_body("free")
    with pytest.raises(UserError, match=r"'body.male'.*bodies of one mesh"):
        measure(predicted, Bodies(body, other, female), people, "3dpw")


def test_hips_instead_of_the_pelvis(body, predicted):
    people = fake_people(PEOPLE)
    result, _ = measure(predicted, body, people, PROTOCOLS["folder"].on_hips())
    joints, true_joints = (meshes(body, p)[0] for p in (predicted, params_of(people)))
    # The hips are rows 2 and 3 of the 14.
    expected = np.mean(mpjpe(joints[:, LSP], true_joints[:, LSP], root=[2, 3]))
    np.testing.assert_allclose(result.mpjpe, expected, rtol=1e-6)
    assert result.protocol.name == "folder-hips"
    plain, _ = measure(predicted, body, people)
    assert abs(plain.mpjpe - result.mpjpe) > 0.1
    assert plain.pa_mpjpe == pytest.approx(result.pa_mpjpe, rel=1e-9)


def test_emdb_like_aligns_everything_on_the_hips_of_the_skeleton(body, predicted):
    people = fake_people(PEOPLE)
    result, _ = measure(predicted, body, people, "emdb-like")
    _, vertices, skeleton = meshes(body, predicted)
    _, true_vertices, true_skeleton = meshes(body, params_of(people))
    root, true_root = (s[:, [1, 2]].mean(1)[:, None] for s in (skeleton, true_skeleton))
    expected = mean_distance(skeleton - root, true_skeleton - true_root)
    np.testing.assert_allclose(result.mpjpe, expected, rtol=1e-6)
    expected = mean_distance(vertices - root, true_vertices - true_root)
    np.testing.assert_allclose(result.pve_root, expected, rtol=1e-6)
    assert len(result.joint_errors) == 24 and "left_hip" in result.joint_errors


def test_tables_by_sequence_and_by_action(body, predicted):
    sequences = ["b", "a", "b", "b", "a", "b"]
    people = fake_people(PEOPLE, sequence=sequences, action=["Eating"] * PEOPLE)
    result, _ = measure(predicted, body, people, "3dpw")
    assert list(result.groups) == ["a", "b"]
    rows = np.array(sequences) == "a"
    assert result.groups["a"]["count"] == 2
    for metric in ("mpjpe", "pa_mpjpe", "pve", "pve_pelvis"):
        expected = result.people[metric][rows].mean()
        assert result.groups["a"][metric] == pytest.approx(expected, rel=1e-12)
        mean = (2 * result.groups["a"][metric] + 4 * result.groups["b"][metric]) / 6
        assert mean == pytest.approx(getattr(result, metric), rel=1e-12)
    by_action, _ = measure(predicted, body, people, "h36m-p1")
    assert list(by_action.groups) == ["Eating"]
    np.testing.assert_array_equal(result.people["sequence"], sequences)
    np.testing.assert_array_equal(
        result.people["name"], [person.name for person in people]
    )


def test_many_hosts_give_what_one_gives():
    random = np.random.default_rng(0)
    rows = {
        "index": np.arange(3, 24, 2),
        "joints": random.normal(size=(11, 14)),
        "pve": random.normal(size=11),
    }
    for hosts in (1, 2, 3, 11):
        shares = [host_share(11, host, hosts) for host in range(hosts)]
        parts = [{n: c[share] for n, c in rows.items()} for share in shares]
        merged = merge_rows(parts[::-1])
        for name, column in rows.items():
            np.testing.assert_array_equal(merged[name], column)
    with pytest.raises(ValueError, match="measured twice"):
        merge_rows([rows, rows])


def test_several_predictors_read_every_photo_once(body, predicted):
    dataset = FakePeople(fake_people(PEOPLE))
    results = evaluate_all(
        {"model": predictor(predicted), "mean body": predict_mean_body()},
        Bodies(body),
        dataset,
        PROTOCOLS["folder"],
        PEOPLE,
    )
    assert sorted(dataset.read) == list(range(PEOPLE))
    alone, _ = measure(predicted, body, fake_people(PEOPLE), batch_size=PEOPLE)
    assert results["model"].summary() == alone.summary()
    assert results["mean body"].mpjpe != results["model"].mpjpe


def test_a_photo_that_could_not_be_used_is_left_out(body, predicted):
    """With broken photos skipped, the example has no truth although the person has."""

    class Broken(FakePeople):
        def example(self, index, generator=None):
            example = super().example(index, generator)
            if index not in (2, 3):
                return example
            zeros = {"has_body": np.zeros((), np.float32), "pose": 0 * example.pose}
            return dataclasses.replace(example, **zeros)

    people = fake_people(PEOPLE)
    predict, bodies, protocol = predictor(predicted), Bodies(body), PROTOCOLS["folder"]
    result = evaluate(predict, bodies, Broken(people), protocol, 2)
    assert result.count == 4 and result.left_out == {"photo cannot be used": 2}
    whole, _ = measure(predicted, body, people)
    kept = np.array([0, 1, 4, 5])
    np.testing.assert_allclose(
        result.people["mpjpe"], whole.people["mpjpe"][kept], rtol=1e-6
    )
    np.testing.assert_array_equal(result.people["name"], whole.people["name"][kept])


def test_mean_body_is_the_same_for_every_image(body, predicted):
    pose, betas = predicted.pose[0], predicted.betas[0]
    params = predict_mean_body(pose, betas)(np.zeros((3, 4, 4, 3), np.uint8))
    np.testing.assert_array_equal(params.pose, np.stack([pose] * 3))
    np.testing.assert_array_equal(params.betas, np.stack([betas] * 3))
    rest = predict_mean_body()(np.zeros((2, 4, 4, 3), np.uint8))
    _, _, skeleton = meshes(body, rest)
    head, pelvis = skeleton[0, 15], skeleton[0, 0]
    assert head[1] < pelvis[1]  # Upright: camera y points down.


def test_bad_weights_and_missing_joint_sets_are_said_in_one_line(body, predicted):
    people = fake_people(PEOPLE)
    broken = dataclasses.replace(predicted, betas=predicted.betas.at[1].set(jnp.nan))
    with pytest.raises(UserError, match="the prediction is not finite for photo 1"):
        measure(broken, body, people)
    bare = dataclasses.replace(body, joint_sets={})
    with pytest.raises(UserError, match="has no joint set 'h36m17'"):
        measure(predicted, bare, people)
