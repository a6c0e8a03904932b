"""The steps that bake the free body, on meshes small enough to check by hand."""

import pathlib

import numpy as np
import pytest

from dsr_jax.body import JOINT_FLIP, JOINT_NAMES, PARENTS

TOOLS = pathlib.Path(__file__).parents[2] / "tools"


@pytest.fixture(autouse=True)
def tools(monkeypatch):
    monkeypatch.syspath_prepend(str(TOOLS))


def sphere(rings=12):
    """A closed mesh, symmetric in x, with a mid-line; mirror table beside it."""
    around = 2 * rings
    vertices, faces = [[0.0, 1.0, 0.0]], []
    for ring in range(1, rings):
        polar = np.pi * ring / rings
        for step in range(around):
            turn = 2 * np.pi * step / around
            x, z = np.sin(polar) * np.sin(turn), np.sin(polar) * np.cos(turn)
            vertices.append([x, np.cos(polar), z])
    vertices.append([0.0, -1.0, 0.0])
    ring_start = lambda ring: 1 + (ring - 1) * around  # noqa: E731
    mirror = [0]
    for ring in range(1, rings):
        mirror += [ring_start(ring) + (-step) % around for step in range(around)]
    mirror.append(len(vertices) - 1)
    for step in range(around):
        after = (step + 1) % around
        faces.append([0, 1 + step, 1 + after])
        last = ring_start(rings - 1)
        faces.append([len(vertices) - 1, last + after, last + step])
        for ring in range(1, rings - 1):
            a, b = ring_start(ring) + step, ring_start(ring) + after
            c, d = a + around, b + around
            faces += [[a, c, d], [a, d, b]] if step < rings else [[a, c, b], [b, c, d]]
    points = np.array(vertices)
    points = (points + points[mirror] * [-1, 1, 1]) / 2
    return points, np.array(faces), np.array(mirror)


def check_closed(vertices, faces):
    edges = [(int(f[i]), int(f[i - 2])) for f in faces for i in range(3)]
    assert len(set(edges)) == len(edges)
    assert {(b, a) for a, b in edges} == set(edges)
    assert len(vertices) - len(edges) // 2 + len(faces) == 2
    a, b, c = (vertices[faces[:, i]] for i in range(3))
    return (a * np.cross(b, c)).sum() / 6


def test_decimation_keeps_a_symmetric_closed_surface_and_chosen_vertices():
    from free_body.decimation import Decimation

    vertices, faces, mirror = sphere()
    whole = check_closed(vertices, faces)
    assert whole > 4
    importance = np.ones(len(vertices))
    kept = [5, int(mirror[5]), 40, int(mirror[40])]
    importance[kept] = np.inf
    decimation = Decimation(vertices, faces, mirror, importance)
    coarse, coarse_faces = decimation.run(120)
    finer_than = set(coarse.tolist())
    assert 118 <= len(coarse) <= 120
    assert set(kept) <= finer_than
    assert set(mirror[coarse].tolist()) == finer_than
    assert check_closed(vertices[coarse], coarse_faces) > 0.93 * whole
    partner = np.searchsorted(coarse, mirror[coarse])
    as_sets = {frozenset(face) for face in coarse_faces.tolist()}
    assert {frozenset(face) for face in partner[coarse_faces].tolist()} == as_sets
    coarser, _ = decimation.run(80)
    assert set(coarser.tolist()) < finer_than


def test_straightened_arms_bend_back_to_the_given_pose():
    from free_body.rig import _rotations_to_t_pose, straighten

    random = np.random.default_rng(0)
    joints = random.normal(0, 0.02, (24, 3))
    joints[:, 1] += np.linspace(0.5, -0.5, 24)
    for name, place in (
        ("left_collar", [0.05, 0.3, 0]),
        ("left_shoulder", [0.2, 0.3, 0]),
        ("left_elbow", [0.4, 0.1, 0]),
        ("left_wrist", [0.55, -0.1, 0.05]),
        ("left_hand", [0.6, -0.2, 0.07]),
        ("left_hip", [0.1, -0.1, 0]),
        ("left_knee", [0.15, -0.5, 0.02]),
        ("left_ankle", [0.18, -0.9, 0]),
    ):
        joints[JOINT_NAMES.index(name)] = place
    joints = (joints + joints[JOINT_FLIP] * [-1, 1, 1]) / 2
    left = np.array([name.startswith("left_") for name in JOINT_NAMES])
    joints[left] *= [2, 1, 1]
    joints[JOINT_FLIP[left.nonzero()[0]]] = joints[left] * [-1, 1, 1]
    weights = random.dirichlet(np.full(24, 0.1), 50)
    vertices = random.normal(0, 0.4, (50, 3))
    straight, straight_joints = straighten(vertices, joints, weights)

    index = {name: i for i, name in enumerate(JOINT_NAMES)}
    for start, end in (("shoulder", "elbow"), ("elbow", "wrist"), ("wrist", "hand")):
        bone = (
            straight_joints[index[f"left_{end}"]]
            - straight_joints[index[f"left_{start}"]]
        )
        np.testing.assert_allclose(bone[1:], 0, atol=1e-12)
        assert bone[0] > 0
    back = _rotations_to_t_pose(joints).transpose(0, 2, 1)
    rebuilt = straight_joints.copy()
    for joint, parent in enumerate(PARENTS):
        if parent >= 0:
            bone = straight_joints[joint] - straight_joints[parent]
            rebuilt[joint] = rebuilt[parent] + back[parent] @ bone
    np.testing.assert_allclose(rebuilt, joints, atol=1e-12)
    bent = np.zeros_like(vertices)
    for joint in range(24):
        offset = straight - straight_joints[joint]
        bent += weights[:, joint, None] * (offset @ back[joint].T + joints[joint])
    np.testing.assert_allclose(bent, vertices, atol=1e-9)


def test_every_person_is_a_weighting_of_targets():
    from free_body.people import (
        ShapeTargets,
        _macro_targets,
        sample_people,
        target_coefficients,
    )

    terms = tuple(_macro_targets().values())
    values = sample_people(np.random.default_rng(0), 50)
    targets = ShapeTargets(terms, np.zeros((len(terms), 1, 3)))
    amounts = target_coefficients(targets, values)
    assert amounts.min() >= 0
    kinds = [len(term) for term in terms]
    for size, total in ((3, 1.0), (4, 1.0)):  # origins, and builds, share out 1
        chosen = [kind == size for kind in kinds]
        np.testing.assert_allclose(amounts[:, chosen].sum(1), total, atol=1e-12)


def test_regressor_finds_joints_and_stays_inside():
    from free_body.regressors import _nonnegative_fit

    random = np.random.default_rng(0)
    points = random.normal(size=(40, 30, 3))
    weights = np.zeros(30)
    weights[[3, 8, 20]] = 0.5, 0.3, 0.2
    found = _nonnegative_fit(points, np.einsum("k,nkc->nc", weights, points))
    np.testing.assert_allclose(found, weights, atol=2e-3)
    assert found.min() >= 0


def test_packed_bodies_are_equal_bytes_and_close_to_the_original(tmp_path):
    from free_body.packing import Body, write_body

    random = np.random.default_rng(0)
    weights = np.zeros((40, 24))
    weights[:, :4] = random.dirichlet([1, 1, 1, 1], 40)
    body = Body(
        template=random.normal(0, 0.5, (40, 3)),
        shape_directions=random.normal(0, 0.02, (40, 3, 10)),
        skinning_weights=weights,
        joint_regressor=np.eye(24, 40),
        faces=random.integers(0, 40, (76, 3)),
        joints49=np.eye(49, 64),
        h36m17=np.eye(17, 64),
        provenance="made up",
    )
    paths = [tmp_path / "one.npz", tmp_path / "two.npz"]
    for path in paths:
        write_body(path, body)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {"one.npz", "two.npz"}
    with np.load(paths[0], allow_pickle=False) as stored:
        for name in ("template", "shape_directions"):
            values = stored[name] * stored[f"{name}_step"]
            # far below 0.1 mm, also times a beta of 3
            np.testing.assert_allclose(values, getattr(body, name), atol=3e-5)
        assert np.array_equal(stored["faces"], body.faces)
