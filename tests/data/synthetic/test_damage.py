"""Motion blur, few pixels and JPEG, each against something that shares no code."""

import dataclasses

import cv2
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dsr_jax.data.synthetic import SyntheticSettings
from dsr_jax.data.synthetic.damage import coarsen, damage, jpeg, motion_blur


@pytest.fixture(scope="module")
def photograph():
    """(3, 44, 52) values in [0, 255]: smooth shapes, an edge and grain."""
    y, x = np.mgrid[:44, :52] / 50
    planes = [np.sin(7 * x + 3 * y), np.cos(5 * x * y + 1), np.sin(9 * y) * (x > 0.5)]
    grain = np.random.default_rng(0).normal(0, 0.08, (3, 44, 52))
    return np.clip(np.stack(planes) * 90 + 128 + 60 * grain, 0, 255).round()


@pytest.mark.parametrize("quality", [15, 60, 95])
def test_jpeg_is_what_a_jpeg_file_holds(photograph, quality):
    """Against OpenCV's encoder and decoder, which smooths enlarged chroma."""
    pixels = np.moveaxis(photograph, 0, -1)[..., ::-1].astype(np.uint8)
    flags = [cv2.IMWRITE_JPEG_QUALITY, quality]
    _, data = cv2.imencode(".jpg", pixels, flags)
    file = np.moveaxis(cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1], -1, 0)
    got = jpeg(jnp.asarray(photograph, jnp.float32), jnp.asarray(float(quality)))
    lost = np.abs(file - photograph).mean()
    # In grey levels, because only chroma is enlarged otherwise; clipping leaks some.
    grey = np.array([0.299, 0.587, 0.114])[:, None, None]
    difference = ((np.asarray(got) - file) * grey).sum(0)
    assert np.abs(difference).mean() < 1.0
    assert np.abs(np.asarray(got) - photograph).mean() == pytest.approx(lost, rel=0.25)


def test_motion_blur_of_a_dot_is_a_line(photograph):
    dot = jnp.zeros((3, 21, 21)).at[:, 10, 10].set(9.0)
    line = np.asarray(motion_blur(dot, jnp.array([0.0, 8.0]), 4))
    np.testing.assert_allclose(line[0, 10, 6:15], 1)
    assert line.sum() == pytest.approx(27)
    slanted = np.argwhere(np.asarray(motion_blur(dot, jnp.array([8.0, 8.0]), 4))[0])
    np.testing.assert_array_equal(slanted, np.arange(6, 15)[:, None] * [1, 1])
    picture = jnp.asarray(photograph, jnp.float32)
    still = motion_blur(picture, jnp.zeros(2), 3)
    np.testing.assert_allclose(still, picture, rtol=1e-6)
    flat = jnp.full((3, 9, 9), 50.0)
    np.testing.assert_allclose(motion_blur(flat, jnp.array([5.0, -6.0]), 3), flat)


def test_coarse_pictures_hold_the_means_of_cells(photograph):
    picture = jnp.asarray(photograph, jnp.float32)
    unchanged = coarsen(picture, jnp.asarray(1.0))
    np.testing.assert_allclose(unchanged, picture, atol=1e-3)
    got = np.asarray(coarsen(picture, jnp.asarray(4.0)))
    small = photograph.reshape(3, 11, 4, 13, 4).mean((2, 4))
    small = np.moveaxis(small, 0, -1)
    large = cv2.resize(small, (52, 44), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_allclose(np.moveaxis(got, 0, -1), large, atol=1e-3)


def test_damage_happens_as_often_as_asked(photograph):
    image = jnp.asarray(np.moveaxis(photograph, 0, -1), jnp.uint8)
    images = jnp.tile(image[None], (60, 1, 1, 1))
    run = jax.jit(damage, static_argnums=2)
    settings = SyntheticSettings(
        motion_blur_probability=0.3,
        low_resolution_probability=0.2,
        jpeg_probability=0.4,
    )
    got = np.asarray(run(jax.random.key(0), images, settings))
    changed = (got != np.asarray(images)).any((1, 2, 3))
    # 1 − 0.7 · 0.8 · 0.6 = 0.66, within three standard errors.
    assert changed.mean() == pytest.approx(0.66, abs=0.19)
    np.testing.assert_array_equal(got, run(jax.random.key(0), images, settings))
    # Short motions round to the same few lines.
    assert len({one.tobytes() for one in got[changed]}) > 0.9 * changed.sum()


@pytest.mark.parametrize(
    "changes",
    [
        {"jpeg_quality": (0.0, 50.0)},
        {"jpeg_quality": (50.0, 101.0)},
        {"low_resolution": (0.5, 2.0)},
        {"motion_blur": (-0.1, 0.1)},
    ],
)
def test_impossible_damage_is_refused(changes):
    with pytest.raises(ValueError, match=next(iter(changes))):
        dataclasses.replace(SyntheticSettings(), **changes)
