"""tools/parse_clothing.py from its command line."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from absl.testing import flagsaver

from dsr_jax.data import SpinAnnotations, write_image, write_spin_npz
from dsr_jax.parsing import read_record
from dsr_jax.semantics import read_label_map
from dsr_jax.training.command_line import run_script
from tests.parsing.models import ColourNet, painted, save_painter

ROOT = Path(__file__).parents[2]
COMMON = "--model a.onnx --images photos --output labels"


@pytest.fixture(scope="module")
def tool(load_script):
    return load_script("tools/parse_clothing.py")


@pytest.fixture
def run(monkeypatch, tool, tmp_path):
    monkeypatch.chdir(tmp_path)
    for number in range(4):
        labels = np.random.default_rng(number).integers(0, 14, (10, 12))
        Path("photos/deep").mkdir(parents=True, exist_ok=True)
        write_image(f"photos/deep/{number}.png", painted(labels))
    save_painter("a.onnx", 20)

    def call(arguments):
        monkeypatch.setattr("sys.argv", ["parse_clothing.py", *arguments.split()])
        with flagsaver.flagsaver(), pytest.raises(SystemExit) as stopped:
            run_script(tool.main)
        return stopped.value.code or 0

    return call


def test_from_photos_to_label_maps_and_again(run, capsys):
    assert run(f"{COMMON} --taxonomy cihp --flip --threads 1") == 0
    assert "4 label maps written, 0 were there" in capsys.readouterr().out
    expected = np.random.default_rng(2).integers(0, 14, (10, 12))
    assert (read_label_map("labels/deep/2.png") == expected).all()
    assert run(f"{COMMON} --taxonomy cihp --flip") == 0
    assert "0 label maps written, 4 were there" in capsys.readouterr().out


def test_flags_change_the_recipe(run):
    flags = "--input_size 0 --resize stretch --mean 0,0,0 --std 1,1,1 --range 1"
    assert run(f"{COMMON} --recipe schp --taxonomy cihp {flags}") == 0
    settings = read_record(Path("labels"))["made_by"]["settings"]
    assert settings["channels"] == "bgr" and settings["alignment"] == "corners"
    assert settings["input_size"] is None and settings["mean"] == [0.0, 0.0, 0.0]


def test_photos_without_people_get_no_map(run, capsys):
    Path("json/deep").mkdir(parents=True)
    for number in range(4):
        Path(f"json/deep/{number}.json").write_text('{"people": []}')
    people = "--taxonomy cihp --openpose json"
    assert run(f"{COMMON} {people}") == 2
    assert "shows nobody in any photo" in capsys.readouterr().err
    assert run(f"{COMMON} {people} --outside whole") == 0


def test_unreadable_photos_are_named_or_stop_the_run(run, capsys):
    write_spin_npz(
        "people.npz",
        SpinAnnotations(
            imgname=np.array(["deep/0.png", "deep/none.png"]),
            center=np.full((2, 2), 5, np.float32),
            scale=np.full(2, 0.05, np.float32),
        ),
    )
    assert run(f"{COMMON} --taxonomy cihp --annotations people.npz") == 0
    out, err = capsys.readouterr()
    assert "1 photos unreadable" in out
    assert "unreadable: photos/deep/none.png: cannot read this image" in err
    again = f"{COMMON} --taxonomy cihp --annotations people.npz --broken stop"
    assert run(again) == 2


def test_ctrl_c_says_how_to_go_on(run, monkeypatch, tool, capsys):
    parse_folder = tool.parse_folder

    def interrupted(*arguments, **options):
        os.kill(os.getpid(), signal.SIGINT)
        return parse_folder(*arguments, **options)

    monkeypatch.setattr(tool, "parse_folder", interrupted)
    assert run(f"{COMMON} --taxonomy cihp") == 130
    assert "the same command goes on" in capsys.readouterr().err
    monkeypatch.setattr(tool, "parse_folder", parse_folder)
    assert run(f"{COMMON} --taxonomy cihp") == 0
    assert "3 label maps written, 1 were there" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--images photos --output labels", "--model is missing"),
        (COMMON, "give --recipe, or --taxonomy"),
        (f"{COMMON} --recipe shcp", "did you mean 'schp'"),
        (f"{COMMON} --taxonomy cip", "did you mean 'cihp'"),
        (f"{COMMON} --taxonomy atr", "for the taxonomy's 18 labels"),
        (f"{COMMON} --taxonomy cihp --input_size 473", "give HxW"),
        (f"{COMMON} --taxonomy cihp --scales 1,a", "--scales 1,a: give numbers"),
        (f"{COMMON} --taxonomy cihp --scales 0", "'scales' must be positive"),
        (f"{COMMON} --taxonomy cihp --mean 1,2", "'mean' and 'std' must be three"),
        (f"{COMMON} --taxonomy cihp --output_index x", "no output 'x'"),
        (f"{COMMON} --taxonomy cihp --provider gpu", "gpu"),
        (
            "--model a.onnx --images none --output labels --taxonomy cihp",
            "no such folder",
        ),
        ("--model none --images photos --output labels --taxonomy cihp", "none"),
        ("--model a.onnx --images photos --output photos --taxonomy cihp", "lies in"),
    ],
)
def test_mistakes_are_one_line(run, capsys, arguments, message):
    assert run(arguments) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("error: ") and message in line
    assert not list(Path().rglob("labels/*.png"))


@pytest.mark.slow
@pytest.mark.parametrize("processes", [1, 2])
def test_ctrl_c_of_a_terminal_reaches_all_processes(run, processes):
    """The signal goes to the whole group, as from a keyboard, while photos are read."""
    photo = np.random.default_rng(0).integers(0, 256, (600, 600, 3), np.uint8)
    for number in range(200):
        write_image(f"photos/{number:03d}.png", photo)
    ColourNet(20, seed=0).save("a.onnx")
    command = f"{COMMON} --taxonomy cihp --flip --processes {processes}".split()
    program = subprocess.Popen(
        [sys.executable, str(ROOT / "tools/parse_clothing.py"), *command],
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{os.environ.get('PYTHONPATH', '')}"},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 120
    while not list(Path().glob("labels/*.png")) and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(program.pid, signal.SIGINT)
    _, err = program.communicate(timeout=60)
    assert program.returncode == 130, err
    assert "the same command goes on" in err and "Traceback" not in err
    left = [path.name for path in Path("labels").rglob("*") if path.is_file()]
    assert 2 <= len(left) < 200
    assert all(name == "parsing.json" or name.endswith(".png") for name in left)
    for path in Path("labels").rglob("*.png"):
        read_label_map(path, void=True)
