"""Labels as a parser gets them wrong: each kind of error alone, and all by severity."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dsr_jax.data.synthetic import ParserNoise, corrupt_labels, generator
from dsr_jax.semantics import CIHP

SIZE = 112
NONE = ParserNoise.scaled(0)
SHIRT, PANTS, SKIN = (CIHP.index(n) for n in ("upper-clothes", "pants", "torso-skin"))
LIMBS = [
    f"{side}-{part}" for part in ("arm", "leg", "shoe") for side in ("left", "right")
]


@pytest.fixture(scope="module")
def labels():
    """Forty times a doll of rectangles: a shirt, trousers, arms, legs and shoes."""
    doll = np.zeros((SIZE, SIZE), np.uint8)
    doll[20:60, 40:72] = SHIRT
    doll[60:80, 40:72] = PANTS
    for side, left in (("right", 40), ("left", 58)):
        doll[80:96, left : left + 14] = CIHP.index(f"{side}-leg")
        doll[96:104, left : left + 14] = CIHP.index(f"{side}-shoe")
    doll[20:56, 30:40] = CIHP.index("right-arm")
    doll[20:56, 72:82] = CIHP.index("left-arm")
    return jnp.asarray(np.tile(doll, (40, 1, 1)))


@pytest.fixture(scope="module")
def corrupt(labels):
    function = jax.jit(corrupt_labels, static_argnums=2)

    def call(noise, seed=0):
        return np.asarray(function(jax.random.key(seed), labels, noise))

    return call


def test_no_noise_changes_nothing(corrupt, labels):
    got = corrupt(NONE)
    assert got.dtype == np.uint8
    np.testing.assert_array_equal(got, labels)


def test_borders_waver_by_the_pixels_asked_for(corrupt, labels):
    """What moves lies within four standard deviations of a border; areas remain."""
    clean = np.asarray(labels)
    got = corrupt(dataclasses.replace(NONE, border_px=4.0))
    wrong = got != clean
    assert wrong.any((1, 2)).all()
    reach = 8  # Four deviations of 4 px at 224, on a crop of half the size.
    shifts = range(-reach, reach + 1)
    near = np.zeros(clean.shape[1:], bool)
    for axis in (0, 1):
        lines = [np.roll(clean[0], k, axis) for k in shifts]
        near |= np.ptp(np.stack(lines), 0) > 0
    corner = wrong & ~near
    assert corner.sum() < 0.01 * wrong.sum()
    area = (got == SHIRT).sum() / (clean == SHIRT).sum()
    assert area == pytest.approx(1, abs=0.1)
    # Beside a straight border the mean absolute deviation is 0.8 standard deviations.
    line = (got[:, 30:50, :56] == CIHP.index("right-arm")).argmax(2)
    assert np.abs(line - 30.0).mean() == pytest.approx(0.8 * 2.0, rel=0.35)


def test_whole_limbs_are_lost_to_the_background_or_to_clothes(corrupt, labels):
    clean = np.asarray(labels)
    got = corrupt(dataclasses.replace(NONE, missing_probability=0.5))
    lost, to_background = 0, 0
    for name in LIMBS:
        there = clean[0] == CIHP.index(name)
        cloth = SHIRT if name.endswith("arm") else PANTS
        for one in got:
            (value,) = np.unique(one[there])
            assert value in (CIHP.index(name), 0, cloth)
            lost += value != CIHP.index(name)
            to_background += value == 0
    # Three standard errors of 240 and of 120 draws.
    assert lost / 240 == pytest.approx(0.5, abs=0.1)
    assert to_background / lost == pytest.approx(0.5, abs=0.14)
    torso = (clean == SHIRT) | (clean == PANTS)
    np.testing.assert_array_equal(got[torso], clean[torso])


def test_sides_are_swapped_for_arms_and_for_legs_with_shoes(corrupt, labels):
    clean, flip = np.asarray(labels), CIHP.flip
    every = corrupt(dataclasses.replace(NONE, swap_probability=1.0))
    np.testing.assert_array_equal(every, flip[clean])
    some = corrupt(dataclasses.replace(NONE, swap_probability=0.5))
    left = {part: CIHP.index(f"left-{part}") for part in ("arm", "leg", "shoe")}
    swaps = {}
    for part, label in left.items():
        place = np.argwhere(clean[0] == label)[0]
        swaps[part] = some[:, place[0], place[1]] == flip[label]
    np.testing.assert_array_equal(swaps["leg"], swaps["shoe"])
    assert 8 <= swaps["arm"].sum() <= 32 and (swaps["arm"] != swaps["leg"]).any()


def test_garments_are_confused_with_their_like_whole_or_in_part(corrupt, labels):
    clean = np.asarray(labels)
    got = corrupt(dataclasses.replace(NONE, confusion_probability=1.0))
    shirt = [set(np.unique(one[clean[0] == SHIRT])) for one in got]
    like = {SHIRT, SKIN, CIHP.index("coat"), CIHP.index("dress")}
    assert all(values <= like for values in shirt)
    assert {len(values) for values in shirt} == {1, 2}
    trousers = set(np.unique(got[clean == PANTS]))
    assert trousers == {PANTS, CIHP.index("skirt")}
    limbs = clean >= CIHP.index("left-arm")
    np.testing.assert_array_equal(got[limbs], clean[limbs])


def test_holes_are_on_the_person_and_specks_anywhere(corrupt, labels):
    clean = np.asarray(labels)
    holes = corrupt(dataclasses.replace(NONE, hole_probability=1.0))
    assert ((holes == clean) | (holes == 0)).all()
    gone = (holes != clean).sum((1, 2))
    # Four ellipses of half-axes of at most 8 px.
    assert gone.min() > 0 and gone.max() < 4 * np.pi * 8 * 8
    specks = corrupt(dataclasses.replace(NONE, speck_probability=1.0))
    new = specks != clean
    assert (specks[new] > 0).all() and new[clean == 0].any()
    assert len(np.unique(specks[new])) > 10


def test_severity_goes_from_none_to_a_mediocre_parser(corrupt, labels):
    clean = np.asarray(labels)
    person = clean > 0
    rates = [
        (corrupt(ParserNoise.scaled(s)) == clean)[person].mean()
        for s in (0.0, 0.4, 1.0)
    ]
    assert rates[0] == 1 and np.all(np.diff(rates) < 0)
    assert 0.7 < rates[2] < 0.92
    assert ParserNoise.scaled(1) == ParserNoise()
    assert ParserNoise.scaled(100).swap_probability == 1


@pytest.mark.parametrize("field", ["border_px", "swap_probability"])
def test_bad_noise_is_refused(field):
    with pytest.raises(ValueError, match=field):
        ParserNoise(**{field: -1.0})
    with pytest.raises(ValueError, match="severity"):
        ParserNoise.scaled(-0.1)
    with pytest.raises(ValueError, match="hole_probability"):
        ParserNoise(hole_probability=1.1)


@pytest.mark.slow
def test_a_setting_gives_people_the_labels_of_a_parser(
    monkeypatch, people, body, settings
):
    """The drawing is left out: it is the same, and takes long to compile."""
    monkeypatch.setattr(generator, "survey", lambda _: None)
    for name in ("sample_person", "sample_view"):
        monkeypatch.setattr(generator, name, lambda *_: jnp.zeros(()))
    drawn = jax.tree.map(jnp.asarray, people)
    no_vertices = jnp.zeros((12, 0, 3))
    monkeypatch.setattr(generator, "_in_chunks", lambda *_: (drawn, no_vertices))

    def labels(severity):
        changed = dataclasses.replace(settings, parser_noise=severity)
        make = generator.synthetic_people.__wrapped__
        return np.asarray(make(jax.random.key(0), 12, body, changed).labels)

    np.testing.assert_array_equal(labels(0.0), people.labels)
    person = people.labels > 0
    assert 0.5 < (labels(1.0) == people.labels)[person].mean() < 0.95
