import numpy as np
import pytest

from dsr_jax.errors import UserError
from dsr_jax.semantics import (
    CIHP,
    CLOTHING_4,
    CLOTHING_4_RELEASED,
    CLOTHING_8,
    GROUPINGS,
    Grouping,
    group_labels,
    grouping_by_name,
    lookup_by_name,
)

# The palette of Graphonomy's colour output, number by number.
PALETTE = """
0 0 0, 128 0 0, 255 0 0, 0 85 0, 170 0 51, 255 85 0, 0 0 85, 0 119 221, 85 85 0,
0 85 85, 85 51 0, 52 86 128, 0 128 0, 0 0 255, 51 170 221, 0 255 255, 85 255 170,
170 255 85, 255 255 0, 255 170 0
"""


def test_cihp_has_the_published_order_and_colours():
    assert len(CIHP.names) == 20
    assert CIHP.index("background") == 0
    assert CIHP.index("torso-skin") == 10
    assert CIHP.index("face") == 13
    assert CIHP.names[14:] == (
        "left-arm",
        "right-arm",
        "left-leg",
        "right-leg",
        "left-shoe",
        "right-shoe",
    )
    expected = [[int(v) for v in colour.split()] for colour in PALETTE.split(",")]
    np.testing.assert_array_equal(CIHP.palette, expected)


def test_flip_swaps_the_three_pairs_of_sides_only():
    expected = [*range(14), 15, 14, 17, 16, 19, 18]
    np.testing.assert_array_equal(CIHP.flip, expected)


def test_unknown_label_names_the_nearest():
    with pytest.raises(UserError, match="did you mean 'left-shoe'"):
        CIHP.index("left-shoes")


def test_lip_maps_by_name_with_jumpsuits_renamed():
    names = list(CIHP.names)
    names[10] = "jumpsuits"
    with pytest.raises(UserError, match="jumpsuits"):
        lookup_by_name(names)
    table = lookup_by_name(names, {"jumpsuits": "upper-clothes"})
    expected = np.arange(20)
    expected[10] = 5
    np.testing.assert_array_equal(table, expected)


@pytest.mark.parametrize(
    ("grouping", "classes"),
    [
        (
            CLOTHING_4,
            [{0}, {1, 2, 3, 4, 8, 10, 11, *range(13, 20)}, {5, 6, 7}, {9, 12}],
        ),
        (
            CLOTHING_4_RELEASED,
            [{0}, {1, 2, 3, 4, 8, 11, *range(13, 20)}, {5, 6, 7, 10}, {9, 12}],
        ),
        (
            CLOTHING_8,
            [
                {0},
                {1, 2, 4, 11, 13},
                {3, 5, 6, 7, 10},
                {8, 9, 12},
                {14},
                {15},
                {16, 18},
                {17, 19},
            ],
        ),
    ],
    ids=lambda value: value.name if isinstance(value, Grouping) else "",
)
def test_groupings_hold_the_stated_labels(grouping, classes):
    lookup = grouping.lookup()
    assert [set(np.flatnonzero(lookup == c)) for c in range(len(classes))] == classes
    np.testing.assert_array_equal(grouping.matrix().argmax(1), lookup)
    np.testing.assert_array_equal(grouping.matrix().sum(1), 1)
    labels = np.arange(20, dtype=np.uint8).reshape(4, 5)
    grouped = np.asarray(group_labels(labels, grouping))
    np.testing.assert_array_equal(grouped, lookup.reshape(4, 5))


def test_groupings_are_found_by_name_and_must_be_complete():
    assert grouping_by_name("clothing_8") is CLOTHING_8
    assert all(name == grouping.name for name, grouping in GROUPINGS.items())
    with pytest.raises(UserError, match="did you mean 'clothing_4'"):
        grouping_by_name("clothing-4")
    with pytest.raises(ValueError, match="exactly once"):
        Grouping("partial", ("a", "b"), (("background",), ("face", "hat")))
