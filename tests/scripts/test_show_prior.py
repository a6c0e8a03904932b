"""The tool that draws a prior."""

import cv2
import numpy as np
import pytest
from PIL import Image

from dsr_jax.semantics import CIHP


@pytest.fixture(scope="module")
def tool(load_script):
    return load_script("tools/show_prior.py")


@pytest.fixture
def run(tool, monkeypatch):
    def call(arguments):
        monkeypatch.setattr("sys.argv", ["show_prior.py", *map(str, arguments)])
        try:
            tool.main()
        except SystemExit as stopped:
            return stopped.code
        return 0

    return call


def test_it_draws_a_turntable_and_every_label(run, tmp_path):
    common = ["--prior", "free-lite", "--body", "free-lite", "--size", "48"]
    assert run([*common, "--output", tmp_path / "pictures"]) == 0
    names = {path.name for path in (tmp_path / "pictures").iterdir()}
    heat_maps = {f"{i:02d}-{name}.png" for i, name in enumerate(CIHP.names)}
    assert names == heat_maps | {"turntable.png", "turntable.gif"}
    with Image.open(tmp_path / "pictures" / "turntable.gif") as animation:
        assert animation.n_frames == 24 and animation.size == (48, 48)
    assert run([*common, "--sheet", tmp_path / "sheet.png"]) == 0
    sheet = cv2.imread(str(tmp_path / "sheet.png"))
    assert np.ptp(sheet) > 200


def test_mistakes_are_one_line(run, tmp_path, capsys):
    for arguments, complaint in (
        ([], "give either --output or --sheet"),
        (["--size", 8, "--output", tmp_path / "a"], "--size is 8: give 40 to 2048"),
        (
            ["--prior", "free-lite", "--output", tmp_path / "a"],
            "made for 1700 vertices",
        ),
        (["--prior", tmp_path / "no.npz", "--output", tmp_path / "a"], "cannot read"),
    ):
        assert run(arguments) == 2
        (line,) = capsys.readouterr().err.strip().splitlines()
        assert line.startswith("error: ") and complaint in line
    assert not (tmp_path / "a").exists()
