"""Other people's labels: pairs of people, apart and touching, with known truth."""

import dataclasses

import cv2
import numpy as np
import pytest

from dsr_jax.body.keypoints import GROUND_TRUTH_NAMES_24, OPENPOSE_NAMES_25
from dsr_jax.semantics import CleaningSettings, clean_label_map
from dsr_jax.semantics.cleaning.others import remove_others
from dsr_jax.semantics.cleaning.skeleton import (
    distance_to_skeleton,
    longest_limb,
    sided_keypoints,
)
from tests.semantics.stick_people import SIDE, stick_person

CANVAS = (260, 420)
COMPONENTS = CleaningSettings(others="components")
BOX = CleaningSettings(others="keypoint_box")


def pair(seed, apart):
    """Labels with two people, whose the first is, and the keypoints of both."""
    generator = np.random.default_rng(seed)
    distance = generator.uniform(128, 136) if apart else generator.uniform(35, 80)
    own, keypoints = stick_person(generator, CANVAS, (60, 20))
    other, others = stick_person(generator, CANVAS, (60 + distance, 20))
    in_front = own if seed % 2 else other
    labels = np.where(in_front > 0, in_front, own + other).astype(np.uint8)
    return labels, (own > 0) & (labels == own), keypoints, others[None]


def overlap(kept, truth):
    return np.sum(kept & truth) / np.sum(kept | truth)


def share_of(labels, truth, keypoints, settings, others=None):
    clean = remove_others(labels, keypoints, settings, float(SIDE), others)
    changed = clean != labels
    assert not clean[changed].any()
    return overlap(clean > 0, truth)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("apart", [True, False])
def test_components_are_never_worse_than_the_box(seed, apart):
    labels, truth, keypoints, others = pair(seed, apart)
    box = share_of(labels, truth, keypoints, BOX)
    components = share_of(labels, truth, keypoints, COMPONENTS)
    both = share_of(labels, truth, keypoints, COMPONENTS, others)
    assert components >= box - 0.002
    assert both >= box - 0.002
    assert components > 0.99 or not apart


def test_a_known_neighbour_is_cut_off_where_they_touch():
    shares = []
    for seed in range(12):
        labels, truth, keypoints, others = pair(seed, apart=False)
        ignored = dataclasses.replace(COMPONENTS, split_touching=False)
        alone = share_of(labels, truth, keypoints, ignored, others)
        assert alone == share_of(labels, truth, keypoints, COMPONENTS)
        shares.append((alone, share_of(labels, truth, keypoints, COMPONENTS, others)))
    without, known = np.mean(shares, 0)
    assert known > without + 0.05


def test_a_second_annotation_of_the_same_person_takes_nothing():
    labels, truth, keypoints, _ = pair(0, apart=True)
    again = keypoints + np.array([2.0, -1.0, 0.0], np.float32)
    once = share_of(labels, truth, keypoints, COMPONENTS)
    assert share_of(labels, truth, keypoints, COMPONENTS, again[None]) == once


@pytest.mark.parametrize("seed", range(6))
def test_one_person_alone_keeps_everything(seed):
    labels, keypoints = stick_person(np.random.default_rng(seed))
    keypoints[15:] = [1e5, np.nan, 0.0]
    clean = remove_others(labels, keypoints, COMPONENTS, float(SIDE))
    np.testing.assert_array_equal(clean, labels)


def test_hidden_keypoints_hold_no_neighbour():
    """The person's wrist behind the neighbour's back does not make the back theirs."""
    labels, truth, keypoints, _ = pair(1, apart=True)
    rows, columns = np.nonzero(labels * ~truth)
    back = [columns.mean(), rows.mean(), 0.9]
    keypoints[4] = back
    held = remove_others(labels, keypoints, COMPONENTS, float(SIDE))
    keypoints[4, 2] = 0.1
    free = remove_others(labels, keypoints, COMPONENTS, float(SIDE))
    assert overlap(free > 0, truth) > 0.99
    # A confident mistake costs the neighbour's part near it, not the person's.
    assert held[truth].all()


@pytest.mark.parametrize("scale", [0.5, 3.0])
def test_the_rules_grow_with_the_person(scale):
    labels, truth, keypoints, _ = pair(2, apart=True)
    size = round(labels.shape[1] * scale), round(labels.shape[0] * scale)
    large = cv2.resize(labels, size, interpolation=cv2.INTER_NEAREST)
    moved = keypoints * np.array([scale, scale, 1], np.float32)
    clean = remove_others(large, moved, COMPONENTS, SIDE * scale)
    expected = (
        cv2.resize(truth.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
    )
    assert overlap(clean > 0, expected) > 0.99


@pytest.mark.parametrize(
    "places",
    [
        [[-500.0, 50.0]],
        [[50.0, 9000.0], [60.0, 9000.0]],
        [[-3.0, -3.0], [400.0, 300.0]],
    ],
)
@pytest.mark.parametrize("count", [25, 17])
def test_keypoints_outside_the_map_do_no_harm(places, count):
    labels = np.full((40, 50), 5, np.uint8)
    keypoints = np.zeros((count, 3), np.float32)
    keypoints[: len(places)] = [[*place, 0.9] for place in places]
    clean = remove_others(labels, keypoints, COMPONENTS, 40.0)
    assert clean.shape == labels.shape
    assert set(np.unique(clean)) <= {0, 5}


def test_the_released_rule_and_none_are_what_they_were():
    labels, _, keypoints, _ = pair(3, apart=True)
    expected = clean_label_map(labels, keypoints)
    np.testing.assert_array_equal(remove_others(labels, keypoints, BOX, 50.0), expected)
    kept = CleaningSettings(others="none")
    np.testing.assert_array_equal(remove_others(labels, keypoints, kept, 50.0), labels)


@pytest.mark.parametrize("count", [25, 24, 49])
def test_sides_are_where_the_keypoint_names_say(count):
    names = {
        25: OPENPOSE_NAMES_25,
        24: GROUND_TRUTH_NAMES_24,
        49: (*OPENPOSE_NAMES_25, *GROUND_TRUTH_NAMES_24),
    }[count]
    for part in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle"):
        sides = sided_keypoints(count, (part,))
        for side, indices in (("right", sides.right), ("left", sides.left)):
            expected = [i for i, name in enumerate(names) if name == f"{side}_{part}"]
            assert list(indices) == expected
    assert sided_keypoints(17, ("wrist",)).left == ()


def test_lines_bridge_a_keypoint_that_is_missing():
    keypoints = np.zeros((25, 3), np.float32)
    keypoints[9], keypoints[11] = [10, 10, 1], [10, 50, 1]
    distance = distance_to_skeleton(keypoints, 0.3, (60, 60))
    np.testing.assert_allclose(distance[30, 10:20], np.arange(10), atol=1e-4)
    # Hip to ankle is no limb: the floor holds until the knee is seen.
    assert longest_limb(keypoints, 0.3, 80.0) == 10
    keypoints[10] = [10, 31, 1]
    assert longest_limb(keypoints, 0.3, 80.0) == 21


def test_coarse_distances_are_off_by_a_step_at_most():
    labels, keypoints = stick_person(np.random.default_rng(0))
    exact = distance_to_skeleton(keypoints, 0.3, labels.shape)
    for step in (2, 5):
        coarse = distance_to_skeleton(keypoints, 0.3, labels.shape, step)
        assert coarse.shape == exact.shape
        # Both are within 2 % of the truth on their own grid.
        assert np.all(np.abs(coarse - exact) <= step + 0.04 * exact)


def leg(*places):
    """Hip, knee and ankle, and nothing else."""
    keypoints = np.zeros((25, 3), np.float32)
    keypoints[9:12] = [[*place, 0.9] for place in places]
    return keypoints


DIAGONAL = leg((10, 10), (50, 50), (90, 90))


def test_an_island_within_reach_is_not_the_persons():
    labels = np.zeros((100, 100), np.uint8)
    labels[10:90, 25:36] = 9
    expected = labels.copy()
    labels[40:46, 45:51] = 5
    keypoints = leg((30, 15), (30, 50), (30, 85))
    clean = remove_others(labels, keypoints, COMPONENTS, 200.0)
    np.testing.assert_array_equal(clean, expected)


def test_what_is_connected_but_out_of_reach_goes():
    labels = np.full((100, 100), 5, np.uint8)
    clean = remove_others(labels, DIAGONAL, COMPONENTS, 100.0)
    rows, columns = np.indices(labels.shape)
    distance = np.abs(rows - columns) / np.sqrt(2)
    reach = COMPONENTS.reach * np.hypot(40, 40)
    inside = (rows + columns > 40) & (rows + columns < 160)
    # Distances are within 2 % and start at a line one pixel wide.
    assert clean[inside & (distance < 0.97 * reach - 1)].all()
    assert not clean[distance > 1.03 * reach + 1].any()


def test_the_same_person_twice_is_no_neighbour():
    labels = np.full((100, 100), 5, np.uint8)
    once = remove_others(labels, DIAGONAL, COMPONENTS, 100.0)
    for shift, same in ((4.0, True), (40.0, False)):
        other = DIAGONAL + np.array([shift, 0, 0], np.float32)
        twice = remove_others(labels, DIAGONAL, COMPONENTS, 100.0, other[None])
        assert np.array_equal(once, twice) == same
