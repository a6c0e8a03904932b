"""Boxes from OpenPose's files, rectangles and whole photos."""

import json

import numpy as np
import pytest

from dsr_jax.data.person_box import (
    centred_box,
    read_bbox,
    read_openpose_boxes,
)
from dsr_jax.errors import UserError


def _keypoints(*places, confidence=0.9):
    values = np.zeros((25, 3))
    for index, place in enumerate(places):
        values[index] = [*place, confidence]
    return values


def _write(path, *people):
    entries = [{"pose_keypoints_2d": p.ravel().tolist()} for p in people]
    path.write_text(json.dumps({"version": 1.3, "people": entries}))


def test_every_person_gets_the_grown_square_of_the_confident_keypoints(tmp_path):
    tall = _keypoints((10, 20), (30, 120), (20, 60), (20, 80))
    tall[10] = [500, 500, 0.1]
    wide = _keypoints((0, 0), (50, 10), (10, 5), (20, 5))
    _write(tmp_path / "a.json", tall, wide)
    first, second = read_openpose_boxes(tmp_path / "a.json")
    assert first.center_px == (20, 70) and first.size_px == pytest.approx(120)
    assert second.center_px == (25, 5) and second.size_px == pytest.approx(60)


def test_people_without_an_outline_keep_their_number(tmp_path):
    good = _keypoints((10, 20), (30, 120), (20, 60), (20, 80))
    few, same = _keypoints((1, 2), (3, 4), (5, 6)), _keypoints(*[(7, 7)] * 6)
    unsure = _keypoints((10, 20), (30, 120), (20, 60), (20, 80), confidence=0.2)
    _write(tmp_path / "a.json", few, good, same, unsure)
    boxes = read_openpose_boxes(tmp_path / "a.json")
    assert [box is None for box in boxes] == [True, False, True, True]
    _write(tmp_path / "empty.json")
    assert read_openpose_boxes(tmp_path / "empty.json") == []


def test_a_rectangle_covers_whole_pixels(tmp_path):
    (tmp_path / "b.json").write_text('{"bbox": [10, 20, 30, 40]}')
    box = read_bbox(tmp_path / "b.json")
    # Pixels 10 … 39 and 20 … 59.
    assert box.center_px == (24.5, 39.5) and box.size_px == pytest.approx(48)


def test_a_centred_person_fills_the_photo():
    box = centred_box((30, 50))
    assert box.center_px == (24.5, 14.5) and box.size_px == 50


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[1, 2]",
        "\x00\xff",
        '{"bbox": [1, 2, 3]}',
        '{"bbox": [1, 2, 3, -4]}',
        '{"bbox": [1, 2, 3, NaN]}',
        '{"bbox": [1, 2, 3, 1e9]}',
        '{"bbox": [1, 2, 3, 1' + 400 * "0" + "]}",
        100_000 * "[",
        '{"bbox": [1, 2, 3, "4"]}',
        '{"bbox": [1, 2, 3, true]}',
        '{"bbox": null}',
        '{"people": [{"pose_keypoints_2d": [1, 2, 3]}]}',
        '{"people": [7]}',
        '{"people": {}}',
    ],
)
@pytest.mark.parametrize("read", [read_bbox, read_openpose_boxes])
def test_other_files_are_refused_by_name(tmp_path, content, read):
    path = tmp_path / "other.json"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(UserError, match=r"other\.json: "):
        read(path)
    with pytest.raises(UserError, match=r"nowhere\.json: cannot read this json file"):
        read(tmp_path / "nowhere.json")
