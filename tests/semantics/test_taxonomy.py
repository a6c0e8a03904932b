import numpy as np
import pytest

from dsr_jax.errors import UserError
from dsr_jax.semantics import (
    CIHP,
    CLOTHING_4,
    CLOTHING_4_RELEASED,
    CLOTHING_8,
    GROUPINGS,
    TAXONOMIES,
    VOID,
    Grouping,
    group_labels,
    grouping_by_name,
    label_lookup,
    lookup_by_name,
    taxonomy_by_name,
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


def test_void_is_of_no_class():
    classes = np.asarray(group_labels(np.array([[VOID, 5, 200]], np.uint8), CLOTHING_4))
    np.testing.assert_array_equal(classes, [[-1, 2, -1]])


@pytest.mark.parametrize("source", TAXONOMIES.values(), ids=TAXONOMIES)
@pytest.mark.parametrize(
    "target", [CIHP, *map(TAXONOMIES.get, ("lip", "atr", "pascal"))]
)
def test_every_label_has_a_documented_counterpart(source, target):
    try:
        table = label_lookup(source, target)
    except UserError:
        # Nothing relates LIP, ATR and Pascal but CIHP.
        assert CIHP not in (source, target)
        return
    for number, name in enumerate(source.names):
        assert table[number] == VOID or table[number] < len(target.names)
        if name in target.names:
            assert target.names[table[number]] == name
    assert (table[len(source.names) :] == VOID).all()


def test_what_stands_in_keeps_its_side_and_its_class():
    atr, lip, pascal = (TAXONOMIES[name] for name in ("atr", "lip", "pascal"))
    assert label_lookup(atr)[atr.index("bag")] == VOID
    assert label_lookup(lip)[lip.index("jumpsuits")] == CIHP.index("dress")
    assert label_lookup(pascal)[pascal.index("torso")] == CIHP.index("upper-clothes")
    assert atr.names[atr.flip[atr.index("left-leg")]] == "right-leg"
    np.testing.assert_array_equal(pascal.flip, np.arange(7))


def test_unknown_taxonomies_are_named():
    assert taxonomy_by_name("ATR") is TAXONOMIES["atr"]
    with pytest.raises(UserError, match="did you mean 'cihp'"):
        taxonomy_by_name("cih")
