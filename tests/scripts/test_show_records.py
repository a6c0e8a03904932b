"""The tool that draws people of record files; drawing itself is replaced."""

import numpy as np
import pytest
from absl.testing import flagsaver

from dsr_jax.data.records import BuildSettings, build_records
from dsr_jax.training.command_line import run_script
from tests.people_sources import make_source, write_files


@pytest.fixture(scope="module")
def tool(load_script):
    return load_script("tools/show_records.py")


@pytest.fixture
def run(monkeypatch, tool, tmp_path):
    monkeypatch.chdir(tmp_path)
    build_records(make_source(), BuildSettings("spin", "train", tmp_path / "records"))

    def draw(source, index, body, taxonomy):
        assert source.image(index).data and body == "free-lite"
        return np.full((8, 8, 3), index, np.uint8)

    monkeypatch.setattr(tool, "draw_person", draw)
    monkeypatch.setattr(tool, "load_body", lambda name, extra_regressor: name)

    def call(arguments):
        arguments = f"--body free-lite --output pictures {arguments}"
        monkeypatch.setattr("sys.argv", ["show_records.py", *arguments.split()])
        with flagsaver.flagsaver(), pytest.raises(SystemExit) as stopped:
            run_script(tool.main)
        return stopped.value.code or 0

    return call


def drawn(tmp_path):
    return sorted(path.name for path in (tmp_path / "pictures").iterdir())


def test_people_are_taken_evenly(run, tmp_path):
    assert run("--records records --split train --count 3") == 0
    assert drawn(tmp_path) == ["000000_000.png", "000003_003.png", "000006_006.png"]


def test_people_are_taken_by_number(run, tmp_path, capsys):
    assert run("--records records --people 9,1") == 0
    assert drawn(tmp_path) == ["000001_001.png", "000009_009.png"]
    assert "2 of 10 people are drawn" in capsys.readouterr().out


def test_files_are_drawn_as_well(run, tmp_path):
    write_files(tmp_path / "people")
    assert run("--records people/annotations.npz --images people/images") == 0
    assert len(drawn(tmp_path)) == 6


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("", "--records is missing"),
        ("--records records --people 10", "--people 10: give numbers from 0 to 9"),
        ("--records records --split val", "has no split 'val'"),
        ("--records nowhere", "nowhere: cannot read"),
    ],
)
def test_mistakes_are_one_line(run, tmp_path, capsys, arguments, message):
    assert run(arguments) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("error: ") and message in line
    assert not (tmp_path / "pictures").exists()
