"""The chain as a whole: what it reports is what the training step finds."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage

from dsr_jax.losses.dsr_c import clothing_validity, sample_class_weights
from dsr_jax.semantics import (
    CIHP,
    CLOTHING_4,
    CLOTHING_8,
    MINIMAL_CLOTHING_LABELS,
    UNCLEANED,
    VOID,
    CleaningSettings,
    clean_labels,
    group_labels,
    label_validity,
    minimal_clothing_validity,
)
from dsr_jax.semantics.cleaning.specks import remove_specks, small_regions
from tests.semantics.stick_people import SIDE, stick_person

SETTINGS = CleaningSettings()
FACE = CIHP.index("face")


def person(seed=0):
    return stick_person(np.random.default_rng(seed))


def swapped(labels):
    return CIHP.flip[labels].astype(np.uint8)


def crops():
    """Crops whose labels lie on both sides of every threshold."""
    generator = np.random.default_rng(0)
    for height, width in ((224, 224), (56, 56), (32, 90)):
        limit = 60 * height * width / 224**2
        labels = np.zeros(height * width, np.uint8)
        for number, label in enumerate((13, 14, 15, 18, 5, 9, VOID)):
            count = int(limit) + generator.integers(-1, 3)
            labels[number * 90 : number * 90 + count] = label
        yield labels.reshape(height, width)
    yield np.zeros((20, 20), np.uint8)
    yield np.full((20, 20), VOID, np.uint8)
    yield person()[0]


@pytest.mark.parametrize("grouping", [CLOTHING_4, CLOTHING_8], ids=lambda g: g.name)
@pytest.mark.parametrize("crop", list(crops()), ids=lambda c: f"{c.shape}-{c.max()}")
def test_validity_and_weights_are_those_of_the_training_step(crop, grouping):
    cleaned = clean_labels(crop, None, UNCLEANED, grouping=grouping)
    np.testing.assert_array_equal(cleaned.labels, crop)
    labels = jnp.asarray(cleaned.labels)
    np.testing.assert_array_equal(cleaned.mc_valid, minimal_clothing_validity(labels))
    classes = group_labels(labels, grouping)
    count = len(grouping.names)
    assert cleaned.class_valid[1:].any() == clothing_validity(classes, count)
    weights = np.asarray(sample_class_weights(classes, count))
    # Both round the same quotient to float32, one of them in two steps.
    np.testing.assert_allclose(cleaned.class_weights, weights, rtol=1e-6)
    np.testing.assert_array_equal(cleaned.class_valid, weights > 0)


def test_a_photo_is_judged_by_the_crop_it_becomes():
    """Twice the resolution has four times the pixels and the same validity."""
    labels, _ = person()
    large = labels.repeat(2, 0).repeat(2, 1)
    small_crop = label_validity(labels, float(labels.size))
    photo = np.zeros((600, 700), np.uint8)
    photo[100 : 100 + 2 * SIDE, 50 : 50 + 2 * SIDE] = large
    cleaned = clean_labels(photo, None, SETTINGS, person_px=2.0 * SIDE)
    assert cleaned.refused is None
    np.testing.assert_array_equal(cleaned.mc_valid, small_crop[0])
    np.testing.assert_array_equal(cleaned.class_valid[1:], small_crop[1][1:])


@pytest.mark.parametrize("count", [25, 49])
def test_people_as_they_should_be_pass_unchanged(count):
    for seed in range(40):
        labels, keypoints = person(seed)
        keypoints = np.resize(keypoints, (count, 3))
        keypoints[25:] = 0
        cleaned = clean_labels(labels, keypoints, SETTINGS)
        assert cleaned.refused is None
        assert cleaned.mc_valid.all()
        # Slivers that hair leaves beside a face are specks, nothing else is.
        changed = {change.step: change.pixels for change in cleaned.changes}
        assert changed["others"] == 0
        assert changed["specks"] <= 20


def only(labels, *names):
    kept = np.isin(labels, [CIHP.index(name) for name in names])
    return np.where(kept, labels, 0).astype(np.uint8)


MISTAKES = {
    "nobody": (lambda a: a * 0, "shows nobody"),
    "little": (lambda a: only(a, "left-shoe"), "covers only 0."),
    "everything": (lambda a: np.maximum(a, 5), "covers 100 % of the person's box"),
    "silhouette": (lambda a: np.where(a > 0, 1, 0), "has one label only: hat"),
    "limbs": (lambda a: only(a, *MINIMAL_CLOTHING_LABELS[:4]), "limbs without a body"),
    "void": (lambda a: np.where(a > 0, VOID, 0), "has no label with enough pixels"),
    "elsewhere": (lambda a: np.roll(a, SIDE // 2, axis=1), "keypoints"),
    "mirrored": (swapped, "has left and right swapped"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_what_cannot_be_the_person_is_refused_in_words(mistake):
    change, reason = MISTAKES[mistake]
    for seed in range(8):
        labels, keypoints = person(seed)
        wrong = change(labels).astype(np.uint8)
        # As a parser without the keypoint box would give it.
        settings = dataclasses.replace(SETTINGS, others="none")
        cleaned = clean_labels(wrong, keypoints, settings)
        assert cleaned.refused is not None and reason in cleaned.refused, seed
        assert not (cleaned.mc_valid.any() or cleaned.class_valid.any())
        assert not cleaned.class_weights.any()
        accepting = dataclasses.replace(settings, refuse=False)
        assert clean_labels(wrong, keypoints, accepting).refused is None


def test_swapped_sides_may_be_let_pass():
    labels, keypoints = person()
    settings = dataclasses.replace(SETTINGS, refuse_swapped_sides=False)
    assert clean_labels(swapped(labels), keypoints, settings).refused is None


def test_void_limbs_leave_a_trunk_that_is_not_alone():
    labels, keypoints = person()
    trunk = CIHP.index("upper-clothes")
    pascal = np.where((labels > 0) & (labels != trunk), VOID, labels).astype(np.uint8)
    assert clean_labels(pascal, keypoints, SETTINGS).refused is None


def test_without_keypoints_everybody_stays():
    labels, keypoints = person()
    two = np.concatenate([labels, labels], 1)
    keypoints[:, 2] = 0.3
    for unknown in (None, keypoints):
        cleaned = clean_labels(two, unknown, SETTINGS)
        assert cleaned.refused is None
        assert cleaned.changes[0].pixels == 0


def test_changes_say_what_each_step_did():
    labels, keypoints = person()
    labels[5:25, 5:25] = 5
    labels[100, 110] = FACE
    before = labels.copy()
    cleaned = clean_labels(labels, keypoints, SETTINGS)
    others, specks = cleaned.changes
    assert (others.step, others.pixels) == ("others", 400)
    assert specks.step == "specks" and specks.where[100, 110]
    np.testing.assert_array_equal(others.where | specks.where, cleaned.labels != labels)
    np.testing.assert_array_equal(labels, before)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("smallest", [2, 8.0, 30.5])
def test_specks_are_what_connected_components_say(seed, smallest):
    generator = np.random.default_rng(seed)
    coarse = generator.choice([0, 5, 13, VOID], (9, 11)).astype(np.uint8)
    labels = coarse.repeat(5, 0).repeat(5, 1)
    noise = generator.random(labels.shape) < 0.05
    labels[noise] = generator.integers(0, 20, noise.sum())
    expected = np.zeros(labels.shape, bool)
    for label in np.unique(labels):
        regions, _ = scipy.ndimage.label(labels == label, np.ones((3, 3)))
        sizes = np.bincount(regions.ravel())
        expected |= (regions > 0) & (sizes[regions] < smallest)
    np.testing.assert_array_equal(small_regions(labels, smallest), expected)
    clean = remove_specks(labels, smallest)
    np.testing.assert_array_equal(clean[~expected], labels[~expected])
    # What replaces a speck is the label of a neighbouring larger region.
    assert set(np.unique(clean)) <= set(np.unique(labels[~expected]))


@pytest.mark.parametrize("seed", range(40))
def test_specks_about_a_small_figure_and_at_borders(seed):
    generator = np.random.default_rng(seed)
    size = generator.integers(3, 14, 2)
    labels = np.zeros(size, np.uint8)
    top, left = generator.integers(0, size)
    patch = labels[top : top + 6, left : left + 6]
    patch[:] = 5 * (generator.random(patch.shape) < 0.6)
    smallest = float(generator.integers(2, 12))
    expected = np.zeros(labels.shape, bool)
    for label in (0, 5):
        regions, _ = scipy.ndimage.label(labels == label, np.ones((3, 3)))
        expected |= (regions > 0) & (np.bincount(regions.ravel())[regions] < smallest)
    np.testing.assert_array_equal(small_regions(labels, smallest), expected)


def test_specks_take_the_label_around_them():
    labels = np.zeros((30, 30), np.uint8)
    labels[5:25, 5:15] = 5
    labels[5:25, 15:25] = 9
    labels[10, 8], labels[2, 2], labels[12, 20] = 13, 14, 0
    labels[18:20, 14:16] = 18
    clean = remove_specks(labels, 6)
    expected = labels.copy()
    expected[10, 8], expected[2, 2], expected[12, 20] = 5, 0, 9
    expected[18:20, 14], expected[18:20, 15] = 5, 9
    np.testing.assert_array_equal(clean, expected)
    np.testing.assert_array_equal(remove_specks(labels, 0), labels)


def test_all_specks_stay_what_they_are():
    labels = np.arange(9, dtype=np.uint8).reshape(3, 3)
    np.testing.assert_array_equal(remove_specks(labels, 4), labels)


@pytest.mark.parametrize(
    ("field", "value"),
    [("others", "componnets"), ("reach", -1.0), ("keypoints_on_person", 1.5)],
)
def test_impossible_settings_are_refused(field, value):
    with pytest.raises(ValueError, match=field):
        CleaningSettings(**{field: value})
    assert hash(SETTINGS) == hash(CleaningSettings())
