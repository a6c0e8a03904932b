"""Labels, keypoints and panels."""

import numpy as np
import pytest

from dsr_jax.body import KEYPOINT_NAMES_49
from dsr_jax.semantics import CIHP
from dsr_jax.visualization import draw_keypoints, overlay_labels, panel


def test_labels_are_mixed_in_their_colours_and_background_is_clear():
    image = np.full((4, 6, 3), 100, np.uint8)
    labels = np.zeros((4, 6), np.uint8)
    labels[1, 2] = CIHP.index("face")
    picture = overlay_labels(image, labels, opacity=0.5)
    mixed = 50 + 0.5 * CIHP.palette[CIHP.index("face")].astype(float)
    np.testing.assert_allclose(picture[1, 2], mixed, atol=0.5)
    labels[1, 2] = 0
    picture[1, 2] = 100
    np.testing.assert_array_equal(picture, image)


def _keypoints(**places):
    keypoints = np.zeros((49, 3), np.float32)
    for name, (column, row) in places.items():
        x, y = (2 * column + 1 - 60) / 60, (59 - 2 * row) / 60
        keypoints[KEYPOINT_NAMES_49.index(name)] = [x, y, 1]
    return keypoints


def test_keypoints_are_drawn_where_they_are_with_the_colour_of_their_side():
    image = np.zeros((60, 60, 3), np.uint8)
    picture = draw_keypoints(image, _keypoints(left_knee=(40, 15), right_knee=(20, 45)))
    left, right = picture[15, 40].astype(int), picture[45, 20].astype(int)
    assert left[2] > left[0] and right[0] > right[2]
    rows, columns = np.nonzero(picture.any(-1))
    marks = np.stack([columns, rows], -1)
    near = [np.abs(marks - place).max(1) <= 4 for place in ((40, 15), (20, 45))]
    assert (near[0] | near[1]).all() and near[0].any() and near[1].any()
    assert not image.any()


def test_limbs_join_keypoints_that_both_count():
    image = np.zeros((60, 60, 3), np.uint8)
    both = _keypoints(left_knee=(30, 10), left_ankle=(30, 50))
    assert draw_keypoints(image, both)[30, 30].any()
    both[KEYPOINT_NAMES_49.index("left_ankle"), 2] = 0.1
    assert not draw_keypoints(image, both)[30, 30].any()
    assert not draw_keypoints(image, both)[50, 30].any()


def _pictures(*sizes):
    return [
        np.full((h, w, 3), 10 * (i + 1), np.uint8) for i, (h, w) in enumerate(sizes)
    ]


def test_a_panel_is_a_grid_with_gaps():
    sheet = panel(_pictures((20, 30), (20, 30), (20, 30)), columns=2, gap=4)
    assert sheet.shape == (2 * 24 + 4, 2 * 34 + 4, 3)
    assert (sheet[4:24, 4:34] == 10).all() and (sheet[4:24, 38:68] == 20).all()
    assert (sheet[28:48, 4:34] == 30).all()
    assert (sheet[28:48, 38:68] == 255).all() and (sheet[:, 34:38] == 255).all()


def test_smaller_pictures_are_centred_in_their_cell():
    sheet = panel(_pictures((20, 30), (10, 10)), gap=2)
    rows, columns = np.nonzero(sheet[..., 0] == 20)
    assert (rows.min(), rows.max()) == (7, 16)
    assert (columns.min(), columns.max()) == (34 + 10, 34 + 19)


def test_captions_stay_in_their_band_and_cell():
    long = "a caption that is much too long for so small a picture"
    sheet = panel(_pictures((40, 50), (40, 50)), ["short", long], gap=4)
    band = sheet.shape[0] - 2 * 4 - 40
    ink = np.argwhere(sheet.min(-1) < 200)
    ink = ink[ink[:, 0] < 4 + band]
    assert len(ink) > 20 and ink[:, 0].min() >= 4
    assert ((ink[:, 1] >= 4) & (ink[:, 1] < sheet.shape[1] - 4)).all()
    assert not ((ink[:, 1] >= 54) & (ink[:, 1] < 58)).any()
    assert (sheet[4 + band : -4, 4:54] == 10).all()


def test_panels_need_pictures_and_as_many_captions():
    with pytest.raises(ValueError, match="needs a picture"):
        panel([])
    with pytest.raises(ValueError, match="1 captions for 2 pictures"):
        panel(_pictures((4, 4), (4, 4)), ["one"])
