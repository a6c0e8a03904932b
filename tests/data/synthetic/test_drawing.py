"""Random draws, settings, backgrounds, and from samples to pixels."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dsr_jax.data.synthetic import SyntheticSettings
from dsr_jax.data.synthetic.backgrounds import draw_scene, sample_scene
from dsr_jax.data.synthetic.lighting import Light, shade
from dsr_jax.data.synthetic.occluders import Occluder, covered
from dsr_jax.data.synthetic.photograph import (
    Exposure,
    average,
    expose,
    majority,
)
from dsr_jax.data.synthetic.sampling import Draws
from dsr_jax.data.synthetic.surface import Points


def test_draws_follow_their_distributions():
    draws = Draws(jax.random.key(0), 30_000)
    uniform = np.asarray(draws.uniform((2.0, 5.0), 10_000))
    normal = np.asarray(draws.normal(10_000))
    assert uniform.min() >= 2 and uniform.max() <= 5
    # Four standard errors of 10 000 draws.
    assert uniform.mean() == pytest.approx(3.5, abs=0.035)
    assert normal.mean() == pytest.approx(0, abs=0.04)
    assert normal.std() == pytest.approx(1, abs=0.03)
    counts = np.bincount(np.asarray(draws.integer(4, 8000)), minlength=4)
    assert len(counts) == 4 and np.abs(counts / 8000 - 0.25).max() < 0.02
    with pytest.raises(ValueError, match="30001"):
        draws.unit(2001)


def test_choices_follow_their_weights():
    weights, names = (("b", 3.0), ("d", 1.0)), ("a", "b", "c", "d")

    def choose(key):
        return Draws(key, 1).choice(weights, names)

    drawn = jax.vmap(choose)(jax.random.split(jax.random.key(1), 4000))
    share = np.bincount(np.asarray(drawn), minlength=4) / 4000
    np.testing.assert_allclose(share, [0, 0.75, 0, 0.25], atol=0.03)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image_size": 8}, "image_size"),
        ({"supersampling": 0}, "supersampling"),
        ({"hat_probability": 1.5}, "hat_probability"),
        ({"scale_range": (1.2, 0.8)}, "scale_range"),
        ({"noise": (0.1, -0.2)}, "noise"),
        ({"activities": (("wlaking", 1.0),)}, "did you mean 'walking'"),
        ({"uppers": (("t-shirt", 0.0),)}, "uppers"),
        ({"hair": (("long", -1.0),)}, "hair"),
        ({"shape_limit": -1.0}, "shape_limit"),
    ],
)
def test_settings_refuse_what_cannot_be_drawn(changes, message):
    with pytest.raises(ValueError, match=message):
        SyntheticSettings(**changes)


def test_settings_are_static_arguments():
    assert hash(SyntheticSettings()) == hash(SyntheticSettings())
    assert SyntheticSettings() != SyntheticSettings(image_size=64)


def test_a_background_is_a_part_of_a_given_image():
    """Coordinates are written into the image, so that the part tells where it is."""
    row, column = np.meshgrid(np.arange(60), np.arange(90), indexing="ij")
    image = np.stack([row, column, np.full_like(row, 7)], -1).astype(np.uint8)
    settings = SyntheticSettings(image_background_probability=1.0)
    scene = jax.jit(lambda key: sample_scene(Draws(key, 600), settings))(
        jax.random.key(3)
    )
    draw = jax.jit(lambda scene: draw_scene(scene, 32, jnp.asarray(image[None])))
    part = 255 * np.asarray(draw(scene))
    rows, columns, rest = np.round(part).astype(int)
    assert (rest == 7).all()
    assert (np.ptp(rows, axis=1) == 0).all() and (np.ptp(columns, axis=0) == 0).all()
    assert (np.diff(rows[:, 0]) >= 0).all() and 28 <= np.ptp(rows) <= 60
    steps = np.diff(columns[0])
    assert (steps >= 0).all() or (steps <= 0).all()
    never = dataclasses.replace(scene, uses_image=jnp.zeros(()))
    assert np.asarray(draw(never)).std() > 0.02


def test_average_and_majority_agree_with_numpy():
    generator = np.random.default_rng(0)
    samples = generator.normal(size=(12, 12))
    blocks = samples.reshape(4, 3, 4, 3).swapaxes(1, 2).reshape(4, 4, 9)
    np.testing.assert_allclose(
        average(jnp.asarray(samples, jnp.float32), 3), blocks.mean(-1), atol=1e-6
    )
    labels = generator.integers(0, 4, (10, 10))
    votes = labels.reshape(5, 2, 5, 2).swapaxes(1, 2).reshape(5, 5, 4)
    got = np.asarray(majority(jnp.asarray(labels), 2))
    for block, winner in zip(votes.reshape(-1, 4), got.reshape(-1), strict=True):
        counts = np.bincount(block, minlength=4)
        assert counts[winner] == counts.max()


def test_exposure_by_hand():
    """Brightness and contrast first, then the blur, then eight bits."""
    image = jnp.zeros((3, 5, 5)).at[:, 2, 2].set(1.0)
    exposure = Exposure(
        brightness=jnp.asarray(1.0),
        contrast=jnp.asarray(0.5),
        blur=jnp.asarray(1.0),
        noise=jnp.asarray(0.0),
        key=jax.random.key(0),
    )
    got = np.asarray(expose(image, exposure)).astype(int)
    assert got.shape == (5, 5, 3)
    # 0.25 + 0.5 · weight, where the weights are 1/4, 1/2, 1/4 along each axis.
    assert got[2, 2, 0] == round(255 * (0.25 + 0.5 / 4))
    assert got[2, 3, 1] == round(255 * (0.25 + 0.5 / 8))
    assert got[3, 3, 2] == round(255 * (0.25 + 0.5 / 16))
    assert got[0, 0, 0] == round(255 * 0.25)


def test_occluders_cover_ellipses_rectangles_and_nothing():
    x, y = jnp.array([0.0, 0.35, 0.45]), jnp.array([0.0, 0.18, 0.0])
    occluder = Occluder(
        centre=jnp.zeros(2),
        half=jnp.array([0.4, 0.2]),
        is_round=jnp.asarray(0.0),
        colour=jnp.zeros(3),
        stripe=jnp.zeros(3),
    )
    assert covered(occluder, x, y).tolist() == [True, True, False]
    round_one = dataclasses.replace(occluder, is_round=jnp.asarray(1.0))
    assert covered(round_one, x, y).tolist() == [True, False, False]
    none = dataclasses.replace(occluder, half=jnp.zeros(2))
    assert not covered(none, x, y).any()


def test_light_is_lamberts_and_the_inside_of_cloth_is_dark():
    light = Light(
        towards=jnp.array([0.0, 0.0, -1.0]),
        ambient=jnp.asarray(0.4),
        tint=jnp.ones(3),
    )
    nz = jnp.array([[-2.0, -1.0, 1.0]])
    ny = jnp.array([[0.0, -1.0, 0.0]])
    zero = jnp.zeros((1, 3))
    points = Points(zero, zero, zero, zero, zero)
    skin = jnp.zeros((1, 3), jnp.int32)
    hangs = jnp.array([[False, False, True]])
    lit = shade((zero, ny, nz), points, skin, hangs, light, jnp.zeros(4))
    facing, slanted, inside = np.asarray(lit)[0]
    assert facing == pytest.approx(0.4 + 0.72)
    cosine = np.sqrt(0.5)
    assert slanted == pytest.approx(0.4 * (1 + 0.22 * cosine) + 0.72 * cosine, abs=1e-5)
    assert inside == pytest.approx(0.55 * 1.12, abs=1e-5)
