"""The tool that writes synthetic people as a data set, with people made by hand."""

import jax
import numpy as np
import pytest
from absl.testing import flagsaver

from dsr_jax.data import Batch, FolderDataset, FolderSettings
from dsr_jax.training.command_line import run_script

SIDE = 16


@pytest.fixture(scope="module")
def tool(load_script):
    return load_script("tools/write_synthetic.py")


def _people(key, count, model, settings):
    """People whose betas and pictures tell their key and place."""
    assert model == "body" and settings.image_size == SIDE
    first = jax.random.randint(key, (), 0, 200)
    marks = (int(first) + np.arange(count)).astype(np.float32)
    flat = np.ones((count, SIDE, SIDE, 3)) * marks[:, None, None, None]
    return Batch(
        image=flat.astype(np.uint8),
        labels=np.full((count, SIDE, SIDE), 5, np.uint8),
        has_labels=np.ones(count, np.float32),
        keypoints_ndc=np.ones((count, 49, 3), np.float32) * 0.5,
        joints=np.ones((count, 24, 4), np.float32),
        pose=np.tile(np.eye(3, dtype=np.float32), (count, 24, 1, 1)),
        betas=np.repeat(marks[:, None], 10, 1),
        has_body=np.ones(count, np.float32),
        camera=np.zeros((count, 3), np.float32),
    )


@pytest.fixture
def run(monkeypatch, tool, tmp_path):
    monkeypatch.setattr(tool, "synthetic_people", _people)
    monkeypatch.setattr(tool, "load_body", lambda _: "body")
    monkeypatch.chdir(tmp_path)

    def call(arguments):
        monkeypatch.setattr("sys.argv", ["write_synthetic.py", *arguments.split()])
        with flagsaver.flagsaver(), pytest.raises(SystemExit) as stopped:
            run_script(tool.main)
        return stopped.value.code or 0

    return call


def _marks(folder):
    settings = FolderSettings(
        annotations=str(folder / "annotations.npz"),
        images=str(folder / "images"),
        labels=str(folder / "labels"),
        resolution=SIDE,
    )
    dataset = FolderDataset(settings)
    examples = [dataset.example(index) for index in range(len(dataset))]
    assert all((e.image == e.betas[0]).all() for e in examples)
    return [int(e.betas[0]) for e in examples]


def test_a_larger_count_only_adds_people(run, tmp_path):
    common = f"--image_size {SIDE} --format png"
    assert run(f"--count 5 {common} --output few") == 0
    assert run(f"--count 19 {common} --output many") == 0
    few, many = _marks(tmp_path / "few"), _marks(tmp_path / "many")
    assert len(few) == 5 and len(many) == 19 and many[:5] == few


def test_splits_and_seeds_have_other_people(run, tmp_path):
    common = f"--count 1 --image_size {SIDE} --format png"
    for name, flags in [
        ("a", ""),
        ("b", "--split test"),
        ("c", "--split validation"),
        ("d", "--seed 1"),
    ]:
        assert run(f"{common} {flags} --output {name}") == 0
    assert len({_marks(tmp_path / name)[0] for name in "abcd"}) == 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--count 1", "--output is missing"),
        ("--count 0 --output a", "--count=0"),
        ("--split trian --output a", "trian"),
        ("--image_size 4 --output a", "--image_size 4: image_size must be at least"),
    ],
)
def test_mistakes_are_one_line_and_write_nothing(
    run, tmp_path, capsys, arguments, message
):
    assert run(arguments) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("error: ") and message in line
    assert not list(tmp_path.iterdir())
