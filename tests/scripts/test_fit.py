"""Fitting from its command line, on a photo of a body that is known."""

import json

import jax
import numpy as np
import pytest
from absl.testing import flagsaver

from dsr_jax.body import BodyParams, body_joints, load_body, mean_pose, pose_body
from dsr_jax.data import (
    SpinAnnotations,
    read_image,
    write_image,
    write_spin_npz,
)
from dsr_jax.errors import UserError
from dsr_jax.fitting.people import find_annotated_people, person_batch
from dsr_jax.semantics import CIHP, CleaningSettings, write_label_map

PIXELS_A_METRE, ORIGIN, SIZE = 60.0, (110.0, 75.0), (150, 220)


@pytest.fixture(scope="module")
def fit(load_script):
    return load_script("fit.py")


@pytest.fixture
def photo(tmp_path):
    """A grey photo, the joints of the mean body in it, and a label map around them."""
    body = load_body("free-lite")
    mesh = jax.jit(pose_body)(body, BodyParams(mean_pose(), np.zeros(10, np.float32)))
    joints = np.asarray(body_joints(body, mesh, "openpose25"))[:, :2]
    points = PIXELS_A_METRE * joints + ORIGIN
    values = np.concatenate([points, np.ones((25, 1))], 1).ravel().tolist()
    people = {"people": [{"pose_keypoints_2d": values}]}
    (tmp_path / "a.json").write_text(json.dumps(people))
    write_image(tmp_path / "a.png", np.full((*SIZE, 3), 128, np.uint8))
    labels = np.zeros(SIZE, np.uint8)
    low, high = points.min(0).astype(int), points.max(0).astype(int)
    labels[low[1] : high[1], low[0] : high[0]] = 5
    labels[low[1] : low[1] + 12, low[0] : high[0]] = 13
    write_label_map(tmp_path / "labels.png", labels)
    return tmp_path


CONFIG = """
from configs.fit import get_config as fit_config

def get_config():
    config = fit_config()
    config.body.name = config.semantics.prior = "free-lite"
    config.image_size = 48
    config.fitting.steps, config.fitting.dsr_start = {steps}, {dsr_start}
    config.objective.dsr_fb = 0.1
    return config
"""


def run(fit, folder, steps=20, dsr_start=1.0, **flags):
    path = folder / "config.py"
    path.write_text(CONFIG.format(steps=steps, dsr_start=dsr_start))
    given = {
        "config": str(path),
        "image": str(folder / "a.png"),
        "openpose": str(folder / "a.json"),
        "labels": str(folder / "labels.png"),
        "output": str(folder / "out"),
        **flags,
    }
    fit.FLAGS.mark_as_parsed()
    with flagsaver.as_parsed(**given):
        fit.main([])


def test_a_photo_becomes_a_body_and_pictures(fit, photo, capsys):
    run(fit, photo, animation="true")
    found = {file.name for file in (photo / "out").iterdir()}
    endings = ("_overlay.png", "_side.png", ".glb", ".npz", "_fit.png", "_fit.gif")
    assert found == {f"a{ending}" for ending in endings}
    numbers = np.load(photo / "out" / "a.npz")
    assert np.isfinite(numbers["vertices"]).all()
    assert read_image(photo / "out" / "a_fit.png").std() > 10
    before, after = map(
        float, capsys.readouterr().out.split("person ")[1].split("\n")[0].split(" -> ")
    )
    assert 0.2 < before < 1 and 0.2 < after < 1


def test_people_of_a_data_set_bring_all_their_joints(photo):
    keypoints = np.zeros((2, 25, 3), np.float32)
    keypoints[:, 3] = [5, 6, 1]
    joints = np.ones((2, 24, 4), np.float32)
    annotations = SpinAnnotations(
        imgname=np.array(["a.png", "b.png"]),
        center=np.array([[110.0, 75.0], [50.0, 50.0]], np.float32),
        scale=np.array([0.6, 0.5], np.float32),
        openpose=keypoints,
        S=joints,
    )
    write_spin_npz(photo / "people.npz", annotations)
    found = find_annotated_people(photo / "people.npz", photo, None, limit=1)
    assert [person.name for person in found] == ["000000_a"]
    batch, refused = person_batch(found, 32, CIHP, CleaningSettings())
    assert refused == []
    np.testing.assert_array_equal(batch.joints[0], joints[0])
    np.testing.assert_array_equal(batch.keypoints_ndc[0, :, 2].nonzero()[0], [3])
    # Pixel 5 of a box of 120 around 110: x = (5 - 110) / 60.
    np.testing.assert_allclose(batch.keypoints_ndc[0, 3, :2], [-1.75, 1.15], atol=1e-5)
    with pytest.raises(UserError, match="no label map for any photo"):
        find_annotated_people(photo / "people.npz", photo, photo / "none", limit=2)


@pytest.mark.slow
def test_labels_move_the_body(fit, photo, capsys):
    vertices, overlaps = [], []
    for dsr_start in (0.5, 1.0):
        run(fit, photo, steps=60, dsr_start=dsr_start)
        vertices.append(np.load(photo / "out" / "a.npz")["vertices"])
        line = capsys.readouterr().out.split("person ")[1].split("\n")[0]
        overlaps.append(float(line.split(" -> ")[1]))
    assert np.abs(vertices[0] - vertices[1]).max() > 1e-3
    assert overlaps[0] > overlaps[1]


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda f: (f / "labels.png").write_bytes(b"no"), "labels.png: this label map"),
        (lambda f: (f / "labels.png").unlink(), "labels.png: cannot read"),
        (lambda f: (f / "a.json").write_text("{}"), "a.json: lacks the list 'people'"),
        (lambda f: (f / "a.png").write_bytes(b"no"), "a.png: not an image"),
        (lambda f: (f / "a.json").write_text('{"people": []}'), "shows nobody"),
    ],
)
def test_mistakes_are_one_line_and_nothing_is_written(fit, photo, make, complaint):
    make(photo)
    with pytest.raises(UserError, match=complaint) as caught:
        run(fit, photo)
    assert "\n" not in str(caught.value)
    assert not list(photo.glob("out/*"))
