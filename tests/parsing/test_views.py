"""Windows of photos: what is shown, and whose a pixel is."""

import numpy as np
import pytest

from dsr_jax.data import PersonBox
from dsr_jax.parsing.views import (
    Window,
    box_window,
    cut,
    fitted,
    nearest_windows,
    pixels_inside,
    whole_window,
)


def _photo(height, width):
    return np.random.default_rng(0).integers(1, 256, (height, width, 3), np.uint8)


def test_a_window_on_the_grid_shows_its_pixels_and_black_beside_the_photo():
    photo = _photo(6, 8)
    np.testing.assert_array_equal(cut(photo, whole_window((6, 8)), (6, 8)), photo)
    shown = cut(photo, Window(-2.5, 2.5, 6, 9), (9, 6))
    expected = np.zeros((9, 6, 3), np.uint8)
    expected[:3, 2:] = photo[3:, :4]
    np.testing.assert_array_equal(shown, expected)


def test_shrinking_takes_means_and_each_axis_has_its_own_factor():
    photo = _photo(6, 8)
    blocks = photo.reshape(2, 3, 4, 2, 3).mean((1, 3))
    shown = cut(photo, whole_window((6, 8)), (2, 4))
    np.testing.assert_allclose(shown, blocks, atol=0.51)  # rounded


def test_enlarging_keeps_the_edges_of_the_photo():
    """A photo's outer half pixel is its edge's colour, not a blend with black."""
    shown = cut(np.full((3, 4, 3), 200, np.uint8), whole_window((3, 4)), (30, 20))
    assert (shown == 200).all()
    wider = cut(np.full((4, 4, 3), 200, np.uint8), Window(-2.5, -0.5, 8, 4), (40, 80))
    inside = np.zeros((40, 80), bool)
    inside[:, 20:60] = True
    np.testing.assert_array_equal(wider, 200 * inside[..., None].repeat(3, 2))


def test_fitting_extends_the_shorter_side_both_ways():
    assert fitted(Window(0, 0, 10, 20), (30, 30)) == Window(-5, 0, 20, 20)
    assert fitted(Window(1, 2, 10, 20), (10, 5)) == Window(1, 2, 10, 20)
    assert fitted(Window(0, 0, 10, 10), (10, 20)) == Window(-5, 0, 20, 10)


def test_boxes_grow_around_their_centre():
    assert box_window(PersonBox((10, 20), 8), 1.5) == Window(4, 14, 12, 12)


@pytest.mark.parametrize(
    ("start", "extent", "expected"),
    [
        *[(-0.5, 10, (0, 10)), (2.5, 3, (3, 6)), (2.4, 3.3, (3, 6)), (-9, 5, (0, 0))],
        *[(8.2, 9, (9, 10)), (12, 4, (10, 10)), (3.0, 2.0, (3, 5))],
    ],
)
def test_a_pixel_is_inside_if_its_centre_is(start, extent, expected):
    assert pixels_inside(start, extent, 10) == expected


def test_pixels_belong_to_the_nearest_centre_and_of_equals_to_the_first():
    same = [Window(1.5, 1.5, 4, 4), Window(1.5, 1.5, 4, 4)]
    owners = nearest_windows(same, (8, 8))
    assert (owners[2:6, 2:6] == 0).all() and (owners == -1).sum() == 64 - 16
    # Column 5 is 1.5 from both centres, 3.5 and 6.5, of squares of side 6.
    pair = [Window(3.5, -0.5, 6, 6), Window(0.5, -0.5, 6, 6)]
    assert nearest_windows(pair, (6, 11))[3].tolist() == [-1] + [1] * 4 + [0] * 5 + [-1]
    assert nearest_windows(pair[::-1], (6, 11))[3].tolist() == (
        [-1] + [0] * 5 + [1] * 4 + [-1]
    )
