import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from dsr_jax.regressor import IterativeHead, default_mean_parameters, to_torch
from dsr_jax.regressor.torch_layout import TorchLayout
from tests.regressor import reference

FEATURES, HIDDEN = 20, 32


def _head(iterations=3, dropout=0.5):
    mean = default_mean_parameters()
    return IterativeHead(FEATURES, HIDDEN, iterations, dropout, mean, nnx.Rngs(0))


def _features():
    return np.random.default_rng(0).normal(size=(4, FEATURES))


@pytest.mark.parametrize("iterations", [1, 3])
def test_head_matches_numpy(iterations):
    head = _head(iterations)
    head.eval()
    # Decoders large enough that a later iteration sees what an earlier one changed.
    for decoder in (head.decpose, head.decshape, head.deccam):
        decoder.kernel[...] *= 100
        decoder.bias[...] += 0.5
    weights = {
        name: np.asarray(value, np.float64)
        for name, value in to_torch(head, TorchLayout({"": ""})).items()
    }
    rotation_6d, betas, camera = head(jnp.asarray(_features(), jnp.float32))
    expected = reference.head(_features(), weights, iterations)
    assert rotation_6d.shape == (4, 24, 6)
    results = (rotation_6d.reshape(4, 144), betas, camera)
    for result, value in zip(results, expected, strict=True):
        np.testing.assert_allclose(result, value, rtol=1e-4, atol=1e-4)


def test_without_updates_the_mean_parameters_come_out():
    head = _head(dropout=0.0)
    for decoder in (head.decpose, head.decshape, head.deccam):
        decoder.kernel[...] *= 0
    rotation_6d, betas, camera = head(jnp.asarray(_features(), jnp.float32))
    mean = default_mean_parameters()
    np.testing.assert_array_equal(rotation_6d[2], mean.rotation_6d)
    np.testing.assert_array_equal(betas[2], mean.betas)
    np.testing.assert_array_equal(camera[2], mean.camera)


def test_initial_weights_stay_inside_their_published_bounds():
    head = _head()
    for layer, bound in (
        (head.fc1, 1 / np.sqrt(FEATURES + 157)),
        (head.fc2, 1 / np.sqrt(HIDDEN)),
        (head.decpose, 0.01 * np.sqrt(6 / (HIDDEN + 144))),
    ):
        largest = np.abs(layer.kernel[...]).max()
        assert 0.98 * bound < largest <= bound * (1 + 1e-6)


def test_dropout_acts_in_training_only():
    head = _head()
    features = jnp.asarray(_features(), jnp.float32)
    head.train()
    first, second = head(features)[0], head(features)[0]
    assert np.abs(first - second).max() > 1e-5
    head.eval()
    np.testing.assert_array_equal(head(features)[0], head(features)[0])


def test_mean_parameters_are_saved_but_not_trained():
    head = _head()
    trained = nnx.to_flat_state(nnx.state(head, nnx.Param))
    assert not [path for path, _ in trained if "init_pose" in path]
    everything = nnx.to_flat_state(nnx.state(head))
    assert [path for path, _ in everything if "init_pose" in path]
