"""train.py from its command line: one line a mistake, and runs that continue."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from absl.testing import flagsaver

from dsr_jax.training.command_line import run_script
from dsr_jax.training.run_folder import open_run_folder

ROOT = Path(__file__).parents[2]
TINY = """
from configs.base import base_config

def get_config():
    config = base_config()
    config.training.steps = 30
    config.training.batch_size = 4
    config.training.log_every = 1
    config.training.checkpoint_every = 5
    config.training.evaluate_every = 15
    config.training.pictures_every = 15
    config.training.pictures = 2
    config.data.image_size = 32
    config.data.pool = 16
    config.data.workers = 1
    config.synthetic.supersampling = 1
    config.body.name = "free-lite"
    config.semantics.prior = "free-lite"
    config.regressor.backbone = "resnet18"
    config.regressor.hidden = 32
    config.objective.dsr_start_step = 10
    config.evaluation.people = 8
    config.evaluation.batch_size = 8
    return config
"""


@pytest.fixture(scope="module")
def train(load_script):
    return load_script("train.py")


@pytest.fixture
def mistake(monkeypatch, capsys, train, tmp_path):
    """Runs the script; gives its one line, without "error: "."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.py").write_text(TINY)

    def call(*arguments):
        monkeypatch.setattr("sys.argv", ["train.py", *arguments])
        with flagsaver.flagsaver(), pytest.raises(SystemExit) as stopped:
            run_script(train.main)
        assert stopped.value.code == 2
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == 1 and lines[0].startswith("error: "), lines
        return lines[0].removeprefix("error: ")

    return call


BROKEN_FILES = {
    "empty.py": ("", "get_config"),
    "syntax.py": ("def get_config(:", "SyntaxError"),
    "fails.py": ("def get_config(): return 1 / 0", "division by zero"),
    "number.py": ("def get_config(): return 3", "returns a int"),
    "config.txt": ("", "not a Python file"),
}


@pytest.mark.parametrize("name", BROKEN_FILES)
def test_a_config_file_that_cannot_be_loaded(mistake, tmp_path, name):
    text, message = BROKEN_FILES[name]
    (tmp_path / name).write_text(text)
    line = mistake("--config", name, "--workdir", "run")
    assert line.startswith(f"--config {name}: ") and message in line
    assert not (tmp_path / "run").exists()


COMMANDS = {
    "--workdir run": "--config is missing",
    "--config tiny.py": "--workdir is missing",
    "--config nowhere.py --workdir run": "--config nowhere.py: no such file",
    "--config tiny.py --wrokdir run": "Unknown command line flag 'wrokdir'",
    "--config tiny.py --workdir run more": "'more' is not a flag",
    "--config tiny.py --workdir": "Missing value for flag --workdir",
    "--config=tiny.py --workdir=run --config.optimizer.learning_rat=1": (
        "config key 'optimizer.learning_rat' is unknown: did you mean 'learning_rate'?"
    ),
    "--config=tiny.py --workdir=run --config.optimiser.b1=1": (
        "config key 'optimiser' is unknown: did you mean 'optimizer'?"
    ),
    "--config=tiny.py --workdir=run --config.training.steps.more=1": (
        "config key 'training.steps.more' is unknown"
    ),
    "--config=tiny.py --workdir=run --config.training.steps=many": "'many'",
    "--config=tiny.py --workdir=run --config.training.steps=0": (
        "config section 'training': steps is 0: give at least 1"
    ),
    "--config=tiny.py --workdir=run --config.training.batch_size=6": (
        "'training.batch_size' is 6, which does not split over 4 devices"
    ),
    "--config=tiny.py --workdir=run --config.body.name=nobody.npz": "nobody.npz",
    "--config=tiny.py --workdir=run --config.body.mean_parameters=no.npz": "no.npz",
    "--config=tiny.py --workdir=run --config.semantics.prior=no.npz": "no.npz",
    "--config=tiny.py --workdir=run --config.labels.broken=skpi": (
        "config section 'labels': broken 'skpi' is unknown: did you mean 'skip'?"
    ),
    "--config=tiny.py --workdir=run --config.cleaning.others=box": (
        "config section 'cleaning': others 'box'"
    ),
    "--config=tiny.py --workdir=run --config.data.source=folder": (
        "config section 'data': datasets is empty"
    ),
    "--config=tiny.py --workdir=run --config.evaluation.datasets=(('a','b','c'),)": (
        "write (name, npz file, images, protocol)"
    ),
    "--config=tiny.py --workdir=run --config.evaluation.dataset=mine": (
        "data set 'mine' is not in the config key 'evaluation.datasets'"
    ),
    "--config=tiny.py --workdir=tiny.py": "--workdir tiny.py: cannot be made",
}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_mistake_is_one_line(mistake, tmp_path, command):
    assert COMMANDS[command] in mistake(*command.split())
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("del config.optimizer.b1", "config section 'optimizer' lacks the key 'b1'"),
        ("del config.optimizer", "config lacks the section 'optimizer'"),
        ("config.optimizer.b3 = 1.0", "config key 'optimizer.b3' is unknown: choose"),
        ("config.optimizers = {}", "section 'optimizers' is unknown: did you mean"),
        ("config.synthetic.image_size = 9", "'synthetic.image_size' is set by 'data."),
        ("config.regressor.backbone = 'resnet19'", "did you mean 'resnet18'?"),
    ],
)
def test_a_config_with_other_keys(mistake, tmp_path, change, message):
    text = TINY.replace("    return config", f"    {change}\n    return config")
    (tmp_path / "changed.py").write_text(text)
    assert message in mistake("--config", "changed.py", "--workdir", "run")


def test_the_paths_of_the_published_recipes_are_asked_for(mistake):
    line = mistake("--config", f"{ROOT}/configs/dsr.py", "--workdir", "run")
    assert "SMPL_NEUTRAL.pkl" in line


def test_a_run_is_not_continued_with_another_config(mistake, train, tmp_path):
    from dsr_jax.training.command_line import load_config_file

    folder = open_run_folder("run", load_config_file("tiny.py"))
    (folder / "checkpoints" / "5").mkdir()
    arguments = "--config=tiny.py --workdir=run --config.optimizer.b1=0.5"
    line = mistake(*arguments.split())
    assert "config key 'optimizer.b1' is 0.9 in the run" in line and "0.5 now" in line


def test_help_is_a_success(monkeypatch, train):
    monkeypatch.setattr("sys.argv", ["train.py", "--help"])
    with pytest.raises(SystemExit) as stopped:
        run_script(train.main)
    assert stopped.value.code == 0


####################################################################################


def start(folder, *overrides):
    """train.py in a process of its own, compiled programs kept between the calls."""
    environment = os.environ | {
        "JAX_COMPILATION_CACHE_DIR": str(folder.parent / "compiled"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "XLA_FLAGS": "",
    }
    command = [sys.executable, "train.py", "--config", str(folder.parent / "tiny.py")]
    return subprocess.Popen(
        [*command, "--workdir", str(folder), *overrides],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process):
    output, errors = process.communicate(timeout=900)
    return process.returncode, output, errors


def records_of(folder):
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def send_after(process, folder, step, number):
    """Sends the signal once metrics.jsonl has the step."""
    file = folder / "metrics.jsonl"
    while process.poll() is None:
        if file.exists() and any(
            json.loads(line)["step"] >= step for line in file.read_text().splitlines()
        ):
            process.send_signal(number)
            return
        time.sleep(0.02)


@pytest.mark.slow
def test_interrupted_runs_end_where_an_undisturbed_one_does(tmp_path):
    (tmp_path / "tiny.py").write_text(TINY)
    whole = tmp_path / "whole"
    code, output, errors = finish(start(whole))
    assert code == 0, errors
    for word in ("PA-MPJPE", "mean body", "loss term", "dsr_c"):
        assert word in output
    assert len(list((whole / "pictures").glob("*.png"))) == 2
    assert list(whole.glob("events*"))
    assert json.loads((whole / "evaluation_synthetic.json").read_text())

    broken = tmp_path / "broken"
    process = start(broken)
    send_after(process, broken, 7, signal.SIGINT)
    code, _, errors = finish(process)
    assert code == 130
    last = errors.splitlines()[-1]
    assert last.startswith("interrupted (SIGINT): run the same command again")
    process = start(broken)
    send_after(process, broken, 17, signal.SIGKILL)
    assert finish(process)[0] == -signal.SIGKILL
    code, _, errors = finish(start(broken))
    assert code == 0, errors

    expected, got = records_of(whole), records_of(broken)
    assert [r["step"] for r in got] == [r["step"] for r in expected] == [*range(1, 31)]
    for first, second in zip(expected, got, strict=True):
        assert second["loss"] == pytest.approx(first["loss"], rel=1e-3)

    # The same command once more has nothing to train; more steps are trained.
    code, _, errors = finish(start(broken, "--config.training.steps=32"))
    assert code == 0, errors
    assert records_of(broken)[-1]["step"] == 32
