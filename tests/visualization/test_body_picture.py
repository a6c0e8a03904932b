"""Pictures of simple solids whose place and brightness are known."""

import jax.numpy as jnp
import numpy as np
import pytest

from dsr_jax.camera import (
    FOCAL_NDC,
    Crop,
    crop_ndc_to_image_ndc,
    ndc_to_pixels,
    pixels_to_ndc,
    project_weak_to_ndc,
)
from dsr_jax.visualization import (
    body_picture,
    overlay_body,
    side_view,
    turn_about_vertical,
)
from dsr_jax.visualization.shading import lambert, vertex_normals

GREY = (200, 200, 200)
# Corners of a box and its faces, counter-clockwise from outside.
CORNERS = np.array(
    [[x, y, z] for z in (-1, 1) for y in (-1, 1) for x in (-1, 1)], np.float32
)
BOX_FACES = np.array(
    [
        *([0, 2, 3], [0, 3, 1], [4, 5, 7], [4, 7, 6]),
        *([0, 4, 6], [0, 6, 2], [1, 3, 7], [1, 7, 5]),
        *([0, 1, 5], [0, 5, 4], [2, 6, 7], [2, 7, 3]),
    ],
    np.int32,
)
CAMERA = np.array([0.8, 0.0, 0.0], np.float32)


def _rectangle(left, top, right, bottom, image_size, depth=40.0):
    """Two triangles that cover the pixels left … right - 1, top … bottom - 1."""
    corners = np.array([[left, top], [right, top], [right, bottom], [left, bottom]])
    points = pixels_to_ndc(jnp.asarray(corners - 0.5, jnp.float32), image_size)
    vertices = np.concatenate([points, np.full((4, 1), depth, np.float32)], 1)
    return vertices, np.array([[0, 1, 2], [0, 2, 3]], np.int32)


def _covered(image, paper):
    return np.any(image != paper, -1)


@pytest.mark.parametrize("image_size", [(40, 40), (40, 70), (90, 50)])
def test_exactly_the_covered_pixels_are_painted(image_size):
    paper = np.full((*image_size, 3), 17, np.uint8)
    picture = overlay_body(paper, *_rectangle(6, 9, 31, 30, image_size))
    expected = np.zeros(image_size, bool)
    expected[9:30, 6:31] = True
    np.testing.assert_array_equal(_covered(picture, paper), expected)
    assert (paper == 17).all()


def test_the_window_of_a_body_partly_outside_is_in_place():
    paper = np.zeros((48, 64, 3), np.uint8)
    picture = overlay_body(paper, *_rectangle(-20, 33, 12, 400, (48, 64)))
    expected = np.zeros((48, 64), bool)
    expected[33:, :12] = True
    np.testing.assert_array_equal(_covered(picture, paper), expected)


def test_a_body_outside_leaves_a_copy():
    paper = np.full((20, 20, 3), 5, np.uint8)
    picture = overlay_body(paper, *_rectangle(50, 5, 60, 15, (20, 20)))
    np.testing.assert_array_equal(picture, paper)
    assert picture is not paper


def test_edges_are_antialiased_by_their_coverage():
    """A rectangle that ends in the middle of a pixel column covers half of it."""
    paper = np.zeros((32, 32, 3), np.uint8)
    picture = overlay_body(paper, *_rectangle(8, 8, 20.5, 24, (32, 32)), colour=GREY)
    inside, edge = picture[12, 12].astype(float), picture[12, 20].astype(float)
    np.testing.assert_allclose(edge, inside / 2, atol=1)
    assert picture[12, 21].max() == 0


def test_opacity_mixes_photo_and_body():
    paper = np.full((32, 32, 3), 100, np.uint8)
    body = _rectangle(8, 8, 24, 24, (32, 32))
    opaque = overlay_body(paper, *body)[16, 16].astype(float)
    mixed = overlay_body(paper, *body, opacity=0.25)[16, 16]
    np.testing.assert_allclose(mixed, 75 + 0.25 * opaque, atol=0.5)


def test_the_nearer_of_two_surfaces_is_seen_and_brighter_if_lit():
    """A slanted roof before a wall; the roof faces the lamp above more."""
    angle = np.deg2rad(40)
    wall = lambert(np.array([[0.0, 0.0, -1.0]]))[0]
    roof = lambert(np.array([[0.0, -np.sin(angle), -np.cos(angle)]]))[0]
    assert roof > wall
    # y points down and z away: the third corner is the upper and the farther one.
    top = [0.0, -0.8 * np.cos(angle), 0.8 * np.sin(angle)]
    triangle = np.array([[-0.4, 0.0, 0.0], [0.4, 0.0, 0.0], top])
    points = project_weak_to_ndc(
        jnp.asarray(triangle, jnp.float32), jnp.asarray(CAMERA)
    )
    behind, faces = _rectangle(0, 0, 64, 64, (64, 64), depth=60.0)
    vertices = np.concatenate([points, behind])
    both = np.concatenate([[[0, 1, 2]], faces + 3]).astype(np.int32)
    picture = overlay_body(np.zeros((64, 64, 3), np.uint8), vertices, both, GREY)
    u, v = (
        np.asarray(ndc_to_pixels(points[:, :2].mean(0), (64, 64))).round().astype(int)
    )
    np.testing.assert_allclose(picture[v, u], roof * 200, atol=2)
    np.testing.assert_allclose(picture[60, 4], wall * 200, atol=2)


def test_winding_does_not_matter():
    camera = jnp.asarray(CAMERA) + jnp.array([0.0, 0.0137, 0.0])
    points = project_weak_to_ndc(jnp.asarray(CORNERS * 0.5), camera)
    paper = np.zeros((48, 48, 3), np.uint8)
    outwards = overlay_body(paper, points, BOX_FACES)
    inwards = overlay_body(paper, points, BOX_FACES[:, ::-1])
    np.testing.assert_allclose(outwards.astype(int), inwards, atol=1)


def test_normals_point_outwards_and_lonely_vertices_have_none():
    lonely = np.concatenate([CORNERS, [[9, 9, 9]]]).astype(np.float32)
    # Camera axes are a rotation of glTF's, so counter-clockwise stays outwards.
    normals = vertex_normals(lonely, BOX_FACES)
    np.testing.assert_allclose(np.linalg.norm(normals[:-1], axis=1), 1, rtol=1e-5)
    assert (np.sum(normals[:-1] * CORNERS, 1) > 0).all()
    np.testing.assert_array_equal(normals[-1], 0)


def test_a_turn_by_a_right_angle_points_left_what_pointed_at_the_camera():
    nose = np.array([[1.0, 5.0, -1.0]])
    pivot = np.array([1.0, 0.0, 2.0])
    turned = turn_about_vertical(nose, pivot, np.pi / 2)
    np.testing.assert_allclose(turned, [[-2.0, 5.0, 2.0]], atol=1e-6)


def test_the_side_view_shows_depth_as_width():
    slab = CORNERS * np.array([0.1, 0.5, 0.3], np.float32)
    front = overlay_body(
        np.full((96, 96, 3), 255, np.uint8),
        project_weak_to_ndc(jnp.asarray(slab), jnp.asarray(CAMERA)),
        BOX_FACES,
    )
    side = side_view(slab, BOX_FACES, np.zeros(3), CAMERA, (96, 96))
    widths, heights = zip(*(_extent(picture) for picture in (front, side)), strict=True)
    # Half a crop (48 px) times the scale is one metre.
    np.testing.assert_allclose(widths, [0.2 * 38.4, 0.6 * 38.4], atol=1.5)
    np.testing.assert_allclose(heights, [38.4, 38.4], atol=2)


def _extent(picture):
    rows, columns = np.nonzero(np.any(picture != 255, -1))
    return np.ptp(columns) + 1, np.ptp(rows) + 1


def test_the_side_view_stands_where_the_person_is_in_the_photo():
    crop = Crop(jnp.array([70.0, 40.0]), jnp.array(60.0))
    cube = CORNERS * np.float32(0.4)
    size = (80, 120)
    points = project_weak_to_ndc(jnp.asarray(cube), jnp.asarray(CAMERA))
    paper = np.full((*size, 3), 255, np.uint8)
    front = overlay_body(
        paper,
        crop_ndc_to_image_ndc(points, crop, size),
        BOX_FACES,
        focal_ndc=FOCAL_NDC * 60 / 80,
    )
    # A cube turned by a right angle fills the same place.
    side = side_view(cube, BOX_FACES, np.zeros(3), CAMERA, size, crop)
    np.testing.assert_array_equal(_covered(front, paper), _covered(side, paper))
    rows, columns = np.nonzero(_covered(side, paper))
    np.testing.assert_allclose([columns.mean(), rows.mean()], [70, 40], atol=0.6)


def test_accelerator_arrays_are_taken():
    paper = np.zeros((40, 40, 3), np.uint8)
    vertices, faces = _rectangle(6, 9, 31, 30, (40, 40))
    picture = overlay_body(paper, jnp.asarray(vertices), jnp.asarray(faces))
    np.testing.assert_array_equal(picture, overlay_body(paper, vertices, faces))


def test_a_body_larger_than_one_square_has_no_seams(monkeypatch):
    """The grid of squares, brought to a size at which it is fast to test."""
    body = _rectangle(3, 5, 40, 52, (60, 50))
    paper = np.zeros((60, 50, 3), np.uint8)
    whole = overlay_body(paper, *body, opacity=0.5)
    monkeypatch.setattr(body_picture, "_SIDES", (16, 32))
    np.testing.assert_array_equal(overlay_body(paper, *body, opacity=0.5), whole)
    rows, columns = np.nonzero(whole[..., 0])
    bounds = rows.min(), rows.max(), columns.min(), columns.max()
    np.testing.assert_array_equal(bounds, [5, 51, 3, 39])
