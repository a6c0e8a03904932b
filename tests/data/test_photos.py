"""Which photos and people a command line means."""

import json

import pytest

from dsr_jax.data import find_photos
from dsr_jax.errors import UserError

GOOD = [0.0] * 63 + [10, 20, 0.9, 30, 120, 0.9, 20, 60, 0.9, 20, 80, 0.9]
UNSURE = [0.0] * 75


def _openpose(path, *people):
    path.parent.mkdir(exist_ok=True)
    content = {"people": [{"pose_keypoints_2d": person} for person in people]}
    path.write_text(json.dumps(content))


@pytest.fixture
def folder(tmp_path):
    """Photos are never opened here, so that their content may be empty."""
    for name in ("b.png", "a.JPG", "notes.txt", "._a.JPG"):
        (tmp_path / "photos" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "photos" / name).touch()
    return tmp_path


def _names(photos):
    return [(photo.path.name, [name for name, _ in photo.people]) for photo in photos]


def test_without_boxes_everyone_fills_the_photo(folder):
    photos = find_photos(folder / "photos")
    assert _names(photos) == [("a.JPG", ["a"]), ("b.png", ["b"])]
    assert photos[0].people[0][1] is None
    assert _names(find_photos(folder / "photos" / "b.png")) == [("b.png", ["b"])]


def test_people_are_numbered_as_in_the_file_if_there_are_several(folder):
    _openpose(folder / "one.json", GOOD)
    _openpose(folder / "three.json", UNSURE, GOOD, GOOD)
    photo = folder / "photos" / "b.png"
    assert _names(find_photos(photo, openpose=folder / "one.json"))[0][1] == ["b"]
    several = find_photos(photo, openpose=folder / "three.json")
    assert _names(several)[0][1] == ["b_1", "b_2"]
    assert several[0].people[0][1].size_px == pytest.approx(120)


def test_json_files_of_a_folder_go_by_the_photos_names(folder):
    _openpose(folder / "json" / "a.json", GOOD)
    _openpose(folder / "json" / "b_keypoints.json")
    photos = find_photos(folder / "photos", openpose=folder / "json")
    assert _names(photos) == [("a.JPG", ["a"]), ("b.png", [])]
    (folder / "json" / "b.json").write_text('{"bbox": [0, 0, 10, 10]}')
    (folder / "json" / "a.json").write_text('{"bbox": [0, 0, 20, 10]}')
    boxes = find_photos(folder / "photos", box=folder / "json")
    assert [p.people[0][1].size_px for p in boxes] == pytest.approx([24, 12])


def test_mistakes_name_what_is_wrong(folder):
    photos, photo = folder / "photos", folder / "photos" / "b.png"
    _openpose(folder / "nobody.json", UNSURE)
    _openpose(folder / "json" / "a.json", GOOD)
    (folder / "empty").mkdir()
    for arguments, message in [
        ((folder / "nowhere.jpg",), r"nowhere\.jpg: no such photo or folder"),
        ((folder / "empty",), r"empty: holds no photo"),
        ((photo, "x", "y"), r"choose one"),
        ((photo, folder / "nobody.json"), r"nobody\.json: shows nobody"),
        ((photo, folder / "json"), r"json: is a folder, but --image is one photo"),
        ((photos, folder / "nobody.json"), r"--openpose must be a folder"),
        ((photos, folder / "json"), r"b\.json: no such file for .*b\.png"),
        ((photo, None, folder / "nowhere.json"), r"nowhere\.json: cannot read"),
    ]:
        with pytest.raises(UserError, match=message):
            find_photos(*arguments)


def test_two_people_never_share_a_name(folder):
    (folder / "photos" / "b.jpg").touch()
    with pytest.raises(UserError, match="2 people would be written as 'b'"):
        find_photos(folder / "photos")
