"""The export from its command line: a training in, three files out."""

import sys

import jax
import numpy as np
import pytest
from flax import nnx
from ml_collections import ConfigDict

from dsr_jax.body import load_body
from dsr_jax.regressor import Regressor, RegressorSettings, default_mean_parameters

SIZE = 32


@pytest.fixture(scope="module")
def tool(load_script):
    return load_script("tools/export_model.py")


@pytest.fixture
def call(tool, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["export_model.py", *map(str, arguments)])
        code = 0
        try:
            tool.main()
        except SystemExit as ended:
            code = ended.code
        return code, capsys.readouterr()

    return run


def test_a_training_becomes_three_files(tool, call, tmp_path, monkeypatch):
    settings = RegressorSettings(backbone="resnet18", hidden=8)
    regressor = Regressor(settings, default_mean_parameters(), nnx.Rngs(0))
    regressor.eval()
    body, config = load_body("free-lite"), ConfigDict({"data": {"image_size": SIZE}})
    monkeypatch.setattr(tool, "load_regressor", lambda *_: (regressor, body, config))
    code, said = call(
        *("--checkpoint", "run", "--output", "out", "--batch", 1, "--platforms", "cpu")
    )
    assert code == 0, said.err
    names = ["program.stablehlo", "signature.json", "weights.safetensors"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == names
    stored = (tmp_path / "out" / "program.stablehlo").read_bytes()
    program = jax.export.deserialize(bytearray(stored))
    assert program.platforms == ("cpu",)
    assert program.in_avals[-1].shape == (1, SIZE, SIZE, 3)
    assert program.in_avals[-1].dtype == np.uint8
    assert "at most" in said.out


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--checkpoint", "nowhere", "--output", "out"), "nowhere: no such folder"),
        (("--checkpoint", "x", "--output", "o", "--batch", "-1"), "--batch -1: give"),
        (
            ("--checkpoint", "x", "--output", "o", "--platforms", "gpu"),
            "invalid choice",
        ),
        (("--output", "o"), "--checkpoint"),
    ],
)
def test_mistakes_are_one_line_and_write_nothing(call, tmp_path, arguments, complaint):
    code, said = call(*arguments)
    assert code == 2 and complaint in said.err
    assert said.err.count("\n") == 1
    assert not list(tmp_path.iterdir())
