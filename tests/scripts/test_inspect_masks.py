"""tools/inspect_masks.py: panels and rows, broken files and mistakes."""

import csv
import json

import numpy as np
import pytest
from absl.testing import flagsaver

from dsr_jax.data import read_image, read_spin_npz, write_people
from dsr_jax.semantics import CIHP
from dsr_jax.training.command_line import run_script
from tests.data.test_label_files import people


@pytest.fixture(scope="module")
def script(load_script):
    return load_script("tools/inspect_masks.py")


@pytest.fixture
def folder(tmp_path):
    """Four people: one swapped, one broken, one without a label map."""
    batch = people(4)
    batch.labels[1] = CIHP.flip[batch.labels[1]]
    batch.has_labels[3] = 0
    write_people(tmp_path, [batch])
    (tmp_path / "labels" / "000002.png").write_bytes(b"")
    return tmp_path


@pytest.fixture
def inspect(monkeypatch, capsys, script, folder):
    def call(*arguments):
        places = [f"--{name}={folder / name}" for name in ("images", "labels")]
        command = ["inspect_masks.py", *places, f"--output={folder / 'out'}"]
        monkeypatch.setattr("sys.argv", [*command, *arguments])
        with flagsaver.flagsaver(), pytest.raises(SystemExit) as stopped:
            run_script(script.main)
        said = capsys.readouterr()
        if stopped.value.code:
            assert stopped.value.code == 2
            return said.err.splitlines()
        with open(folder / "out" / "labels.csv") as file:
            return list(csv.DictReader(file)), said.out

    return call


def test_annotated_people(inspect, folder):
    rows, said = inspect(f"--annotations={folder / 'annotations.npz'}")
    assert [row["status"] for row in rows] == [
        *("used", "refused", "broken", "no label map"),
    ]
    assert rows[1]["why"] == "has left and right swapped"
    assert "000002.png: this label map is empty" in rows[2]["why"]
    assert sum(int(rows[0][name]) for name in CIHP.names) == 224 * 224
    assert "4 people: 1 broken, 1 no label map, 1 refused, 1 used" in said
    pictures = sorted(path.name for path in (folder / "out").glob("*.png"))
    assert pictures == ["000000_000000.png", "000001_000001.png"]
    panel = read_image(folder / "out" / pictures[0])
    assert panel.shape[1] > 6 * 224 and np.ptp(panel) > 200


def test_openpose_files_and_a_limit(inspect, folder):
    (folder / "openpose").mkdir()
    keypoints = read_spin_npz(folder / "annotations.npz").openpose[0]
    person = {"pose_keypoints_2d": keypoints.ravel().tolist()}
    content = json.dumps({"people": [person, person]})
    (folder / "openpose" / "000000_keypoints.json").write_text(content)
    rows, _ = inspect(f"--openpose={folder / 'openpose'}", "--limit=3")
    assert [row["name"] for row in rows] == ["000000_0", "000000_1", "000001"]
    # Nobody says where the third is: swapped sides cannot be told.
    assert [row["status"] for row in rows] == ["used", "used", "used"]


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--labels=nowhere", "--labels nowhere: no such folder"),
        ("--labels=tests", "has no label map for any photo"),
        ("--openpose=nowhere", "--openpose nowhere: no such folder"),
        ("--annotations=nowhere.npz", "nowhere.npz: cannot read this annotation file"),
        ("--taxonomy=cipd", "taxonomy"),
        ("--images=nowhere", "--images nowhere: no such folder"),
    ],
)
def test_a_mistake_is_one_line(inspect, argument, message):
    lines = inspect(argument)
    assert len(lines) == 1 and message in lines[0]


def test_nothing_is_overwritten(inspect, folder):
    before = (folder / "labels" / "000000.png").read_bytes()
    (line,) = inspect(f"--output={folder / 'labels' / '..' / 'labels'}")
    assert "is the folder of --labels" in line
    assert (folder / "labels" / "000000.png").read_bytes() == before
    for photo in list((folder / "images").iterdir())[:1]:
        (folder / "images" / f"{photo.stem}.jpeg").write_bytes(photo.read_bytes())
    (line,) = inspect()
    assert f"2 people would be written as '{photo.stem}'; rename" in line
