"""A rendered person, augmented, is the augmented person, rendered.

One affine map takes image, label map and keypoints to the crop, and pose and joints
turn with it. Here the reference is the renderer: the same body is drawn again, at the
crop's own resolution, from the augmented annotations or from screen positions that an
independent formula moved.
"""

import cv2
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from dsr_jax.body import KEYPOINT_FLIP_49, BodyParams, body_joints, load_body, pose_body
from dsr_jax.data import (
    Augmentation,
    AugmentationSettings,
    CropDataset,
    CropSettings,
    Person,
    StoredFile,
    crops,
)
from dsr_jax.rasterizer import visible_faces
from dsr_jax.semantics import CIHP, UNCLEANED

FOCAL = 3.2  # Half a photo's shorter side is one.
DISTANCE = 4.0
# Odd sizes, so that a shift of half a pixel cannot hide.
PHOTO = (401, 455)
RESOLUTION = 201
# Between pictures of hard edges, over some hundred pixels of edge; a wrong pixel centre
# anywhere is a shift of a third to half a pixel.
SHIFT_PX = 0.08


@pytest.fixture(scope="module")
def body():
    return load_body("free-lite")


def _pose():
    generator = np.random.default_rng(5)
    axis_angle = 0.12 * generator.normal(size=(24, 3))
    axis_angle[0] = Rotation.from_euler("XYZ", [np.pi, 0.4, 0.1]).as_rotvec()
    return axis_angle.astype(np.float32)


@jax.jit
def _mesh(body, pose):
    mesh = pose_body(body, BodyParams(pose, jnp.zeros(10)))
    joints = body_joints(body, mesh, "joints49")
    return mesh.vertices, joints, mesh.joints[0]


def _posed(body, matrices):
    return [np.asarray(x, np.float64) for x in _mesh(body, jnp.asarray(matrices))]


def _project(points, place):
    """Camera metres → photo pixels and depth, for a body that stands at `place`."""
    points = points + place
    m, centre = min(PHOTO), (np.array(PHOTO[::-1]) - 1) / 2
    pixels = centre + FOCAL * points[:, :2] / points[:, 2:] * m / 2
    return np.concatenate([pixels, points[:, 2:]], 1)


def _face_labels(body):
    """Stripes of labels up the body, another one left of the middle than right."""
    height, side = (
        np.asarray(body.template)[np.asarray(body.faces)].mean(1)[:, [1, 0]].T
    )
    stripes = (3 * (height - height.min()) / np.ptp(height)).astype(int).clip(0, 2)
    left, right = (
        np.array([CIHP.index(f"{s}-{p}") for p in ("shoe", "leg", "arm")])
        for s in ("left", "right")
    )
    return np.where(side > 0, left[stripes], right[stripes]).astype(np.uint8)


def _draw(body, pixels_and_depth, size):
    """Label map (H, W) of a body whose vertices are at these pixels."""
    height, width = size
    m = min(size)
    u, v, depth = pixels_and_depth.T
    ndc = np.stack([(2 * u + 1 - width) / m, (height - 1 - 2 * v) / m, depth], -1)
    hit = visible_faces(jnp.asarray(ndc, jnp.float32), body.faces, image_size=size)
    face = np.asarray(hit.face)
    return np.where(face >= 0, _face_labels(body)[face], 0).astype(np.uint8)


class _OnePerson:
    """A photo of one person, white on black."""

    def __init__(self, body, center, side):
        pose = _pose()
        matrices = Rotation.from_rotvec(pose).as_matrix().astype(np.float32)
        self.place = np.array([0.05, 0.25, DISTANCE])
        vertices, keypoints, self.root = _posed(body, matrices)
        self.vertices_px = _project(vertices, self.place)
        self.labels = _draw(body, self.vertices_px, PHOTO)
        points = _project(keypoints, self.place)
        points[:, 2] = 1
        joints = np.concatenate([keypoints[25:], np.ones((24, 1))], 1)
        self.one = Person(
            "a.png",
            "a.png",
            np.asarray(center, np.float32),
            side,
            keypoints_px=points.astype(np.float32),
            joints=joints.astype(np.float32),
            pose=pose,
            has_body=True,
        )
        shown = np.repeat(np.uint8(255 * (self.labels > 0))[..., None], 3, -1)
        self.files = [
            cv2.imencode(".png", x)[1].tobytes() for x in (shown, self.labels)
        ]

    def __len__(self):
        return 1

    def person(self, index):
        return self.one

    def others(self, index):
        return np.zeros((0, 49, 3), np.float32)

    def image(self, index):
        return StoredFile("a.png", self.files[0])

    def label_map(self, index):
        return StoredFile("labels/a.png", self.files[1])


def _augmented(source, change, monkeypatch):
    monkeypatch.setattr(crops, "draw_augmentation", lambda *_: change)
    settings = CropSettings(RESOLUTION, cleaning=UNCLEANED)
    dataset = CropDataset(source, settings, AugmentationSettings())
    example, troubles = dataset.read(0, np.random.default_rng(0))
    assert not troubles and example.has_labels == 1
    return example


def _shift(found, wanted):
    """(u, v) by which one mask is moved against another: least squares over all edges.

    To first order found - wanted = -gradient · shift, of masks blurred so that they
    have one.
    """
    found, wanted = (
        cv2.GaussianBlur(x.astype(float), (0, 0), 2) for x in (found, wanted)
    )
    down, across = np.gradient(wanted)
    slopes = np.stack([across.ravel(), down.ravel()], 1)
    return -np.linalg.lstsq(slopes, (found - wanted).ravel(), rcond=None)[0]


def _same_picture(image, labels, expected):
    """The labels agree but for edges, and nothing is shifted."""
    foreground, wanted = labels > 0, expected > 0
    assert wanted.sum() > 2500
    overlap = (foreground & wanted).sum() / (foreground | wanted).sum()
    assert overlap > 0.95
    assert (labels == expected)[foreground & wanted].mean() > 0.95
    assert np.abs(_shift(foreground, wanted)).max() < SHIFT_PX
    assert np.abs(_shift(image[..., 0] / 255, wanted)).max() < SHIFT_PX


CHANGES = [
    Augmentation(),
    Augmentation(scale=0.8),
    Augmentation(rotation=0.6),
    Augmentation(flip=True),
    Augmentation(flip=True, rotation=-0.45, scale=1.22),
]


@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_moved_on_the_screen(body, change, monkeypatch):
    """A box anywhere: screen positions moved by the box's own geometry."""
    center, side = np.array([238.3, 208.6]), 343.0
    source = _OnePerson(body, center, side)
    example = _augmented(source, change, monkeypatch)
    moved = source.vertices_px.copy()
    moved[:, :2] = _on_crop(moved[:, :2], center, side * change.scale, change)
    expected = _draw(body, moved, (RESOLUTION, RESOLUTION))
    if change.flip:
        # Other sides' names, as the mirror gives them; what is in front is the same.
        expected = np.asarray(CIHP.flip)[expected].astype(np.uint8)
    _same_picture(example.image, example.labels, expected)
    pixels = (example.keypoints_ndc[:, :2] * [1, -1] * RESOLUTION + RESOLUTION - 1) / 2
    points = _on_crop(
        source.one.keypoints_px[:, :2], center, side * change.scale, change
    )
    order = np.asarray(KEYPOINT_FLIP_49) if change.flip else slice(None)
    np.testing.assert_allclose(pixels, points[order], atol=1e-3)


def _on_crop(points, center, side, change):
    """By complex numbers: turned about the box's centre, clockwise on the screen."""
    across = (points[:, 0] - center[0]) + 1j * (points[:, 1] - center[1])
    across = across * np.exp(1j * change.rotation) * RESOLUTION / side
    u = -across.real if change.flip else across.real
    return np.stack([u, across.imag], -1) + (RESOLUTION - 1) / 2


@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_drawn_from_the_augmented_parameters(body, change, monkeypatch):
    """A box about the principal point: the crop is what a turned camera sees."""
    center, side = (np.array(PHOTO[::-1]) - 1) / 2, 350.0
    source = _OnePerson(body, center, side)
    example = _augmented(source, change, monkeypatch)
    vertices, keypoints, root = _posed(body, example.pose)
    place = _turned_place(source, change, root)
    pixels = _project(vertices, place)
    keypoints_px = _project(keypoints, place)
    scale = RESOLUTION / (side * change.scale)
    for points in (pixels, keypoints_px):
        points[:, :2] = (points[:, :2] - center) * scale + (RESOLUTION - 1) / 2
    expected = _draw(body, pixels, (RESOLUTION, RESOLUTION))
    _same_picture(example.image, example.labels, expected)
    found = (example.keypoints_ndc[:, :2] * [1, -1] * RESOLUTION + RESOLUTION - 1) / 2
    # A mirrored body's joints are its own mirror to a few millimetres.
    tolerance = 0.5 if change.flip else 0.01
    np.testing.assert_allclose(found, keypoints_px[:, :2], atol=tolerance)
    # Joints turn about the origin of their axes, the body about its root.
    shift = place - _mirrored(_turned(source.place, change), change)
    metres = 0.006 if change.flip else 1e-4
    np.testing.assert_allclose(
        example.joints[:, :3], keypoints[25:] + shift, atol=metres
    )


def _turned(point, change):
    return Rotation.from_rotvec([0, 0, change.rotation]).apply(point)


def _mirrored(point, change):
    return point * ([-1, 1, 1] if change.flip else [1, 1, 1])


def _turned_place(source, change, root):
    """Where the body stands when the whole scene has turned: its root went along."""
    return _mirrored(_turned(source.root + source.place, change), change) - root
