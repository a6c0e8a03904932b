import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from dsr_jax.regressor import TORCHVISION_LAYOUT, resnet18, resnet50, to_torch
from dsr_jax.regressor.batch_norm import batch_norm
from dsr_jax.regressor.resnet import BasicBlock, Bottleneck, ResNet
from tests.regressor import names, reference

FLOAT32 = jnp.dtype("float32")


def _randomize_statistics(network):
    """Batch-norm values as a trained network has them, so that none can be left out."""
    random = np.random.default_rng(0)
    for _, module in nnx.iter_modules(network):
        if isinstance(module, nnx.BatchNorm):
            for leaf in ("scale", "var"):
                variable = getattr(module, leaf)
                variable[...] = jnp.asarray(
                    random.uniform(0.5, 1.5, variable.shape), jnp.float32
                )
            for leaf in ("bias", "mean"):
                variable = getattr(module, leaf)
                variable[...] = jnp.asarray(
                    random.normal(0, 0.1, variable.shape), jnp.float32
                )


@pytest.mark.parametrize(
    ("name", "build"), [("resnet18", resnet18), ("resnet50", resnet50)]
)
def test_names_shapes_and_count_are_torchvisions(name, build):
    network = nnx.eval_shape(lambda: build(FLOAT32, nnx.Rngs(0)))
    parameters = jax.tree.leaves(nnx.state(network, nnx.Param))
    assert sum(leaf.size for leaf in parameters) == names.PARAMETER_COUNTS[name]
    assert all(leaf.dtype == jnp.float32 for leaf in parameters)


@pytest.mark.parametrize("block", [BasicBlock, Bottleneck])
def test_features_match_numpy(block):
    network = ResNet(block, (1, 2, 1, 1), FLOAT32, nnx.Rngs(0))
    _randomize_statistics(network)
    network.eval()
    image = np.random.default_rng(1).normal(size=(2, 36, 32, 3))
    features = nnx.jit(lambda net, x: net(x))(network, jnp.asarray(image, jnp.float32))
    weights = {
        name: np.asarray(value, np.float64)
        for name, value in to_torch(network, TORCHVISION_LAYOUT).items()
    }
    expected = reference.resnet(image, weights)
    assert features.shape == (2, network.features)
    # Sums of up to 4608 float32 products in each of about 15 layers.
    np.testing.assert_allclose(features, expected, rtol=0, atol=2e-5 * expected.max())


def test_kernels_start_from_he_normal_over_the_fan_out():
    kernel = resnet18(FLOAT32, nnx.Rngs(0)).layer3[1].conv1.kernel[...]
    # 590 k samples: the deviation of their deviation is a thousandth of it.
    np.testing.assert_allclose(np.std(kernel), np.sqrt(2 / (9 * 256)), rtol=1e-2)


def test_batch_norm_follows_pytorchs_momentum():
    norm = batch_norm(3, FLOAT32, nnx.Rngs(0))
    x = np.random.default_rng(0).normal(2, 3, size=(4, 5, 6, 3))
    result = norm(jnp.asarray(x, jnp.float32))
    mean, variance = x.mean((0, 1, 2)), x.var((0, 1, 2))
    np.testing.assert_allclose(
        result, (x - mean) / np.sqrt(variance + 1e-5), rtol=0, atol=1e-5
    )
    np.testing.assert_allclose(norm.mean[...], 0.1 * mean, rtol=1e-5)
    # The running variance is the unbiased one: 1 in 120 larger.
    unbiased = x.var((0, 1, 2), ddof=1)
    np.testing.assert_allclose(norm.var[...], 0.9 + 0.1 * unbiased, rtol=1e-5)


def test_batch_norm_of_a_sharded_batch_is_global():
    assert len(jax.devices()) == 4
    mesh = Mesh(np.asarray(jax.devices()), ("data",))
    # Every shard has a different mean: local statistics would differ by 10 or more.
    x = np.random.default_rng(0).normal(size=(8, 2, 2, 3))
    x += 10 * np.arange(8)[:, None, None, None]
    x = jnp.asarray(x, jnp.float32)
    sharded = jax.device_put(x, NamedSharding(mesh, PartitionSpec("data")))
    step = nnx.jit(lambda norm, x: norm(x))
    whole, parts = (batch_norm(3, FLOAT32, nnx.Rngs(0)) for _ in range(2))
    np.testing.assert_allclose(step(parts, sharded), step(whole, x), atol=1e-5)
    np.testing.assert_allclose(parts.mean[...], whole.mean[...], rtol=1e-5)
    np.testing.assert_allclose(parts.var[...], whole.var[...], rtol=1e-5)
    # n counts the values of all shards, not of one.
    unbiased = np.asarray(x, np.float64).var((0, 1, 2), ddof=1)
    np.testing.assert_allclose(parts.var[...], 0.9 + 0.1 * unbiased, rtol=1e-5)


def test_one_value_a_channel_keeps_the_variance_finite():
    norm = batch_norm(3, FLOAT32, nnx.Rngs(0))
    norm(jnp.ones((1, 1, 1, 3)))
    np.testing.assert_allclose(norm.var[...], 0.9, rtol=1e-6)


def test_bfloat16_keeps_statistics_and_features_in_float32():
    norm = batch_norm(3, jnp.dtype("bfloat16"), nnx.Rngs(0))
    # A mean that bfloat16 would round by 0.4: it has 8 bits.
    norm.mean[...] = jnp.full(3, 100.4, jnp.float32)
    norm.eval()
    result = norm(jnp.full((1, 1, 1, 3), 101, jnp.bfloat16))
    assert result.dtype == jnp.bfloat16
    np.testing.assert_allclose(np.asarray(result, np.float32), 0.6, rtol=5e-3)
    network = ResNet(BasicBlock, (1, 1, 1, 1), jnp.dtype("bfloat16"), nnx.Rngs(0))
    out = nnx.eval_shape(lambda net, x: net(x), network, jnp.zeros((2, 32, 32, 3)))
    assert out.dtype == jnp.float32
    assert network.layer1[0].conv1.kernel[...].dtype == jnp.float32
