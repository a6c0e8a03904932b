"""The tool that converts checkpoints, from its command line; PyTorch is not needed."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from absl.testing import flagsaver

from dsr_jax.errors import UserError
from dsr_jax.regressor import SPIN_LAYOUT, open_weights, to_torch
from dsr_jax.regressor.torch_file import encode_torch_file
from dsr_jax.training import load_regressor
from dsr_jax.training.command_line import load_config_file, run_script
from dsr_jax.training.loading import regressor_builder, start_from
from dsr_jax.training.settings import RunSettings
from dsr_jax.training.state import state_initializer
from tests.regressor import names

ROOT = Path(__file__).parents[2]
HIDDEN = 16
CONFIG = """
from configs.base import base_config

def get_config():
    config = base_config()
    config.data.image_size = 32
    config.body.name = "free-lite"
    config.semantics.prior = "free-lite"
    return config
"""


def _tensors(shapes):
    random = np.random.default_rng(0)
    return {name: random.random(shape, np.float32) for name, shape in shapes.items()}


@pytest.fixture(scope="module")
def tool(load_script):
    return load_script("tools/convert_checkpoint.py")


@pytest.fixture(scope="module")
def spin():
    return _tensors(names.backbone("resnet18") | names.head(512, HIDDEN))


@pytest.fixture
def home(tmp_path, monkeypatch, spin):
    monkeypatch.chdir(tmp_path)
    counters = {"bn1.num_batches_tracked": np.asarray(7)}
    (tmp_path / "spin.pt").write_bytes(encode_torch_file(spin | counters, "model"))
    backbone = _tensors(names.backbone("resnet18"))
    classifier = {"fc.weight": np.ones((9, 512), np.float32)}
    (tmp_path / "r18.pth").write_bytes(encode_torch_file(backbone | classifier, None))
    (tmp_path / "config.py").write_text(CONFIG)
    return tmp_path


@pytest.fixture
def run(monkeypatch, capsys, tool):
    """Runs the script; gives exit code, output and errors."""

    def call(arguments):
        monkeypatch.setattr("sys.argv", ["convert_checkpoint.py", *arguments.split()])
        with flagsaver.flagsaver(), pytest.raises(SystemExit) as stopped:
            run_script(tool.main)
        captured = capsys.readouterr()
        return stopped.value.code or 0, captured.out, captured.err

    return call


def _assert_same(result, expected):
    assert result.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(result[name], value, err_msg=name)


@pytest.mark.slow
def test_a_run_is_made_of_it_and_gives_it_back(run, home, spin):
    code, output, errors = run("--input spin.pt --output run --config config.py")
    assert code == 0, errors
    assert "resnet18, head of 16; spin names in 'model'" in output
    for row in ("converted", "ignored: counters of batches"):
        assert row in output
    regressor, body, config = load_regressor(home / "run")
    assert body.name == "free-lite" and config.regressor.hidden == HIDDEN
    _assert_same(to_torch(regressor, SPIN_LAYOUT), spin)
    code, _, errors = run("--input run --output back.pt --to torch --layout spin")
    assert code == 0, errors
    back = open_weights(home / "back.pt")
    assert back.place == "model"
    _assert_same(dict(back), spin)
    code, _, errors = run("--input spin.pt --output run --config config.py")
    assert code == 2 and "holds a run already" in errors


def test_weights_alone_go_to_other_names(run, home, spin):
    assert run("--input spin.pt --output a.safetensors")[0] == 0
    assert run("--input a.safetensors --output b.ckpt --to torch --layout dsr")[0] == 0
    written = open_weights(home / "b.ckpt")
    assert written.place == "state_dict" and "model.head.fc1.weight" in written
    bare = {
        name.removeprefix("model.backbone.").removeprefix("model.head."): written[name]
        for name in written
    }
    _assert_same(bare, spin)


def test_a_backbone_alone_stays_one(run, home):
    code, output, _ = run("--input r18.pth --output a.safetensors")
    assert code == 0 and "ignored: ImageNet's classifier" in output
    assert "backbone.conv1.weight" in open_weights(home / "a.safetensors")
    command = "--input a.safetensors --output b.pth --to torch --layout torchvision"
    assert run(command)[0] == 0
    _assert_same(
        dict(open_weights(home / "b.pth")), _tensors(names.backbone("resnet18"))
    )


@pytest.fixture(scope="module")
def fresh():
    """The state of a new run, without a random draw, its network and its settings."""
    config = load_config_file(str(ROOT / "configs" / "quickstart.py"))
    config.regressor.update({"backbone": "resnet18", "hidden": HIDDEN})
    settings = RunSettings.from_config(config)
    network, initialise = state_initializer(
        regressor_builder(settings), optax.identity()
    )
    abstract = jax.eval_shape(initialise, jax.random.key(0))
    state = jax.tree.map(
        lambda leaf: (
            jax.random.key(0)
            if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)
            else jnp.full(leaf.shape, 0.25, leaf.dtype)
        ),
        abstract,
    )
    return state, network, settings.regressor


def _weights(network, state):
    return to_torch(network.for_evaluation(state), SPIN_LAYOUT)


def test_training_starts_from_a_file(home, fresh, spin):
    state, network, settings = fresh
    started = start_from(state, str(home / "spin.pt"), network, settings)
    _assert_same(_weights(network, started), spin)
    # The state itself is as it was, and its form is the old one.
    assert np.all(_weights(network, state)["fc1.weight"] == 0.25)
    assert jax.tree.structure(started) == jax.tree.structure(state)


def test_training_starts_from_a_backbone_with_its_own_head(home, fresh):
    state, network, settings = fresh
    started = start_from(state, str(home / "r18.pth"), network, settings)
    weights = _weights(network, started)
    expected = _tensors(names.backbone("resnet18"))
    _assert_same({name: weights[name] for name in expected}, expected)
    assert np.all(weights["fc1.weight"] == 0.25)
    with pytest.raises(UserError, match=r"nowhere\.pt: no such file or folder"):
        start_from(state, "nowhere.pt", network, settings)


MISTAKES = {
    "--input spin.pt": "--output is missing",
    "--input gone.pt --output a.safetensors": "gone.pt: no such file",
    "--input spin.pt --output run": "needs --config",
    "--input r18.pth --output run --config config.py": "a backbone alone",
    "--input spin.pt --output a.npz": "give a folder or a name that ends in",
    "--input spin.pt --output a.safetensors --layout dsr": "--layout dsr: spin.pt has",
    "--input spin.pt --output a.safetensors --backbone resnet50": "has resnet18",
    "--input spin.pt --output b --to torch --layout dsr": "a name that ends in .pt",
    "--input spin.pt --output b.pt --to torch": "--layout is missing",
    "--input r18.pth --output b.pt --to torch --layout spin": "a backbone alone",
    "--input config.py --output a.safetensors": "config.py: not a checkpoint",
    "--input spin.pt --output no/a.safetensors": "no/a.safetensors: cannot write",
}


@pytest.mark.parametrize("command", MISTAKES)
def test_a_mistake_is_one_line(run, home, command):
    before = sorted(home.rglob("*"))
    code, _, errors = run(command)
    assert code == 2
    (line,) = errors.splitlines()
    assert line.startswith("error: ") and MISTAKES[command] in line
    assert sorted(home.rglob("*")) == before


def test_hrnet_takes_multiples_of_32_only():
    config = load_config_file(str(ROOT / "configs" / "quickstart.py"))
    config.regressor.backbone = "hrnet_w32"
    config.data.image_size = 72
    with pytest.raises(UserError, match="is 72: 'hrnet_w32' takes multiples"):
        RunSettings.from_config(config)
