"""The demonstration from its command line, with a regressor that knows the answer."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import trimesh
from absl.testing import flagsaver
from flax import nnx
from ml_collections import ConfigDict

from dsr_jax.body import BodyParams, body_joints, load_body, mean_pose, pose_body
from dsr_jax.camera import centred_intrinsics, perspective_to_pixels
from dsr_jax.data import read_image, write_image
from dsr_jax.data.person_box import BOX_GROWTH
from dsr_jax.regressor import Prediction, Regressor
from dsr_jax.training import load_regressor
from dsr_jax.training.command_line import run_script

CROP = 32
PHOTO_SIZE = (150, 220)
# Pixels a metre, and the pixel of the body's origin, of the people in the photo.
PEOPLE = ((40.0, (60.0, 70.0)), (55.0, (160.0, 80.0)))


class _Known(Regressor):
    """Predicts the mean body and one camera for every crop of the right size."""

    def __init__(self, camera):
        self.camera = nnx.Param(jnp.asarray(camera, jnp.float32))

    def __call__(self, image):
        assert image.shape == (1, CROP, CROP, 3)
        return Prediction(
            pose=mean_pose()[None],
            betas=jnp.zeros((1, 10)),
            camera=self.camera.get_value()[None],
            rotation_6d=jnp.zeros((1, 24, 6)),
        )


@pytest.fixture(scope="module")
def demo(load_script):
    return load_script("demo.py")


@pytest.fixture(scope="module")
def body():
    """The body, its mean mesh and OpenPose joints in metres."""
    model = load_body("free-lite")
    mesh = jax.jit(pose_body)(model, BodyParams(mean_pose(), jnp.zeros(10)))
    return model, mesh, np.asarray(body_joints(model, mesh, "openpose25"))


def _box_camera(joints):
    """The weak camera of the box that the demonstration cuts around these joints."""
    low, high = joints[:, :2].min(0), joints[:, :2].max(0)
    size = BOX_GROWTH * (high - low).max()
    return np.array([2 / size, *(-(low + high) / 2)])


@pytest.fixture
def folder(tmp_path, body):
    """A grey photo, and OpenPose's json of the people that it would show."""
    write_image(tmp_path / "photo.png", np.full((*PHOTO_SIZE, 3), 90, np.uint8))
    people = []
    for scale, origin in PEOPLE:
        points = scale * body[2][:, :2] + np.array(origin)
        values = np.concatenate([points, np.full((25, 1), 0.9)], 1)
        people.append({"pose_keypoints_2d": values.ravel().tolist()})
    (tmp_path / "photo.json").write_text(json.dumps({"people": people}))
    return tmp_path


@pytest.fixture
def run(monkeypatch, demo, body, folder):
    """Runs the script in `folder`; gives its exit code."""
    regressor = _Known(_box_camera(body[2]))
    config = ConfigDict({"data": {"image_size": CROP}})
    monkeypatch.setattr(demo, "load_regressor", lambda _: (regressor, body[0], config))
    monkeypatch.chdir(folder)

    def call(arguments):
        monkeypatch.setattr("sys.argv", ["demo.py", *arguments.split()])
        with flagsaver.flagsaver(), pytest.raises(SystemExit) as stopped:
            run_script(demo.main)
        return stopped.value.code or 0

    return call


def test_every_person_is_drawn_where_the_keypoints_say(run, body, folder):
    code = run("--image photo.png --openpose photo.json --checkpoint x --output out")
    assert code == 0
    names = {path.name for path in (folder / "out").iterdir()}
    ends = ("_overlay.png", "_side.png", ".glb", ".npz")
    assert names == {f"photo_{k}{end}" for k in range(2) for end in ends}
    vertices = np.asarray(body[1].vertices)
    for k, (scale, origin) in enumerate(PEOPLE):
        picture = read_image(folder / "out" / f"photo_{k}_overlay.png")
        rows, columns = np.nonzero((picture != 90).any(-1))
        drawn = [columns.min(), rows.min(), columns.max(), rows.max()]
        expected = scale * vertices[:, :2] + np.array(origin)
        bounds = [*expected.min(0), *expected.max(0)]
        # Half a pixel of rounding, half of perspective.
        np.testing.assert_allclose(drawn, bounds, atol=1)


def test_the_side_view_is_at_the_persons_height(run, body, folder):
    run("--image photo.png --openpose photo.json --checkpoint x --output out")
    vertices = np.asarray(body[1].vertices)
    for k, (scale, origin) in enumerate(PEOPLE):
        picture = read_image(folder / "out" / f"photo_{k}_side.png")
        rows, columns = np.nonzero((picture != 255).any(-1))
        heights = scale * vertices[:, 1] + origin[1]
        np.testing.assert_allclose(
            [rows.min(), rows.max()], [heights.min(), heights.max()], atol=1
        )
        assert np.ptp(columns) == pytest.approx(scale * np.ptp(vertices[:, 2]), abs=2)


def test_numbers_and_mesh_agree_with_the_photo(run, body, folder):
    run("--image photo.png --openpose photo.json --checkpoint x --output out")
    _, mesh, joints = body
    numbers = np.load(folder / "out" / "photo_1.npz", allow_pickle=False)
    np.testing.assert_allclose(numbers["vertices"], mesh.vertices, atol=1e-6)
    np.testing.assert_allclose(numbers["joints"], mesh.joints, atol=1e-6)
    np.testing.assert_allclose(numbers["pose"], mean_pose(), atol=1e-6)
    turn = numbers["pose_axis_angle"]
    np.testing.assert_allclose(np.abs(turn[0]), [np.pi, 0, 0], atol=1e-5)
    np.testing.assert_array_equal(turn[1:], 0)
    assert (
        numbers["betas"].shape == (10,) and tuple(numbers["image_size"]) == PHOTO_SIZE
    )
    # The camera of the whole photo sees the joints at OpenPose's keypoints.
    seen = perspective_to_pixels(
        jnp.asarray(joints + numbers["translation"]),
        centred_intrinsics(float(numbers["focal_length_px"]), PHOTO_SIZE),
    )
    scale, origin = PEOPLE[1]
    np.testing.assert_allclose(seen, scale * joints[:, :2] + np.array(origin), atol=0.3)
    box = BOX_GROWTH * scale * np.ptp(joints[:, :2], 0).max()
    assert numbers["box_size_px"] == pytest.approx(box, rel=1e-5)
    solid = trimesh.load(folder / "out" / "photo_1.glb", process=False, force="mesh")
    assert len(solid.vertices) == len(mesh.vertices)
    assert solid.vertices[:, 1].max() == pytest.approx(-numbers["vertices"][:, 1].min())


def test_boxes_centred_people_and_folders(run, folder):
    (folder / "boxes").mkdir()
    (folder / "photos").mkdir()
    for name in ("a", "b"):
        write_image(
            folder / "photos" / f"{name}.jpg", np.zeros((120, 140, 3), np.uint8)
        )
        (folder / "boxes" / f"{name}.json").write_text('{"bbox": [10, 10, 80, 100]}')
    assert run("--image photos --box boxes --checkpoint x --output out/boxes") == 0
    assert run("--image photos/a.jpg --checkpoint x --output out/centred") == 0
    assert len(list((folder / "out" / "boxes").iterdir())) == 8
    sizes = [
        float(np.load(folder / "out" / kind / "a.npz")["box_size_px"])
        for kind in ("boxes", "centred")
    ]
    assert sizes == pytest.approx([120, 140])


GOOD = "--image photo.png --checkpoint x --output out"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--image photo.png --checkpoint x", "--output is missing"),
        ("--checkpoint x --output out", "--image is missing"),
        (f"{GOOD} --imgae a", "Unknown command line flag 'imgae'"),
        (f"{GOOD} stray", "'stray' is not a flag"),
        ("--image nowhere.png --checkpoint x --output out", "nowhere.png: no such"),
        ("--image cut.jpg --checkpoint x --output out", "cut.jpg: this image is trunc"),
        ("--image photo.json --checkpoint x --output out", "photo.json: not an image"),
        (f"{GOOD} --openpose bad.json", "bad.json: is not valid json"),
        (f"{GOOD} --box photo.json", "photo.json: must hold"),
        (f"{GOOD} --box nowhere.json", "nowhere.json: cannot read"),
        (
            "--image photo.png --checkpoint x --output photo.png/a",
            "photo.png/a: cannot",
        ),
    ],
)
def test_mistakes_are_one_line_and_code_2(run, folder, capsys, arguments, message):
    (folder / "bad.json").write_text("{")
    write_image(folder / "whole.jpg", np.zeros((60, 60, 3), np.uint8))
    whole = (folder / "whole.jpg").read_bytes()
    (folder / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    assert run(arguments) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("error: ") and message in line
    assert not list((folder).glob("out/*"))


def test_a_missing_checkpoint_is_named(run, demo, monkeypatch, capsys):
    monkeypatch.setattr(demo, "load_regressor", load_regressor)
    assert run("--image photo.png --checkpoint nowhere --output out") == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("error: ") and "nowhere" in line


def test_weights_that_are_not_finite_are_named(run, demo, monkeypatch, body, capsys):
    broken = _Known([np.nan, 0, 0]), body[0], ConfigDict({"data": {"image_size": CROP}})
    monkeypatch.setattr(demo, "load_regressor", lambda _: broken)
    assert run(GOOD) == 2
    assert "x: predicts a body that is not finite" in capsys.readouterr().err


def test_a_photo_that_fails_leaves_no_partial_files(run, folder):
    (folder / "photos").mkdir()
    write_image(folder / "photos" / "a.png", np.zeros((120, 140, 3), np.uint8))
    (folder / "photos" / "b.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    assert run("--image photos --checkpoint x --output out") == 2
    names = sorted(path.name for path in (folder / "out").iterdir())
    assert names == ["a.glb", "a.npz", "a_overlay.png", "a_side.png"]
