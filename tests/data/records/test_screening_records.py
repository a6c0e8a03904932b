"""Broken things among good ones: named and counted, or refused; the good ones stay."""

import csv

import numpy as np
import pytest

from dsr_jax.data import Skipped
from dsr_jax.data.records import (
    BuildSettings,
    RecordSource,
    Screening,
    build_records,
    read_journal,
)
from dsr_jax.errors import UserError
from dsr_jax.semantics import BrokenLabelMap
from tests.people_sources import (
    HEIGHT,
    WIDTH,
    encoded,
    label_bytes,
    make_person,
    make_source,
    missing_photo,
    photo_bytes,
)

NAN_POSE = "'pose' is not finite"


def _with(field, number, value):
    source = make_source()
    getattr(source, field)[number] = value
    return source


def _nan_others():
    source = make_source()
    source.nearby[5] = np.full((1, 49, 3), np.nan, np.float32)
    return source


NAME = "photos/005.jpg"
# What is broken, who is left out, the reason, the words with which it stops.
PEOPLE = {
    "truncated photo": (
        lambda: _with("photos", 5, photo_bytes(5)[:-40]),
        (NAME, "photo: cut off"),
        "photo 5: this image is truncated",
    ),
    "no photo at all": (
        lambda: _with("photos", 5, b"GIF89a nothing"),
        (NAME, "photo: no image"),
        "photo 5: not an image",
    ),
    "empty photo": (
        lambda: _with("photos", 5, b""),
        (NAME, "photo: no image"),
        "photo 5: not an image",
    ),
    "missing photo": (
        lambda: _with("photos", 5, missing_photo("b.jpg")),
        (NAME, "photo: no such file or directory"),
        "b.jpg: cannot read",
    ),
    "NaN pose": (
        lambda: _with("people", 5, ValueError(NAN_POSE)),
        ("person 5", NAN_POSE),
        "person 5: 'pose' is not finite; correct it, or skip it",
    ),
    "annotation unreadable": (
        lambda: _with("people", 5, UserError("x.json: damaged")),
        ("person 5", "annotation unusable"),
        "x.json: damaged",
    ),
    "name twice": (
        lambda: _with("people", 5, make_person(5, name=make_person(4).name)),
        ("photos/004.jpg", "name is there twice"),
        "photos/004.jpg: name is there twice",
    ),
    "person twice": (
        lambda: _with("people", 5, make_person(4, name="another")),
        ("another", "same person of the same photo twice"),
        "another: same person",
    ),
    "box beside the photo": (
        lambda: _with("people", 5, make_person(5, box_center_px=np.array([99.0, 9.0]))),
        (NAME, "box outside of the photo"),
        f"{NAME}: box outside",
    ),
    "NaN beside": (
        _nan_others,
        (NAME, "keypoints of others are not finite"),
        f"{NAME}: keypoints of others",
    ),
}
LABELS = {
    "another size": (label_bytes(5, (HEIGHT, WIDTH + 1)), "size"),
    "no PNG": (b"nothing", ""),
    "cut off": (label_bytes(5)[:-20], ""),
    "a silhouette": (encoded(np.full((HEIGHT, WIDTH), 255, np.uint8), ".png"), ""),
}


def build(source, folder, **screening):
    settings = BuildSettings("spin", "train", folder, screening=Screening(**screening))
    return build_records(source, settings)


def others_are_intact(folder, left_out=5):
    records, good = RecordSource(folder), make_source()
    kept = [index for index in range(10) if index != left_out]
    assert len(records) == len(kept)
    for index, number in enumerate(kept):
        assert records.image(index).data == good.photos[number]
        np.testing.assert_array_equal(
            records.person(index).pose, good.people[number].pose
        )


@pytest.mark.parametrize("case", PEOPLE)
def test_a_broken_person_is_left_out_by_option(tmp_path, case):
    make, (what, reason), _ = PEOPLE[case]
    journal = build(make(), tmp_path, broken="skip")
    assert journal.skipped == (Skipped(what, reason),)
    with (tmp_path / "skipped_train.csv").open() as file:
        assert list(csv.reader(file))[1:] == [[what, reason]]
    others_are_intact(tmp_path)


@pytest.mark.parametrize("case", PEOPLE)
def test_a_broken_person_stops_with_one_line(tmp_path, case):
    make, _, line = PEOPLE[case]
    with pytest.raises(UserError, match=r"^[^\n]+$") as error:
        build(make(), tmp_path)
    assert str(error.value).startswith(line)
    with pytest.raises(UserError):
        RecordSource(tmp_path)


@pytest.mark.parametrize("case", LABELS)
def test_of_a_broken_label_map_the_person_stays(tmp_path, case):
    data, words = LABELS[case]
    with pytest.raises(BrokenLabelMap, match="map 5"):
        build(_with("labels", 5, data), tmp_path / "stop")
    journal = build(_with("labels", 5, data), tmp_path / "skip", broken="skip")
    (left_out,) = journal.skipped
    assert left_out.what == NAME and words in left_out.reason
    assert left_out.reason.startswith("label map left out: ")
    records = RecordSource(tmp_path / "skip")
    assert len(records) == 10 and records.label_map(5) is None
    assert records.label_map(6).data == label_bytes(6)


def test_reasons_are_counted_without_their_numbers(tmp_path):
    source = make_source()
    source.skipped = (Skipped("a", "has 3 limbs"), Skipped("b", "has 12 limbs"))
    source.photos[1] = source.photos[8] = photo_bytes(1)[:-30]
    journal = build(source, tmp_path, broken="skip")
    assert journal.reasons() == [("has N limbs", 2), ("photo: cut off", 2)]
    assert [one.what for one in journal.skipped[:2]] == ["a", "b"]


def test_photos_need_not_be_decoded(tmp_path):
    """Only with their sizes can label maps be compared: they are kept as they are."""
    broken = _with("photos", 5, photo_bytes(5)[:-40])
    broken.labels[6] = b"nothing"
    journal = build(broken, tmp_path, verify_images=False)
    assert journal.skipped == () and journal.records == 10
    assert RecordSource(tmp_path).label_map(6).data == b"nothing"


def test_a_name_that_is_no_text(tmp_path):
    """As Linux gives it of a file whose name is not UTF-8."""
    source = make_source()
    source.people[4] = make_person(4, name="photo\udcff", image_name="photo\udcff")
    source.skipped = (Skipped("other\udcff", "has no limbs"),)
    with pytest.raises(UserError, match=r"person 4: .* not text in UTF-8; correct it"):
        build(source, tmp_path / "stop")
    journal = build(source, tmp_path / "skip", broken="skip")
    assert journal.records == 9
    assert read_journal(tmp_path / "skip", "train").skipped == journal.skipped
    assert "other\\udcff" in (tmp_path / "skip" / "skipped_train.csv").read_text()


def test_nobody_left_is_an_error(tmp_path):
    source = make_source()
    source.photos = [b"nothing"] * 10
    with pytest.raises(UserError, match="nobody can be used; the first is photos/000"):
        build(source, tmp_path, broken="skip")


def test_who_is_annotated_twice_is_not_beside_himself(tmp_path):
    source = make_source()
    own, other = source.people[2].keypoints_px, source.nearby[2][:1]
    source.nearby[2] = np.concatenate([own[None], other])
    build(source, tmp_path)
    np.testing.assert_array_equal(RecordSource(tmp_path).others(2), other)


@pytest.mark.parametrize("changes", [{"broken": "ignore"}, {"taxonomy": "chip"}])
def test_unknown_settings(changes):
    with pytest.raises(ValueError, match="is unknown"):
        Screening(**changes)
