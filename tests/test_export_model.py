"""An exported regressor gives the network's results, wherever and however it is run."""

import json
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from safetensors.numpy import load_file

from dsr_jax.body import BodyParams, load_body, pose_body
from dsr_jax.data import write_image
from dsr_jax.errors import UserError
from dsr_jax.export import export_regressor, largest_difference, write_exported
from dsr_jax.pipeline import predict
from dsr_jax.regressor import Regressor, RegressorSettings, default_mean_parameters

ROOT = Path(__file__).parents[1]
SIZE = 64


@pytest.fixture(scope="module")
def network():
    """A regressor whose batch norm and last layers are not those of the start."""
    settings = RegressorSettings(backbone="resnet18", hidden=32)
    regressor = Regressor(settings, default_mean_parameters(), nnx.Rngs(0))
    random = np.random.default_rng(1)
    for _, variable in nnx.to_flat_state(nnx.state(regressor, nnx.BatchStat)):
        noise = random.uniform(0.5, 1.5, variable.shape)
        variable[...] = jnp.asarray(noise, jnp.float32)
    regressor.eval()
    return regressor, load_body("free-lite")


@pytest.fixture(scope="module")
def model(network):
    return export_regressor(*network, SIZE)


def photos(count):
    random = np.random.default_rng(count)
    return random.integers(0, 256, (count, SIZE, SIZE, 3)).astype(np.uint8)


@pytest.mark.parametrize("count", [1, 3])
def test_any_number_of_images_gives_the_networks_results(network, model, count):
    regressor, body = network
    assert model.program.platforms == ("cpu", "cuda", "tpu")
    results = model.program.call(model.weights, photos(count))
    prediction = jax.jit(lambda x: predict(regressor, x))(jnp.asarray(photos(count)))
    mesh = pose_body(body, BodyParams(prediction.pose, prediction.betas))
    expected = {
        **{name: getattr(prediction, name) for name in ("pose", "betas", "camera")},
        **{"vertices": mesh.vertices, "joints": mesh.joints},
    }
    assert results.keys() == expected.keys() == model.signature["results"].keys()
    for name, value in expected.items():
        # Two programs may add in another order: float32 of numbers of order 1.
        np.testing.assert_allclose(results[name], value, atol=2e-5, err_msg=name)


def test_other_weights_need_no_other_program(network, model):
    body = network[1]
    settings = RegressorSettings(backbone="resnet18", hidden=32)
    other = Regressor(settings, default_mean_parameters(), nnx.Rngs(7))
    other.eval()
    weights = export_regressor(other, body, SIZE).weights
    results = model.program.call(weights, photos(2))
    expected = jax.jit(lambda x: predict(other, x))(jnp.asarray(photos(2)))
    np.testing.assert_allclose(results["pose"], expected.pose, atol=2e-5)


def test_a_difference_is_seen(network, model):
    regressor, body = network
    assert max(largest_difference(model, regressor, body, photos(2)).values()) < 2e-5
    settings = RegressorSettings(backbone="resnet18", hidden=32)
    other = Regressor(settings, default_mean_parameters(), nnx.Rngs(7))
    other.eval()
    assert largest_difference(model, other, body, photos(2))["vertices"] > 1e-3


def test_the_loader_needs_neither_flax_nor_this_package(model, tmp_path):
    folder = tmp_path / "exported"
    folder.mkdir()
    write_exported(folder, model)
    write_image(tmp_path / "photo.png", photos(1)[0])
    code = (
        "import runpy, sys;"
        "sys.modules['dsr_jax'] = sys.modules['flax'] = None;"
        f"runpy.run_path({str(ROOT / 'examples' / 'run_exported.py')!r}, "
        "run_name='__main__')"
    )
    arguments = [
        *("--model", folder, "--image", tmp_path / "photo.png"),
        *("--output", tmp_path / "person"),
    ]
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    with np.load(tmp_path / "person.npz") as person:
        results = model.program.call(model.weights, photos(1))
        for name, value in results.items():
            np.testing.assert_allclose(person[name], value[0], atol=2e-5)
        lines = (tmp_path / "person.obj").read_text().splitlines()
        assert len(lines) == len(person["vertices"]) + len(person["faces"])
    signature = json.loads((folder / "signature.json").read_text())
    stored = load_file(folder / "weights.safetensors")
    assert signature["image"]["shape"] == ["b", SIZE, SIZE, 3]
    assert stored.keys() == model.weights.keys()
    for name, value in stored.items():
        np.testing.assert_array_equal(value, model.weights[name])


def test_what_cannot_be_exported_is_said(network, model, tmp_path):
    with pytest.raises(ValueError, match="platforms"):
        export_regressor(*network, SIZE, platforms=("cpu", "abacus"))
    with pytest.raises(ValueError, match="batch is 0"):
        export_regressor(*network, SIZE, batch=0)
    with pytest.raises(UserError, match="nowhere: no such folder"):
        write_exported(tmp_path / "nowhere", model)
