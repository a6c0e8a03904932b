"""A crop and its full image agree on where every point lands."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dsr_jax.camera import (
    FOCAL_LENGTH,
    Crop,
    centred_intrinsics,
    crop_camera_to_full,
    crop_ndc_to_image_ndc,
    crop_ndc_to_pixels,
    ndc_to_pixels,
    perspective_to_pixels,
    pixels_to_crop_ndc,
    project_weak_to_ndc,
)

IMAGE_SIZE = (420, 640)


def _scene(batch=(3,)):
    generator = np.random.default_rng(0)
    points = jnp.asarray(generator.normal(size=(*batch, 6, 3)) * 0.4)
    camera = generator.uniform([0.5, -0.3, -0.3], [1.2, 0.3, 0.3], (*batch, 3))
    centre = generator.uniform([50, 50], [600, 400], (*batch, 2))
    size = generator.uniform(80, 500, batch)
    return points, jnp.asarray(camera), Crop(jnp.asarray(centre), jnp.asarray(size))


@functools.partial(jax.jit, static_argnums=3)
def _full_pixels(points, camera, crop, focal):
    translation = crop_camera_to_full(camera, crop, IMAGE_SIZE, focal)
    intrinsics = centred_intrinsics(focal, IMAGE_SIZE)
    return perspective_to_pixels(points + translation[..., None, :], intrinsics)


@jax.jit
def _crop_pixels(points, camera, crop):
    return crop_ndc_to_pixels(project_weak_to_ndc(points, camera)[..., :2], crop)


@pytest.mark.parametrize("batch", [(), (3,), (2, 2)])
def test_crop_ndc_against_numpy_and_back(float64, batch):
    _, _, crop = _scene(batch)
    ndc = np.random.default_rng(1).uniform(-1.5, 1.5, (*batch, 4, 2))
    pixels = crop_ndc_to_pixels(jnp.asarray(ndc), crop)
    half = np.asarray(crop.size_px)[..., None, None] / 2
    expected = np.asarray(crop.center_px)[..., None, :] + half * ndc * [1, -1]
    np.testing.assert_allclose(pixels, expected, rtol=1e-13)
    np.testing.assert_allclose(pixels_to_crop_ndc(pixels, crop), ndc, atol=1e-12)


def test_a_crop_of_the_whole_square_image_is_that_image(float64):
    crop = Crop(jnp.array([31.5, 31.5]), jnp.array(64.0))
    ndc = jnp.asarray(np.random.default_rng(2).uniform(-1, 1, (5, 2)))
    np.testing.assert_allclose(
        crop_ndc_to_pixels(ndc, crop), ndc_to_pixels(ndc, (64, 64)), atol=1e-12
    )


def test_moving_projected_points_to_the_image_keeps_pixels_and_depth(float64):
    points, camera, crop = _scene()
    projected = project_weak_to_ndc(points, camera)
    moved = crop_ndc_to_image_ndc(projected, crop, IMAGE_SIZE)
    np.testing.assert_allclose(
        ndc_to_pixels(moved[..., :2], IMAGE_SIZE),
        _crop_pixels(points, camera, crop),
        atol=1e-10,
    )
    np.testing.assert_array_equal(moved[..., 2], projected[..., 2])


@pytest.mark.parametrize("focal", [600.0, 5000.0, 20000.0])
def test_points_at_the_depth_of_the_origin_keep_their_pixel(float64, focal):
    points, camera, crop = _scene()
    flat = points * jnp.array([1.0, 1.0, 0.0])[None, None]
    np.testing.assert_allclose(
        _full_pixels(flat, camera, crop, focal),
        _crop_pixels(flat, camera, crop),
        atol=1e-8,
    )


def test_other_depths_move_by_their_share_of_the_distance_to_the_centre(float64):
    points, camera, crop = _scene(())
    focal = float(FOCAL_LENGTH * crop.size_px / 224)
    difference = _full_pixels(points, camera, crop, focal) - _crop_pixels(
        points, camera, crop
    )
    depth = crop_camera_to_full(camera, crop, IMAGE_SIZE, focal)[2]
    offset = np.asarray(crop.center_px) - (np.array(IMAGE_SIZE[::-1]) - 1) / 2
    share = np.asarray(points[:, 2:]) / np.asarray(depth + points[:, 2:])
    np.testing.assert_allclose(difference, -share * offset, atol=1e-8)


def test_a_camera_of_scale_zero_stays_finite():
    crop = Crop(jnp.array([10.0, 20.0]), jnp.array(50.0))
    translation = crop_camera_to_full(jnp.zeros(3), crop, IMAGE_SIZE, 5000.0)
    assert bool(jnp.all(jnp.isfinite(translation)))
