"""Objects in the hand: their shape, their place, and that they hide without a label."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dsr_jax.body import BodyParams, mean_pose, pose_body
from dsr_jax.data.synthetic import SyntheticSettings
from dsr_jax.data.synthetic.holding import Held, hold, object_faces, sample_held
from dsr_jax.data.synthetic.sampling import Draws
from dsr_jax.data.synthetic.settings import OBJECTS
from dsr_jax.data.synthetic.skeleton import world_rotations

KINDS = jnp.arange(len(OBJECTS))


def _held(kind, there=1.0, left=1.0):
    return Held(
        is_there=jnp.asarray(there),
        kind=kind,
        in_left=jnp.asarray(left),
        half=jnp.array([0.1, 0.2, 0.05]),
        colours=jnp.zeros((2, 3)),
    )


@pytest.fixture(scope="module")
def posed(body):
    """Joints and rotations of a standing person; camera y points down."""
    turn = jnp.diag(jnp.array([1.0, -1.0, -1.0]))
    pose = mean_pose()[None].at[:, 0].set(turn)
    mesh = jax.jit(pose_body)(body, BodyParams(pose, jnp.zeros((1, 10))))
    return mesh.joints[0], world_rotations(pose)[0]


@pytest.fixture(scope="module")
def pieces(posed):
    """One of each kind in the left hand, and in the right."""
    each = jax.jit(
        jax.vmap(lambda kind, left: hold(_held(kind, left=left), *posed), (0, None))
    )
    return [jax.tree.map(np.asarray, each(KINDS, left)) for left in (1.0, 0.0)]


def test_objects_have_the_size_asked_for(pieces, posed):
    _, rotations = posed
    for kind, vertices in zip(OBJECTS, pieces[0].vertices, strict=True):
        local = vertices - vertices.mean(0)
        if kind != "bag":
            local = local @ np.asarray(rotations[22])
        # Axes of the hand: fingers, back of the hand, thumb.
        expected = [0.2, 0.1, 0.4] if kind != "bag" else [0.1, 0.4, 0.2]
        extent = np.ptp(local, axis=0)
        if kind == "bag":
            assert extent[1] == pytest.approx(0.4, abs=1e-4)
        else:
            # The rows of a ball are not at its equator.
            np.testing.assert_allclose(extent, expected, rtol=0.02)


def test_surfaces_are_closed_and_normals_point_outwards(pieces):
    faces = object_faces(0)
    for kind, vertices, normals in zip(
        OBJECTS, pieces[0].vertices, pieces[0].normals, strict=True
    ):
        corners = vertices[faces] - vertices.mean(0)
        flat = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        area = np.linalg.norm(flat, axis=-1)
        real = area > 1e-7
        # The integral of the normal over a closed surface vanishes.
        sign = np.sign(np.sum(flat * normals[faces].mean(1), -1))
        assert np.abs((flat * sign[:, None]).sum(0)).max() < 1e-3 * area.sum(), kind
        along = np.sum(flat / np.maximum(area, 1e-9)[:, None] * normals[faces[:, 0]], 1)
        assert np.abs(along[real]).min() > 0.5, kind
        if kind in ("box", "telephone", "ball"):
            outwards = np.sum(corners.mean(1) * flat * sign[:, None], -1)
            assert (outwards[real] > 0).all(), kind


def test_objects_are_in_the_hand_asked_for_and_bags_hang(pieces, posed):
    joints = np.asarray(posed[0])
    for piece, hand in zip(pieces, (22, 23), strict=True):
        for kind, vertices in zip(OBJECTS, piece.vertices, strict=True):
            if kind == "bag":
                top = vertices[vertices[:, 1].argmin()]
                assert np.linalg.norm(top - joints[hand]) < 0.1
            else:
                middle = (vertices.min(0) + vertices.max(0)) / 2
                assert np.linalg.norm(middle - joints[hand]) < 0.08, kind


def test_who_holds_nothing_has_an_object_without_area(posed):
    piece = hold(_held(jnp.asarray(1), there=0.0), *posed)
    assert np.ptp(np.asarray(piece.vertices), axis=0).max() == 0


def test_objects_come_as_often_as_asked():
    settings = SyntheticSettings(
        object_probability=0.3, objects=(("ball", 1.0), ("bag", 3.0))
    )
    keys = jax.random.split(jax.random.key(0), 2000)
    got = jax.vmap(lambda key: sample_held(Draws(key, 12), settings))(keys)
    assert float(got.is_there.mean()) == pytest.approx(0.3, abs=0.04)
    ball = np.asarray(got.kind) == OBJECTS.index("ball")
    assert ball.mean() == pytest.approx(0.25, abs=0.04)
    np.testing.assert_allclose(np.ptp(got.half[ball], axis=1), 0, atol=1e-6)
