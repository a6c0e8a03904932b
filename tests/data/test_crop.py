"""The one affine map: sub-pixel positions, no aliasing, labels that stay labels."""

import cv2
import jax.numpy as jnp
import numpy as np
import pytest

from dsr_jax.camera import Crop, pixels_to_crop_ndc
from dsr_jax.data import (
    crop_affine,
    keypoints_to_crop_ndc,
    transform_points,
    warp_image,
    warp_labels,
)

# Slope of the ramp: grey levels a pixel.
SLOPE = 4
# OpenCV rounds bilinear positions to 1/32 px and the result to a grey level, and so
# does the averaging; half a pixel of displacement would be 2 levels.
RAMP_TOLERANCE = 0.5 + 0.5 + SLOPE / 32


def _ramp(height, width):
    """Red grows with u and green with v: a colour says where a sample was."""
    rows, columns = np.mgrid[:height, :width]
    return np.stack([SLOPE * columns, SLOPE * rows, 0 * rows], -1).astype(np.uint8)


def _crop_pixels(resolution):
    rows, columns = np.mgrid[:resolution, :resolution].astype(np.float64)
    return np.stack([columns, rows], -1)


def test_the_whole_image_as_its_own_crop_is_unchanged():
    image = np.random.default_rng(0).integers(0, 256, (20, 20, 3)).astype(np.uint8)
    affine = crop_affine(np.array([9.5, 9.5]), 20.0, 20)
    np.testing.assert_allclose(affine, [[1, 0, 0], [0, 1, 0]], atol=1e-12)
    np.testing.assert_array_equal(warp_image(image, affine, 20), image)
    np.testing.assert_array_equal(warp_labels(image[..., 0], affine, 20), image[..., 0])


@pytest.mark.parametrize("size", [8.0, 21.3, 40.0])
@pytest.mark.parametrize("rotation", [0.0, 0.7])
def test_samples_come_from_where_the_affine_says(size, rotation):
    """Larger or smaller: the mean of a ramp over a pixel is its centre's value."""
    affine = crop_affine(np.array([30.3, 28.9]), size, 12, rotation)
    crop = warp_image(_ramp(60, 60), affine, 12)
    expected = SLOPE * transform_points(_crop_pixels(12), affine)
    error = np.abs(crop[..., :2].astype(float) - expected)
    assert error.max() < RAMP_TOLERANCE


def test_corners_of_the_box_are_corners_of_the_crop():
    affine = crop_affine(np.array([30.0, 40.0]), 10.0, 64)
    corners = transform_points(np.array([[-0.5, -0.5], [63.5, 63.5]]), affine)
    np.testing.assert_allclose(corners, [[25, 35], [35, 45]], atol=1e-12)


def test_positive_rotation_turns_the_content_clockwise():
    """What is right of the centre comes to lie below it."""
    image = np.zeros((41, 41, 3), np.uint8)
    image[20, 30] = 255
    crop = warp_image(image, crop_affine(np.full(2, 20.0), 41.0, 41, np.pi / 2), 41)
    assert np.unravel_index(crop[..., 0].argmax(), (41, 41)) == (30, 20)


def test_shrinking_averages_instead_of_skipping_pixels():
    """Stripes finer than a crop pixel become their mean; skipping would alias."""
    image = np.zeros((160, 160, 3), np.uint8)
    image[:, ::2] = 200
    crop = warp_image(image, crop_affine(np.full(2, 79.5), 160.0, 20), 20)
    assert np.abs(crop.astype(int) - 100).max() <= 1


def test_outside_the_photo_is_black_and_background():
    image = np.full((10, 10, 3), 90, np.uint8)
    labels = np.full((10, 10), 5, np.uint8)
    affine = crop_affine(np.array([4.5, 4.5]), 20.0, 20)
    crop, cut = warp_image(image, affine, 20), warp_labels(labels, affine, 20)
    assert crop[:4].max() == 0 and cut[:5].max() == 0
    assert crop[6:14, 6:14].min() == 90 and cut[5:15, 5:15].min() == 5


@pytest.mark.parametrize("size", [9.0, 60.0])
def test_labels_are_the_nearest_pixels_and_never_mixed(size):
    labels = np.random.default_rng(1).choice([0, 5, 19], (50, 50)).astype(np.uint8)
    affine = crop_affine(np.array([24.2, 25.6]), size, 12, 0.3)
    cut = warp_labels(labels, affine, 12)
    for row in range(12):
        for column in range(12):
            u, v = affine @ [column, row, 1]
            inside = -0.5 <= u < 49.5 and -0.5 <= v < 49.5
            expected = labels[round(v), round(u)] if inside else 0
            assert cut[row, column] == expected


def test_a_keypoint_lands_on_the_spot_it_marks():
    """A blob drawn at a keypoint is found, in the crop, at the keypoint's NDC."""
    keypoint = np.array([[37.25, 52.75, 0.8]])
    rows, columns = np.mgrid[:100, :100]
    squared = (columns - 37.25) ** 2 + (rows - 52.75) ** 2
    image = np.repeat((250 * np.exp(-squared / 40))[..., None], 3, -1).astype(np.uint8)
    affine = crop_affine(np.array([45.0, 50.0]), 50.0, 90, -0.4)
    crop = warp_image(image, affine, 90)[..., 0].astype(float)
    crop[crop < 30] = 0
    centroid = np.einsum("rc,rck->k", crop, _crop_pixels(90)) / crop.sum()
    x, y, confidence = keypoints_to_crop_ndc(keypoint, affine, 90)[0]
    found = np.array([(2 * centroid[0] + 1 - 90) / 90, (89 - 2 * centroid[1]) / 90])
    np.testing.assert_allclose([x, y], found, atol=2 * 0.05 / 90)
    assert confidence == np.float32(0.8)


def test_keypoints_agree_with_the_crop_camera():
    generator = np.random.default_rng(2)
    keypoints = np.concatenate(
        [generator.uniform(0, 100, (49, 2)), np.ones((49, 1))], 1
    )
    center, size = np.array([41.0, 57.0]), 63.0
    ndc = keypoints_to_crop_ndc(keypoints, crop_affine(center, size, 32), 32)
    crop = Crop(jnp.asarray(center, jnp.float32), jnp.asarray(size, jnp.float32))
    expected = pixels_to_crop_ndc(jnp.asarray(keypoints[:, :2], jnp.float32), crop)
    np.testing.assert_allclose(ndc[:, :2], expected, atol=1e-5)


def test_absent_keypoints_are_zero_and_confidences_are_clipped():
    keypoints = np.array([[5.0, 6.0, 0.0], [5.0, 6.0, 1.7], [5.0, 6.0, -1.0]])
    ndc = keypoints_to_crop_ndc(keypoints, crop_affine(np.zeros(2), 10.0, 10), 10)
    np.testing.assert_array_equal(ndc[[0, 2]], 0)
    assert ndc[1, 2] == 1 and ndc[1, 0] == 1


@pytest.mark.parametrize("size", [0.0, -3.0, np.nan, np.inf])
def test_a_box_without_size_is_refused(size):
    with pytest.raises(ValueError, match="must be positive"):
        crop_affine(np.zeros(2), size, 10)


def _true_means(image, affine, resolution):
    """Slow: the mean of what of each photo pixel lies in each crop pixel."""
    steps = (np.arange(12) + 0.5) / 12 - 0.5
    fine = (np.arange(resolution)[:, None] + steps).ravel()
    points = transform_points(np.stack(np.meshgrid(fine, fine), -1), affine)
    u, v = np.rint(points).astype(int).transpose(2, 0, 1)
    height, width = image.shape[:2]
    inside = (u >= 0) & (u < width) & (v >= 0) & (v < height)
    values = np.where(inside[..., None], image[v % height, u % width], 0.0)
    shape = (resolution, len(steps), resolution, len(steps), 3)
    return values.reshape(shape).mean((1, 3))


def _sampled_means(image, affine, resolution, samples):
    """Slow: the mean of samples × samples bilinear values, in float64."""
    steps = (np.arange(samples) + 0.5) / samples - 0.5
    fine = (np.arange(resolution)[:, None] + steps).ravel()
    points = transform_points(np.stack(np.meshgrid(fine, fine), -1), affine)
    padded = np.pad(image.astype(float), ((1, 1), (1, 1), (0, 0)))
    u, v = (np.clip(points + 1, 0, [s - 1.001 for s in padded.shape[1::-1]])).transpose(
        2, 0, 1
    )
    column, row = np.floor(u).astype(int), np.floor(v).astype(int)
    across, down = (u - column)[..., None], (v - row)[..., None]
    top = padded[row, column] * (1 - across) + padded[row, column + 1] * across
    below = (
        padded[row + 1, column] * (1 - across) + padded[row + 1, column + 1] * across
    )
    values = top * (1 - down) + below * down
    shape = (resolution, samples, resolution, samples, 3)
    return values.reshape(shape).mean((1, 3))


@pytest.mark.parametrize("scale", [0.6, 1.1, 1.7, 2.1, 3.3])
@pytest.mark.parametrize("rotation", [0.0, 0.4])
def test_pixels_are_as_near_to_their_area_as_dense_samples(scale, rotation):
    """Of a photo whose detail goes down to the pixel, over its edge too."""
    generator = np.random.default_rng(3)
    noise = generator.normal(size=(130, 150, 3))
    coarse = cv2.GaussianBlur(generator.normal(size=noise.shape), (0, 0), 3)
    image = np.clip(118 + 250 * coarse + 8 * noise, 0, 255).astype(np.uint8)
    affine = crop_affine(np.array([70.3, 60.8]), 40 * scale, 40, rotation)
    wanted = _true_means(image, affine, 40)
    error = np.abs(warp_image(image, affine, 40) - wanted).mean()
    samples = int(np.ceil(scale))
    dense = np.abs(_sampled_means(image, affine, 40, samples) - wanted).mean()
    # Half a grey level for being whole numbers.
    assert error < dense + 0.3
    # Another half pixel would be several levels.
    assert error < (2.5 if scale < 1 else 1.5)


def test_a_crop_beside_the_photo_is_black():
    image = np.full((20, 30, 3), 200, np.uint8)
    for center in ((-80.0, 10.0), (15.0, 1e12)):
        affine = crop_affine(np.array(center), 20.0, 16, 0.3)
        assert warp_image(image, affine, 16).max() == 0
