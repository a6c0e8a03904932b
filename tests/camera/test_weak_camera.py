"""The weak camera against an independent NumPy pinhole, and its guards."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dsr_jax.camera import (
    FOCAL_NDC,
    MINIMUM_SCALE,
    ndc_to_pixels,
    project_weak_to_ndc,
    weak_camera_translation,
)


def _points(generator, *batch):
    return generator.normal(size=(*batch, 7, 3)) * 0.5


def _cameras(generator, *batch):
    scale = generator.uniform(0.3, 1.5, (*batch, 1))
    return np.concatenate([scale, generator.normal(size=(*batch, 2)) * 0.3], -1)


def _spin_pixels(points, camera, resolution=224):
    """A 5000 px pinhole with its axis through the centre of a 224 px crop."""
    translation = np.stack(
        [camera[..., 1], camera[..., 2], 2 * 5000.0 / (224.0 * camera[..., 0])], -1
    )
    moved = points + translation[..., None, :]
    # Continuous coordinates from the crop's top-left corner, y down.
    corner = 5000.0 * moved[..., :2] / moved[..., 2:] + 112.0
    return corner * resolution / 224.0 - 0.5


@pytest.mark.parametrize("batch", [(), (3,), (2, 3)])
@pytest.mark.parametrize("resolution", [224, 64])
def test_projection_is_the_pinhole_of_the_released_code(float64, batch, resolution):
    generator = np.random.default_rng(0)
    points, camera = _points(generator, *batch), _cameras(generator, *batch)
    projected = project_weak_to_ndc(jnp.asarray(points), jnp.asarray(camera))
    pixels = ndc_to_pixels(projected[..., :2], (resolution, resolution))
    np.testing.assert_allclose(
        pixels, _spin_pixels(points, camera, resolution), rtol=0, atol=1e-10
    )
    depth = points[..., 2] + 2 * 5000.0 / (224.0 * camera[..., None, 0])
    np.testing.assert_allclose(projected[..., 2], depth, rtol=1e-14)


def test_float32_stays_float32_and_within_a_thousandth_of_a_pixel():
    generator = np.random.default_rng(1)
    points, camera = _points(generator, 4), _cameras(generator, 4)
    projected = project_weak_to_ndc(
        jnp.asarray(points, jnp.float32), jnp.asarray(camera, jnp.float32)
    )
    assert projected.dtype == jnp.float32
    pixels = ndc_to_pixels(projected[..., :2], (224, 224))
    np.testing.assert_allclose(pixels, _spin_pixels(points, camera), rtol=0, atol=1e-3)


def test_up_in_the_image_is_minus_y_of_the_camera():
    camera = jnp.array([1.0, 0.0, 0.0])
    above = project_weak_to_ndc(jnp.array([[0.0, -0.5, 0.0]]), camera)
    np.testing.assert_allclose(above[0, :2], [0.0, 0.5], atol=1e-6)


@pytest.mark.parametrize("scale", [1e-3, 0.0, -0.9, -1e30])
def test_a_scale_that_is_not_positive_counts_as_the_minimum(scale):
    translation = weak_camera_translation(jnp.array([scale, 0.1, 0.2]))
    np.testing.assert_allclose(
        translation, [0.1, 0.2, FOCAL_NDC / MINIMUM_SCALE], rtol=1e-6
    )


def test_bad_cameras_do_not_disturb_their_neighbours(float64):
    camera = jnp.array([[0.9, 0.0, 0.1], [0.0, 0.0, 0.0], [-2.0, 1.0, 0.0]])
    camera = jnp.concatenate([camera, jnp.array([[500.0, 0.0, 0.0]])])
    points = jnp.asarray(_points(np.random.default_rng(2), 4))

    def loss(points, camera):
        projected = project_weak_to_ndc(points, camera)
        return jnp.sum(jnp.square(projected[..., :2])) + jnp.sum(projected[..., 2])

    gradient = jax.jit(jax.grad(loss, argnums=(0, 1)))
    together = gradient(points, camera)
    assert all(bool(jnp.all(jnp.isfinite(leaf))) for leaf in together)
    alone = gradient(points[:1], camera[:1])
    np.testing.assert_array_equal(together[0][:1], alone[0])
    np.testing.assert_array_equal(together[1][:1], alone[1])
    np.testing.assert_array_equal(together[1][1:3, 0], 0)


def test_derivatives_agree_with_finite_differences(float64):
    generator = np.random.default_rng(3)
    points, camera = _points(generator), _cameras(generator)

    @jax.jit
    def project(camera):
        return project_weak_to_ndc(jnp.asarray(points), camera)

    jacobian = jax.jit(jax.jacfwd(project))(jnp.asarray(camera))
    backward = jax.jit(jax.jacrev(project))(jnp.asarray(camera))
    np.testing.assert_allclose(backward, jacobian, rtol=1e-12, atol=1e-12)
    step = 1e-6
    for axis in range(3):
        shift = step * np.eye(3)[axis]
        ahead, behind = (project(jnp.asarray(camera + s)) for s in (shift, -shift))
        numeric = (ahead - behind) / (2 * step)
        np.testing.assert_allclose(jacobian[..., axis], numeric, rtol=1e-7, atol=1e-7)
