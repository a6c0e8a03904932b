import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from dsr_jax.regressor import (
    Regressor,
    RegressorSettings,
    default_mean_parameters,
    normalize_image,
)
from dsr_jax.rotations import rotation_6d_to_matrix

SMALL = RegressorSettings(backbone="resnet18", hidden=16)
predict = nnx.jit(lambda model, image: model(image))


@pytest.fixture(scope="module")
def model():
    return Regressor(SMALL, default_mean_parameters(), nnx.Rngs(0))


@pytest.fixture(scope="module")
def image():
    pixels = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), np.uint8)
    return normalize_image(jnp.asarray(pixels))


def test_normalization_is_imagenets():
    pixels = np.random.default_rng(0).integers(0, 256, (2, 3, 5, 3), np.uint8)
    expected = (pixels / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    result = normalize_image(jnp.asarray(pixels))
    assert result.dtype == jnp.float32
    np.testing.assert_allclose(result, expected, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(normalize_image(jnp.asarray(pixels[0])), result[0])


def test_evaluation_is_deterministic_and_per_example(model, image):
    model.eval()
    first, second = predict(model, image), predict(model, image)
    jax.tree.map(np.testing.assert_array_equal, first, second)
    assert first.pose.shape == (2, 24, 3, 3)
    assert first.betas.shape == (2, 10)
    assert first.camera.shape == (2, 3)
    expected = rotation_6d_to_matrix(first.rotation_6d)
    np.testing.assert_allclose(first.pose, expected, rtol=0, atol=1e-6)
    other = predict(model, image.at[1].set(0))
    np.testing.assert_array_equal(first.camera[0], other.camera[0])
    assert np.abs(first.camera[1] - other.camera[1]).max() > 0


def test_training_mode_updates_statistics_and_drops_units(model, image):
    model = nnx.clone(model)
    model.train()
    before = np.asarray(model.backbone.layer4[1].bn2.mean[...])
    first = predict(model, image)
    after = np.asarray(model.backbone.layer4[1].bn2.mean[...])
    assert np.abs(after - before).max() > 0
    # Batch statistics are the same in both passes: only dropout differs.
    assert np.abs(first.rotation_6d - predict(model, image).rotation_6d).max() > 0


def test_any_image_size_is_accepted(model):
    shapes = nnx.eval_shape(lambda m, x: m(x), model, jnp.zeros((1, 40, 56, 3)))
    assert shapes.pose.shape == (1, 24, 3, 3)


def test_bfloat16_backbone_gives_the_float32_body(model, image):
    settings = dataclasses.replace(SMALL, compute_dtype="bfloat16")
    half = nnx.eval_shape(
        lambda: Regressor(settings, default_mean_parameters(), nnx.Rngs(0))
    )
    nnx.update(half, nnx.state(model))
    model.eval()
    half.eval()
    result, expected = predict(half, image), predict(model, image)
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(result))
    difference = np.abs(result.rotation_6d - expected.rotation_6d).max()
    # 8 bits in each of 18 layers; the update itself is of order 0.01 to 0.1.
    assert 0 < difference < 5e-3


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("backbone", "resnet5", "did you mean 'resnet50'"),
        ("compute_dtype", "float16", "did you mean 'bfloat16'"),
        ("iterations", 0, "iterations = 0"),
        ("hidden", -1, "hidden = -1"),
        ("dropout", 1.0, "dropout = 1.0"),
    ],
)
def test_settings_refuse_what_cannot_run(field, value, message):
    with pytest.raises(ValueError, match=message):
        RegressorSettings(**{field: value})
