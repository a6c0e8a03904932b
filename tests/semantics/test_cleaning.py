import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dsr_jax.semantics import (
    MINIMAL_CLOTHING_LABELS,
    class_counts,
    clean_label_map,
    minimal_clothing_mask,
    minimal_clothing_validity,
    minimum_pixels,
)

KEYPOINTS = np.array(
    [
        [[50.0, 60.0, 0.9], [70.0, 80.5, 0.31], [5.0, 5.0, 0.3], [0.0, 0.0, 0.0]],
        [[10.0, 10.0, 0.2], [20.0, 20.0, 0.1], [np.nan, 0.0, 0.0], [1.0, 1.0, 0.3]],
    ],
    np.float32,
)


@pytest.mark.parametrize("array", [np.asarray, jnp.asarray])
def test_labels_outside_the_grown_box_become_background(array):
    labels = array(np.full((2, 120, 130), 5, np.uint8))
    clean = clean_label_map if array is np.asarray else jax.jit(clean_label_map)
    cleaned = clean(labels, array(KEYPOINTS))
    assert isinstance(cleaned, np.ndarray) == (array is np.asarray)
    assert cleaned.dtype == np.uint8
    expected = np.zeros((2, 120, 130), np.uint8)
    # u from 50 − 30 to 70 + 30, v from 60 − 30 to 80.5 + 30, borders included; the
    # second person has no keypoint of confidence above 0.3.
    expected[0, 30:111, 20:101] = 5
    np.testing.assert_array_equal(np.asarray(cleaned), expected)
    alone = clean(labels[0], array(KEYPOINTS[0]))
    np.testing.assert_array_equal(np.asarray(alone), expected[0])


def test_thresholds_are_arguments():
    labels = np.full((100, 100), 9, np.uint8)
    cleaned = clean_label_map(labels, KEYPOINTS[0], confidence=0.5, margin_px=2.0)
    expected = np.zeros_like(labels)
    expected[58:63, 48:53] = 9
    np.testing.assert_array_equal(cleaned, expected)


def test_a_label_counts_above_sixty_pixels_of_a_224_crop():
    order = [14, 15, 18, 19, 13]
    assert MINIMAL_CLOTHING_LABELS == (
        "left-arm",
        "right-arm",
        "left-shoe",
        "right-shoe",
        "face",
    )
    labels = np.zeros((2, 224, 224), np.uint8)
    labels[0, 0, :60] = 14
    labels[0, 1, :61] = 15
    labels[1, 2, :200] = 13
    labels[1, 3, :200] = 5
    valid = jax.jit(minimal_clothing_validity)(jnp.asarray(labels))
    expected = [[(labels[i] == k).sum() > 60 for k in order] for i in range(2)]
    np.testing.assert_array_equal(np.asarray(valid), expected)
    assert np.asarray(valid).sum() == 2
    mask = minimal_clothing_mask(jnp.asarray(labels), valid)
    assert mask.dtype == jnp.float32
    np.testing.assert_array_equal(np.asarray(mask[0]), labels[0] == 15)
    np.testing.assert_array_equal(np.asarray(mask[1]), labels[1] == 13)


def test_the_threshold_scales_with_the_area():
    assert minimum_pixels(224, 224) == 60
    assert minimum_pixels(112, 448) == 60
    assert minimum_pixels(56, 56) == 3.75
    labels = np.zeros((56, 56), np.uint8)
    labels[0, :3], labels[1, :4] = 18, 19
    valid = np.asarray(minimal_clothing_validity(jnp.asarray(labels)))
    np.testing.assert_array_equal(valid, [False, False, False, True, False])


def test_class_counts_match_bincount():
    labels = np.random.default_rng(0).integers(0, 6, (3, 8, 9))
    expected = [np.bincount(image.ravel(), minlength=6)[[4, 0]] for image in labels]
    counts = class_counts(jnp.asarray(labels), [4, 0])
    np.testing.assert_array_equal(np.asarray(counts), expected)
