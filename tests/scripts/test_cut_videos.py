"""The tool that cuts videos into photos."""

import cv2
import numpy as np
import pytest
from absl.testing import flagsaver

from dsr_jax.training.command_line import run_script


@pytest.fixture(scope="module")
def tool(load_script):
    return load_script("tools/cut_videos.py")


@pytest.fixture
def run(monkeypatch, tool):
    def call(*arguments):
        monkeypatch.setattr("sys.argv", ["cut_videos.py", *map(str, arguments)])
        with flagsaver.flagsaver(), pytest.raises(SystemExit) as stopped:
            run_script(tool.main)
        return stopped.value.code or 0

    return call


def test_videos_are_cut_and_broken_ones_named(run, tmp_path, capfd):
    folder = tmp_path / "S9/Videos"
    folder.mkdir(parents=True)
    path = str(folder / "Eating.54138969.mp4")
    writer = cv2.VideoWriter(path, cv2.VideoWriter_fourcc(*"mp4v"), 50, (32, 32))
    for _ in range(7):
        writer.write(np.full((32, 32, 3), 90, np.uint8))
    writer.release()
    assert run("--kind=h36m", f"--root={tmp_path}") == 0
    photos = sorted(path.name for path in (tmp_path / "images").iterdir())
    assert photos == [f"S9_Eating.54138969_{n:06d}.jpg" for n in (1, 6)]
    (folder / "Phoning.54138969.mp4").write_bytes(b"")
    assert run("--kind=h36m", f"--root={tmp_path}") == 2
    assert "Phoning.54138969.mp4: not a video that can be" in capfd.readouterr().err
    assert run("--kind=h36m", f"--root={tmp_path}", "--skip_broken", "--step=2") == 0
    assert "1 skipped" in capfd.readouterr().out
    assert len(list((tmp_path / "images").iterdir())) == 5
    assert run("--kind=h36m", f"--root={tmp_path}", "--step=-1") == 2
    assert run("--kind=h36m") == 2
