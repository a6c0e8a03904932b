"""The bodies that come with the package: closed, symmetric, upright, consistent."""

import importlib.resources

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dsr_jax.body import (
    JOINT_FLIP,
    JOINT_NAMES,
    KEYPOINT_FLIP_49,
    KEYPOINT_NAMES_49,
    BodyParams,
    body_joints,
    load_body,
    pose_body,
)
from dsr_jax.body.keypoints import H36M_NAMES_17, JOINT_SETS
from dsr_jax.rotations import axis_angle_to_matrix

BODIES = ("free", "free-lite")
posed = jax.jit(pose_body)
joints_of = jax.jit(body_joints, static_argnames="joint_set")


def rest(betas):
    batch = np.shape(betas)[:-1]
    pose = jnp.broadcast_to(jnp.eye(3), (*batch, 24, 3, 3))
    return BodyParams(pose, jnp.asarray(betas, jnp.float32))


def each_beta():
    """The mean person, then each component at +2 and at −2."""
    return np.concatenate([np.zeros((1, 10)), 2 * np.eye(10), -2 * np.eye(10)])


def mirror_of(model):
    """Each vertex's partner; exact, or the test fails."""
    template = np.asarray(model.template)
    order = {tuple(vertex): i for i, vertex in enumerate(template)}
    return np.array([order[tuple(v)] for v in template * np.float32([-1, 1, 1]) + 0])


def volume(vertices, faces):
    a, b, c = (vertices[..., faces[:, corner], :] for corner in range(3))
    return (a * np.cross(b, c)).sum((-1, -2)) / 6


@pytest.mark.parametrize("name", BODIES)
def test_surface_is_closed_of_genus_0_and_faces_outward(name):
    model = load_body(name)
    faces = np.asarray(model.faces)
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    directed = {(int(a), int(b)) for a, b in edges}
    assert len(directed) == len(edges)  # no edge twice in one direction
    assert all((b, a) in directed for a, b in directed)  # each once in the other
    assert np.array_equal(np.unique(faces), np.arange(len(model.template)))
    assert len(model.template) - len(edges) // 2 + len(faces) == 2
    mesh = posed(model, rest(each_beta()))
    # m³, which is about 1000 kg: people from thin to heavy
    volumes = volume(np.asarray(mesh.vertices, np.float64), faces)
    assert np.all((volumes > 0.03) & (volumes < 0.16))
    assert 0.055 < volumes[0] < 0.085


@pytest.mark.parametrize("name", BODIES)
def test_no_face_is_degenerate(name):
    model = load_body(name)
    corners = np.asarray(model.template, np.float64)[np.asarray(model.faces)]
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    longest = max(
        ((corners[:, i] - corners[:, i - 1]) ** 2).sum(-1).max() for i in range(3)
    )
    assert np.linalg.norm(normal, axis=1).min() > 1e-8
    assert longest < 0.12**2


def test_sizes_are_not_those_of_smpl():
    full, lite = (load_body(name) for name in BODIES)
    assert abs(len(full.template) - 6880) <= 2
    assert abs(len(lite.template) - 1700) <= 2
    for model in (full, lite):
        assert model.pose_directions.shape == (len(model.template), 3, 0)
        assert set(model.joint_sets) == set(JOINT_SETS)
    assert full.name == "free"
    assert lite.name == "free-lite"


@pytest.mark.parametrize("name", BODIES)
def test_weights_sum_to_one_over_four_joints(name):
    model = load_body(name)
    weights = np.asarray(model.skinning_weights)
    np.testing.assert_allclose(weights.sum(1), 1, atol=2e-7)
    assert weights.min() >= 0
    assert np.count_nonzero(weights, axis=1).max() <= 4
    regressor = np.asarray(model.joint_regressor)
    np.testing.assert_allclose(regressor.sum(1), 1, atol=1e-6)
    assert regressor.min() >= 0
    for joints in model.joint_sets.values():
        total = joints.from_joints.sum(1) + joints.from_vertices.sum(1)
        np.testing.assert_allclose(total, 1, atol=1e-6)


@pytest.mark.parametrize("name", BODIES)
def test_everything_is_mirror_symmetric(name):
    model = load_body(name)
    mirror, signs = mirror_of(model), np.array([-1, 1, 1], np.float32)
    assert np.array_equal(mirror[mirror], np.arange(len(mirror)))
    directions = np.asarray(model.shape_directions)
    np.testing.assert_allclose(
        directions[mirror], directions * signs[None, :, None], atol=1e-5
    )
    weights = np.asarray(model.skinning_weights)
    np.testing.assert_allclose(weights[mirror][:, JOINT_FLIP], weights, atol=1e-5)
    regressor = np.asarray(model.joint_regressor)
    np.testing.assert_allclose(regressor[JOINT_FLIP][:, mirror], regressor, atol=1e-5)
    joints49 = model.joint_sets["joints49"]
    rows = np.asarray(joints49.from_vertices)
    np.testing.assert_allclose(rows[KEYPOINT_FLIP_49][:, mirror], rows, atol=1e-6)
    rows = np.asarray(joints49.from_joints)
    np.testing.assert_allclose(rows[KEYPOINT_FLIP_49][:, JOINT_FLIP], rows, atol=1e-6)
    faces = {tuple(sorted(face)) for face in np.asarray(model.faces).tolist()}
    flipped = mirror[np.asarray(model.faces)].tolist()
    assert {tuple(sorted(face)) for face in flipped} == faces


def winding_number(vertices, faces, points):
    """1 inside a closed surface and 0 outside (van Oosterom and Strackee 1983)."""
    a, b, c = (vertices[faces[:, i]] - points[:, None] for i in range(3))
    x, y, z = (np.linalg.norm(corner, axis=-1) for corner in (a, b, c))
    above = (a * np.cross(b, c)).sum(-1)
    dots = (a * b).sum(-1) * z + (b * c).sum(-1) * x + (c * a).sum(-1) * y
    return 2 * np.arctan2(above, x * y * z + dots).sum(-1) / (4 * np.pi)


@pytest.mark.parametrize("name", BODIES)
def test_joints_lie_inside_people_of_every_build(name):
    model = load_body(name)
    mesh = posed(model, rest(each_beta()))
    inner = [i for i, n in enumerate(H36M_NAMES_17) if n != "jaw"]
    h36m = np.asarray(joints_of(model, mesh, "h36m17"), np.float64)[:, inner]
    for person in range(0, len(mesh.joints), 1 if name == "free-lite" else 7):
        joints = np.asarray(mesh.joints[person], np.float64)
        points = np.concatenate([joints, h36m[person]])
        vertices = np.asarray(mesh.vertices[person], np.float64)
        inside = winding_number(vertices, np.asarray(model.faces), points)
        np.testing.assert_allclose(inside, 1, atol=1e-6)


def test_proportions_are_human():
    model = load_body("free")
    mesh = jax.tree.map(lambda x: x[0], posed(model, rest(each_beta())))
    vertices = np.asarray(mesh.vertices)
    height, span = np.ptp(vertices[:, 1]), np.ptp(vertices[:, 0])
    assert 1.65 < height < 1.75
    assert abs(span / height - 1) < 0.05
    joint = dict(zip(JOINT_NAMES, np.asarray(mesh.joints), strict=True))
    top, sole = vertices[:, 1].max(), vertices[:, 1].min()
    share = {name: (place[1] - sole) / height for name, place in joint.items()}
    # Winter, "Biomechanics and Motor Control", fig. 4.1: heights over stature
    assert abs(share["left_knee"] - 0.285) < 0.03
    assert abs(share["left_hip"] - 0.530) < 0.03
    assert abs(share["left_shoulder"] - 0.818) < 0.03
    assert abs(share["left_ankle"] - 0.039) < 0.02
    upper_arm = np.linalg.norm(joint["left_elbow"] - joint["left_shoulder"])
    forearm = np.linalg.norm(joint["left_wrist"] - joint["left_elbow"])
    assert abs(upper_arm / height - 0.172) < 0.02
    assert abs(forearm / height - 0.146) < 0.02
    assert joint["left_hip"][0] > 0 > joint["right_hip"][0]
    assert joint["head"][1] < top - 0.1


def test_named_points_are_where_their_names_say():
    model = load_body("free")
    mesh = jax.tree.map(lambda x: x[0], posed(model, rest(each_beta())))
    point = dict(
        zip(
            KEYPOINT_NAMES_49,
            np.asarray(joints_of(model, mesh, "joints49")),
            strict=True,
        )
    )
    vertices = np.asarray(mesh.vertices)
    assert point["nose"][2] == pytest.approx(vertices[vertices[:, 1] > 0.3][:, 2].max())
    assert point["head_top_lsp"][1] == pytest.approx(vertices[:, 1].max())
    assert point["openpose_left_eye"][0] > 0.02 > -0.02 > point["openpose_right_eye"][0]
    assert point["left_ear"][0] > 0.06 > -0.06 > point["right_ear"][0]
    assert point["nose"][1] < point["left_eye"][1] < point["head_h36m"][1]
    assert point["left_eye"][2] < point["nose"][2]
    foot = {
        n: point[f"openpose_left_{n}"]
        for n in ("big_toe", "small_toe", "heel", "ankle")
    }
    assert (
        foot["heel"][2] < foot["ankle"][2] < foot["small_toe"][2] < foot["big_toe"][2]
    )
    assert foot["big_toe"][0] < foot["small_toe"][0]
    assert point["openpose_left_ankle"][0] > 0
    levels = ["left_ankle", "left_knee", "left_hip", "spine_h36m", "thorax_mpii"]
    levels += ["neck_lsp", "jaw_h36m", "head_h36m", "head_top_lsp"]
    heights = [point[name][1] for name in levels]
    assert heights == sorted(heights)


def test_lite_and_full_are_the_same_person():
    random = np.random.default_rng(0)
    betas = each_beta() + random.normal(0, 0.5, (21, 10))
    axis_angle = jnp.asarray(random.normal(0, 0.3, (21, 24, 3)), jnp.float32)
    params = BodyParams(
        jax.jit(axis_angle_to_matrix)(axis_angle), jnp.asarray(betas, jnp.float32)
    )
    full, lite = (load_body(name) for name in BODIES)
    meshes = {model.name: posed(model, params) for model in (full, lite)}
    np.testing.assert_allclose(
        meshes["free"].joints, meshes["free-lite"].joints, atol=5e-3
    )
    for joint_set in JOINT_SETS:
        first, second = (
            joints_of(model, meshes[model.name], joint_set) for model in (full, lite)
        )
        np.testing.assert_allclose(first, second, atol=6e-3)
    tall = [
        np.ptp(posed(m, rest(betas)).vertices[..., 1], axis=1) for m in (full, lite)
    ]
    np.testing.assert_allclose(*tall, atol=5e-3)
    place = {tuple(v) for v in np.round(np.asarray(full.template), 3)}
    shared = [tuple(v) in place for v in np.round(np.asarray(lite.template), 3)]
    assert np.mean(shared) > 0.9  # both are rounded, to steps of 0.03 mm


def test_betas_are_standard_deviations_of_builds():
    model = load_body("free")
    mesh = posed(model, rest(each_beta()))
    heights = np.ptp(np.asarray(mesh.vertices)[..., 1], axis=1)
    assert heights[1] - heights[11] > 0.3  # the first component is mostly stature
    volumes = volume(np.asarray(mesh.vertices, np.float64), np.asarray(model.faces))
    assert np.all(volumes[1:11] > volumes[11:])
    # some component changes the build at nearly the same stature
    heavier = volumes[1:11] / volumes[11:]
    same = np.abs(heights[1:11] - heights[11:]) < 0.08
    assert heavier[same].max() > 1.5


def test_flips_are_involutions_and_swap_sides():
    for flip, names in (
        (JOINT_FLIP, JOINT_NAMES),
        (KEYPOINT_FLIP_49, KEYPOINT_NAMES_49),
    ):
        assert np.array_equal(flip[flip], np.arange(len(names)))
        for index, name in enumerate(names):
            other = names[flip[index]]
            assert other.replace("left", "right") == name.replace("left", "right")
            assert (other == name) == ("left" not in name and "right" not in name)
    # the published permutation of SMPL's joints
    smpl = [0, 2, 1, 3, 5, 4, 6, 8, 7, 9, 11, 10, 12, 14, 13, 15]
    smpl += [17, 16, 19, 18, 21, 20, 23, 22]
    assert JOINT_FLIP.tolist() == smpl


def test_assets_are_small_and_say_where_they_come_from():
    folder = importlib.resources.files("dsr_jax.body") / "assets"
    files = [file for file in folder.iterdir() if file.name.endswith(".npz")]
    assert {file.name for file in files} == {"free.npz", "free-lite.npz"}
    assert sum(len(file.read_bytes()) for file in files) < 1.4e6
    for file in files:
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
            assert "CC0 1.0" in str(stored["provenance"])
            assert "MakeHuman" in str(stored["provenance"])
