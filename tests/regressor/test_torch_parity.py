"""The same weights in PyTorch and here: files, features, bodies, statistics."""

import collections

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax.sharding import Mesh, NamedSharding, PartitionSpec

torch = pytest.importorskip("torch")

from dsr_jax.regressor import (  # noqa: E402
    Regressor,
    RegressorSettings,
    default_mean_parameters,
    fill_from_file,
    from_torch,
    open_weights,
    to_torch,
)
from dsr_jax.regressor.batch_norm import batch_norm  # noqa: E402
from dsr_jax.regressor.hrnet import HRNet  # noqa: E402
from dsr_jax.regressor.safetensors_file import encode_safetensors  # noqa: E402
from dsr_jax.regressor.torch_file import (  # noqa: E402
    encode_torch_file,
    open_torch_file,
)
from dsr_jax.regressor.torch_layout import SPIN_LAYOUT, TorchLayout  # noqa: E402
from dsr_jax.rotations import rotation_6d_to_matrix  # noqa: E402
from tests.regressor import torch_models  # noqa: E402

FLOAT32 = jnp.dtype("float32")
FLAT = TorchLayout({"": ""})
# What the parity of float32 networks has to hold; most are a hundred times nearer.
TOLERANCE = 1e-4


def _difference(result, expected):
    """The largest one, relative to the largest value."""
    expected = np.asarray(expected, np.float64)
    return (
        np.abs(np.asarray(result, np.float64) - expected).max() / np.abs(expected).max()
    )


def _image(count, height, width):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(count, 3, height, width, generator=generator)


def _ours(image):
    return jnp.asarray(image.numpy().transpose(0, 2, 3, 1))


def _zeros(build):
    """A network without a random draw, whose compilation takes longer than the test."""
    network = nnx.eval_shape(build)
    nnx.update(network, jax.tree.map(_nothing, nnx.state(network)))
    return network


def _nothing(leaf):
    if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        return jax.random.key(0)
    return jnp.zeros(leaf.shape, leaf.dtype)


def _state(model):
    return {name: value.detach().numpy() for name, value in model.state_dict().items()}


def _save_spin(path, model):
    """As SPIN's release: flat names, PyTorch's older format, beside other things."""
    flat = collections.OrderedDict(
        (name.removeprefix("backbone.").removeprefix("head."), value)
        for name, value in model.state_dict().items()
    )
    torch.save(
        {"model": flat, "optimizer": {"state": {0: torch.ones(2)}}, "epoch": 3},
        path,
        _use_new_zipfile_serialization=False,
    )


@pytest.fixture(scope="module")
def spin(tmp_path_factory):
    """HMR with a ResNet-50 in PyTorch, and the same here, by way of a file."""
    path = tmp_path_factory.mktemp("spin") / "spin.pt"
    torch.manual_seed(0)
    model = torch_models.randomize(torch_models.HMR(torch_models.resnet50()))
    _save_spin(path, model)
    settings = RegressorSettings(backbone="resnet50", dropout=0.0)
    regressor = _zeros(
        lambda: Regressor(settings, default_mean_parameters(), nnx.Rngs(0))
    )
    report = fill_from_file(regressor, path, settings)
    return model, regressor, report


def test_every_tensor_of_a_spin_file_is_accounted_for(spin):
    model, _, report = spin
    ignored = sum(len(names) for names in report.ignored.values())
    assert len(report.converted) + ignored == len(model.state_dict())
    assert set(report.ignored) == {"counters of batches"} and not report.kept


def test_features_and_body_are_pytorchs(spin):
    model, regressor, _ = spin
    model.eval()
    regressor.eval()
    image = _image(2, 64, 64)
    predict = nnx.jit(lambda net, x: (net.backbone(x), net(x)))
    features, body = predict(regressor, _ours(image))
    with torch.no_grad():
        expected = model(image)
    # Decoded rotations, so that another order of the six numbers would show.
    results = (features, body.pose, body.betas, body.camera)
    for result, value in zip(results, expected, strict=True):
        assert _difference(result, value.numpy()) < TOLERANCE


@pytest.mark.slow
def test_a_training_step_is_pytorchs_statistics_included(spin):
    model, regressor, _ = spin
    model.train()
    regressor.train()
    image = _image(4, 64, 64)
    body = nnx.jit(lambda net, x: net(x))(regressor, _ours(image))
    with torch.no_grad():
        _, *expected = model(image)
    results = (body.pose, body.betas, body.camera)
    for result, value in zip(results, expected, strict=True):
        assert _difference(result, value.numpy()) < TOLERANCE
    ours, theirs = to_torch(regressor, SPIN_LAYOUT), _state(model)
    for name, value in theirs.items():
        if "running" in name:
            result = ours[name.removeprefix("backbone.")]
            assert _difference(result, value) < TOLERANCE, name


@pytest.mark.parametrize("sharded", [False, True])
def test_batch_norm_in_training_is_pytorchs(sharded):
    random = np.random.default_rng(0)
    # Every shard of two has a mean of its own, far from the others'.
    x = random.normal(2, 3, (8, 2, 3, 5)) + 5 * np.arange(8)[:, None, None, None]
    x = x.astype(np.float32)
    theirs = torch.nn.BatchNorm2d(5)
    ours = batch_norm(5, FLOAT32, nnx.Rngs(0))
    placed = jnp.asarray(x)
    if sharded:
        mesh = Mesh(np.asarray(jax.devices()), ("data",))
        placed = jax.device_put(x, NamedSharding(mesh, PartitionSpec("data")))
    step = nnx.jit(lambda norm, x: norm(x))
    for _ in range(3):
        expected = theirs(torch.from_numpy(x.transpose(0, 3, 1, 2))).detach().numpy()
        result = step(ours, placed)
        np.testing.assert_allclose(
            result, expected.transpose(0, 2, 3, 1), rtol=0, atol=1e-5
        )
    np.testing.assert_allclose(ours.mean[...], theirs.running_mean, rtol=1e-5)
    # The biased variance would be off by 1 in 48.
    np.testing.assert_allclose(ours.var[...], theirs.running_var, rtol=1e-5)


def test_six_numbers_are_the_rotation_that_spin_decodes():
    pose = torch.randn(5, 144, generator=torch.Generator().manual_seed(0))
    expected = torch_models.rotations(pose).numpy()
    result = jax.jit(rotation_6d_to_matrix)(jnp.asarray(pose.numpy()).reshape(5, 24, 6))
    np.testing.assert_allclose(result, expected, rtol=0, atol=2e-6)


def _hrnet_pair(width, modules, depth):
    model = torch_models.HRNet(width, modules=modules, depth=depth)
    model = torch_models.randomize(model).eval()
    network = _zeros(lambda: HRNet(width, FLOAT32, nnx.Rngs(0), modules, depth))
    from_torch(network, _state(model), FLAT, "hrnet.pth")
    network.eval()
    return model, network


def test_a_small_hrnet_is_pytorchs():
    model, network = _hrnet_pair(4, (1, 1, 1), 1)
    image = _image(2, 64, 96)
    result = nnx.jit(lambda net, x: net(x))(network, _ours(image))
    with torch.no_grad():
        expected = model(image).numpy()
    assert result.shape == (2, 60)
    assert _difference(result, expected) < TOLERANCE


@pytest.mark.slow
def test_hrnet_w32_is_pytorchs():
    model, network = _hrnet_pair(32, (1, 4, 3), 4)
    image = _image(1, 64, 64)
    # Layer by layer: compiled as a whole it takes minutes on a CPU.
    result = network(_ours(image))
    with torch.no_grad():
        expected = model(image).numpy()
    assert result.shape == (1, 480)
    assert _difference(result, expected) < TOLERANCE


def _zoo():
    base, shared = torch.arange(24.0).reshape(2, 3, 4), torch.randn(10)
    return {
        "plain": base,
        "transposed": base.transpose(0, 2),
        "sliced": base[1:, ::2],
        "half": torch.randn(3).half(),
        "bfloat16": torch.randn(3, 2).bfloat16(),
        "double": torch.randn(2).double(),
        "count": torch.tensor(7),
        "empty": torch.zeros(0, 3),
        "first": shared[:5],
        "second": shared[3:],
        "parameter": torch.nn.Parameter(torch.randn(2)),
        "mask": torch.tensor([True, False]),
    }


@pytest.mark.parametrize("new_format", [True, False])
def test_files_of_torch_are_read_in_both_formats(tmp_path, new_format):
    path, tensors = tmp_path / "zoo.ckpt", _zoo()
    content = {
        "best": torch.tensor(0.5),
        "state_dict": tensors,
        "sparse": torch.eye(3).to_sparse(),
        "epoch": 2,
    }
    torch.save(content, path, _use_new_zipfile_serialization=new_format)
    file = open_torch_file(path)
    assert file.content["epoch"] == 2
    weights = open_weights(path)
    assert weights.place == "state_dict" and weights.others == (
        "best",
        "sparse",
        "epoch",
    )
    assert list(weights) == list(tensors)
    for name, tensor in tensors.items():
        result = weights[name]
        assert result.shape == weights.shapes[name] == tuple(tensor.shape)
        assert str(tensor.dtype) == f"torch.{result.dtype}"
        expected = tensor.detach().float().numpy()
        np.testing.assert_array_equal(result.astype(np.float32), expected)


@pytest.mark.parametrize("mapped", [False, True])
def test_torch_loads_what_is_written_here_with_weights_only(tmp_path, mapped):
    path, model = tmp_path / "out.pt", torch_models.Block(3, 2, 4, 2, (3, 3))
    weights = {
        name: value for name, value in _state(model).items() if value.dtype == "float32"
    }
    path.write_bytes(encode_torch_file(weights, "model"))
    loaded = torch.load(path, weights_only=True, mmap=mapped)["model"]
    other = torch_models.randomize(torch_models.Block(3, 2, 4, 2, (3, 3)))
    # Strict, though the counters of batches are missing.
    other.load_state_dict(loaded)
    for name, value in weights.items():
        np.testing.assert_array_equal(other.state_dict()[name].numpy(), value)


def test_safetensors_are_the_formats_own(tmp_path):
    official = pytest.importorskip("safetensors.torch")
    numpy_form = pytest.importorskip("safetensors.numpy")
    tensors = {
        name: torch.randn(2, 3).to(dtype)
        for name, dtype in (("a", torch.float32), ("b", torch.bfloat16))
    }
    official.save_file(tensors, tmp_path / "in.safetensors", {"format": "pt"})
    read = open_weights(tmp_path / "in.safetensors")
    for name, tensor in tensors.items():
        expected = tensor.float().numpy()
        np.testing.assert_array_equal(read[name].astype(np.float32), expected)
    arrays = {"c": np.arange(6.0).reshape(2, 3), "n": np.asarray(7)}
    written = numpy_form.load(encode_safetensors(arrays, {"who": "me"}))
    for name, array in arrays.items():
        assert written[name].dtype == array.dtype
        np.testing.assert_array_equal(written[name], array)
