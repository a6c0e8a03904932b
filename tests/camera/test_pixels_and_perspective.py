"""NDC, pixels and the pinhole camera of a full image."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dsr_jax.camera import (
    centred_intrinsics,
    ndc_to_pixels,
    perspective_to_ndc,
    perspective_to_pixels,
    pixels_to_ndc,
)

SIZES = [(224, 224), (48, 64), (64, 48), (33, 50)]


@pytest.mark.parametrize("image_size", SIZES)
def test_pixel_centres_are_those_of_the_rasterizer(float64, image_size):
    height, width = image_size
    shorter = min(image_size)
    rows, columns = np.mgrid[:height, :width].astype(np.float64)
    expected = np.stack(
        [(2 * columns + 1 - width) / shorter, (height - 1 - 2 * rows) / shorter], -1
    )
    pixels = np.stack([columns, rows], -1)
    ndc = pixels_to_ndc(jnp.asarray(pixels), image_size)
    np.testing.assert_allclose(ndc, expected, rtol=0, atol=1e-14)
    np.testing.assert_allclose(ndc_to_pixels(ndc, image_size), pixels, atol=1e-12)


@pytest.mark.parametrize("image_size", SIZES)
def test_the_shorter_side_spans_minus_one_to_one(image_size):
    height, width = image_size
    corners = jnp.array([[-0.5, -0.5], [width - 0.5, height - 0.5]])
    top_left, bottom_right = np.asarray(pixels_to_ndc(corners, image_size))
    shorter = min(image_size)
    np.testing.assert_allclose(top_left, [-width / shorter, height / shorter], 1e-6)
    np.testing.assert_allclose(bottom_right, -top_left, 1e-6)


@pytest.mark.parametrize("batch", [(), (2,), (3, 2)])
@pytest.mark.parametrize("shared_camera", [True, False])
def test_perspective_against_numpy(float64, batch, shared_camera):
    generator = np.random.default_rng(0)
    points = generator.normal(size=(*batch, 5, 3)) + np.array([0, 0, 6.0])
    intrinsics = np.array([[900.0, 2.0, 250.0], [0, 880.0, 130.0], [0, 0, 1]])
    if not shared_camera:
        intrinsics = np.broadcast_to(intrinsics, (*batch, 3, 3)) * np.ones((3, 3))
    homogeneous = np.einsum("...ij,...nj->...ni", intrinsics, points)
    expected = homogeneous[..., :2] / homogeneous[..., 2:]
    pixels = perspective_to_pixels(jnp.asarray(points), jnp.asarray(intrinsics))
    np.testing.assert_allclose(pixels, expected, rtol=1e-12)
    ndc = perspective_to_ndc(jnp.asarray(points), jnp.asarray(intrinsics), (300, 500))
    np.testing.assert_allclose(ndc_to_pixels(ndc[..., :2], (300, 500)), expected)
    np.testing.assert_array_equal(ndc[..., 2], points[..., 2])


def test_points_at_and_behind_the_camera_have_finite_gradients():
    points = jnp.array([[0.1, 0.2, 5.0], [0.0, 0.0, 0.0], [1.0, 1.0, -3.0]])
    intrinsics = centred_intrinsics(500.0, (100, 200))

    gradient = jax.jit(
        jax.grad(lambda points: jnp.sum(perspective_to_pixels(points, intrinsics)))
    )
    together = gradient(points)
    assert bool(jnp.all(jnp.isfinite(together)))
    np.testing.assert_array_equal(together[:1], gradient(points[:1]))


def test_the_optical_axis_meets_the_centre_of_the_image():
    centre = perspective_to_ndc(
        jnp.array([[0.0, 0.0, 4.0]]), centred_intrinsics(700.0, (30, 41)), (30, 41)
    )
    np.testing.assert_allclose(centre, [[0.0, 0.0, 4.0]], atol=1e-6)
