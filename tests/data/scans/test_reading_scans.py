"""Scans: every form of the layout gives the same votes, and mistakes are one line."""

import zipfile

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from dsr_jax.body import BodyParams, load_body, pose_body
from dsr_jax.camera import project_weak_to_ndc
from dsr_jax.data.scans import find_scans, read_scan, scan_counts, write_scan
from dsr_jax.errors import UserError
from dsr_jax.rasterizer import visible_faces
from dsr_jax.semantics import accumulate_label_counts

SIDE = 96
FOCAL = 5000 * SIDE / 224


@pytest.fixture(scope="module")
def model():
    return load_body("free-lite")


@pytest.fixture(scope="module")
def person(model):
    """A body before two weak cameras, with striped label maps, and its votes."""
    random = np.random.default_rng(0)
    vectors = random.normal(size=(24, 3)).astype(np.float32) * 0.15
    vectors[0] = [np.pi, 0, 0]
    pose = Rotation.from_rotvec(vectors).as_matrix().astype(np.float32)
    betas = random.normal(size=10).astype(np.float32)
    body = BodyParams(jnp.asarray(pose), jnp.asarray(betas))
    vertices = np.asarray(pose_body(model, body).vertices)
    camera = np.array([[0.75, 0.05, -0.1], [0.6, -0.1, 0.15]], np.float32)
    labels = np.zeros((2, SIDE, SIDE), np.uint8)
    labels[:] = 5 + np.arange(SIDE)[:, None] // 8
    points = project_weak_to_ndc(
        jnp.asarray(np.stack([vertices] * 2)), jnp.asarray(camera)
    )
    hit = visible_faces(points, model.faces, (SIDE, SIDE))
    votes = accumulate_label_counts(
        jnp.zeros((len(vertices), 20)),
        *(hit.face, hit.barycentric, jnp.asarray(labels), model.faces),
    )
    fit = {"pose": vectors.reshape(72), "betas": betas}
    maps = {"front.png": labels[0], "b.png": labels[1]}
    return fit, {"camera": camera}, maps, vertices, np.asarray(votes)


def in_perspective(camera, rotation=None, shift=(0, 0)):
    """The weak cameras as K, R, t for a world that is turned by `rotation`."""
    rotation = np.eye(3) if rotation is None else rotation
    distance = 2 * 5000 / (224 * camera[:, :1])
    centre = (SIDE - 1) / 2
    return {
        "K": np.array(
            [[FOCAL, 0, centre + shift[0]], [0, FOCAL, centre + shift[1]], [0, 0, 1]]
        ),
        "R": rotation.T,
        "t": np.concatenate([camera[:, 1:], distance], 1),
        "image_size": np.array([SIDE + shift[1], SIDE + shift[0]]),
    }


def assert_same_votes(counts, votes):
    """A pixel on the edge of a face may fall to either side of it."""
    assert np.abs(counts - votes).sum() < 0.01 * votes.sum()


def test_parameters_before_weak_cameras(tmp_path, model, person):
    fit, cameras, maps, _, votes = person
    write_scan(tmp_path / "a", fit, cameras, maps)
    assert [path.name for path in find_scans(tmp_path)] == ["a"]
    assert_same_votes(scan_counts(tmp_path / "a", model), votes)


def test_vertices_of_another_world_before_perspective_cameras(tmp_path, model, person):
    _, cameras, maps, vertices, votes = person
    world = Rotation.from_rotvec([0.3, -1.2, 0.5]).as_matrix()
    full = in_perspective(cameras["camera"], world)
    write_scan(tmp_path / "a", {"vertices": vertices @ world.T}, full, maps)
    assert_same_votes(scan_counts(tmp_path / "a", model), votes)


def test_rectangular_images_and_a_translated_body(tmp_path, model, person):
    fit, cameras, maps, _, votes = person
    offset = np.array([0.2, -0.4, 1.0], np.float32)
    wide = in_perspective(cameras["camera"], shift=(40, 16))
    wide["t"] = wide["t"] - offset
    wide["K"] = np.stack([wide["K"]] * 2)
    padded = {name: np.pad(m, ((16, 0), (40, 0))) for name, m in maps.items()}
    matrices = Rotation.from_rotvec(fit["pose"].reshape(24, 3)).as_matrix()
    moved = {"pose": matrices, "betas": fit["betas"], "translation": offset}
    write_scan(tmp_path / "a", moved, wide, padded)
    assert_same_votes(scan_counts(tmp_path / "a", model), votes)


def _change(which, key, value):
    def change(fit, cameras, maps):
        {"fit": fit, "cameras": cameras, "maps": maps}[which][key] = value

    return change


def _drop(which, key):
    def change(fit, cameras, maps):
        del {"fit": fit, "cameras": cameras, "maps": maps}[which][key]

    return change


EYES = np.stack([np.eye(3)] * 2)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (_drop("fit", "vertices"), r"fit.npz: lacks 'vertices', or 'pose' and 'betas'"),
        (_change("fit", "vertices", np.ones((9, 3))), r"'vertices' has shape \(9, 3\)"),
        (
            _change("fit", "vertices", np.full((1700, 3), np.nan)),
            "fit.npz: 'vertices' holds values that are not finite",
        ),
        (_drop("cameras", "K"), "cameras.npz: lacks 'K'"),
        (_drop("cameras", "image_size"), "cameras.npz: lacks 'image_size'"),
        (_change("cameras", "t", np.ones((3, 3))), r"'t' has shape \(3, 3\), not"),
        (_change("cameras", "R", -EYES), "'R' holds a matrix that is no rotation"),
        (_change("cameras", "R", 1000 * EYES), "'R' holds a matrix that is no rotat"),
        (_change("cameras", "names", np.zeros(2)), "'names' must list the file name"),
        (_change("cameras", "names", np.array(["../a.png"])), "without folders"),
        (
            _change("cameras", "names", np.array(["c.png", "b.png"])),
            "no such label map",
        ),
        (_change("cameras", "image_size", np.array([50, 60])), "its image has 60 x 50"),
        (_change("cameras", "camera", np.ones((1, 3))), r"'camera' has shape \(1, 3\)"),
        (_change("cameras", "camera", -np.ones((2, 3))), "'camera' has a scale s <= 0"),
        (
            _change("cameras", "t", np.array([9.0, 0, 40])),
            "b.png|front.png: the body lies",
        ),
        (_change("cameras", "t", np.array([0.0, 0, -40])), "only 0% of the body's pix"),
        (_change("maps", "b.png", np.zeros((SIDE, SIDE), np.uint8)), "b.png: only 0%"),
    ],
)
def test_mistakes_are_one_line(tmp_path, model, person, change, complaint):
    _, cameras, maps, vertices, _ = person
    parts = {"vertices": vertices}, in_perspective(cameras["camera"]), dict(maps)
    change(*parts)
    write_scan(tmp_path / "a", *parts)
    with pytest.raises(UserError, match=complaint) as caught:
        scan_counts(tmp_path / "a", model)
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_weak_camera_needs_a_square_image(tmp_path, model, person):
    fit, cameras, maps, _, _ = person
    cut = {name: label_map[:50] for name, label_map in maps.items()}
    write_scan(tmp_path / "a", fit, cameras, cut)
    with pytest.raises(UserError, match="96 x 50 pixels, but a weak camera needs a sq"):
        scan_counts(tmp_path / "a", model)


def test_damaged_files_are_one_line(tmp_path, model, person):
    fit, cameras, maps, _, _ = person
    write_scan(tmp_path / "a", fit, cameras, maps)
    content = (tmp_path / "a" / "fit.npz").read_bytes()
    for damage, complaint in (
        (content[:100], "this fit is damaged"),
        (b"", "this fit is damaged"),
    ):
        (tmp_path / "a" / "fit.npz").write_bytes(damage)
        with pytest.raises(UserError, match=complaint):
            read_scan(tmp_path / "a", model)
    with zipfile.ZipFile(tmp_path / "a" / "fit.npz", "w") as archive:
        archive.writestr("vertices", "a text")
    with pytest.raises(UserError, match=r"not a \.npz of plain arrays"):
        read_scan(tmp_path / "a", model)
    (tmp_path / "a" / "fit.npz").unlink()
    with pytest.raises(UserError, match=r"fit.npz: cannot read this fit"):
        read_scan(tmp_path / "a", model)


def test_folders_without_scans_are_one_line(tmp_path):
    with pytest.raises(UserError, match="there is no such folder of scans"):
        find_scans(tmp_path / "none")
    (tmp_path / "a").mkdir()
    with pytest.raises(
        UserError, match=r"holds no scan; each is a folder with fit.npz"
    ):
        find_scans(tmp_path)
