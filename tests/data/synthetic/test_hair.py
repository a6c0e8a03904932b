"""Hair as a sheet: on the head, off the face, as long as asked, and out of hats."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dsr_jax.body import BodyParams, pose_body
from dsr_jax.data.synthetic import SyntheticSettings
from dsr_jax.data.synthetic.hair import hair_faces, hang_hair, sample_strands
from dsr_jax.data.synthetic.outfits import sample_outfit
from dsr_jax.data.synthetic.sampling import Draws
from dsr_jax.data.synthetic.skeleton import world_rotations

LONG = SyntheticSettings(
    hair=(("long", 1.0),), hat_probability=0.0, hair_sheet_probability=1.0
)


@pytest.fixture(scope="module")
def comb(body, surface, rest_joints):
    """Hair of a person in the rest pose, or another, in head coordinates."""

    @jax.jit
    def hang(strands, outfit, pose):
        mesh = pose_body(body, BodyParams(pose[None], jnp.zeros((1, 10))))
        turns = world_rotations(pose)
        return hang_hair(
            strands, outfit, surface.landmarks, rest_joints, mesh.joints[0], turns
        )

    def call(pose=None, length=0.2, strands=None, **changes):
        outfit = dataclasses.replace(
            sample_outfit(jax.random.key(0), LONG),
            hair_length=jnp.asarray(length),
            **{name: jnp.asarray(value) for name, value in changes.items()},
        )
        straight = sample_strands(Draws(jax.random.key(1), 6), LONG)
        straight = dataclasses.replace(straight, wave=jnp.zeros(()), **(strands or {}))
        pose = jnp.tile(jnp.eye(3), (24, 1, 1)) if pose is None else pose
        piece = hang(straight, outfit, pose)
        marks = surface.landmarks
        middle = np.array([0, float(marks.chin_y), float(marks.head_z)])
        local = (np.asarray(piece.vertices) - middle) / float(marks.head_height)
        return local, piece

    return call


def test_hair_is_around_the_head_and_off_the_face(comb):
    local, piece = comb()
    x, up, forward = local.T
    assert up.max() == pytest.approx(1.05, abs=0.1)
    np.testing.assert_allclose(sorted(x), sorted(-x), atol=1e-3)
    at_eyes = (up > 0.1) & (up < 0.65)
    assert at_eyes.sum() > 20
    # The face is within a third of a head's height of the middle, forward of the ears.
    assert not (at_eyes & (np.abs(x) < 0.25) & (forward > 0)).any()
    assert (forward < -0.3).any()
    faces = hair_faces(0)
    assert faces.min() == 0 and faces.max() == len(local) - 1
    normals = np.asarray(piece.normals)
    np.testing.assert_allclose(np.linalg.norm(normals, axis=-1), 1, atol=1e-4)


def test_hair_is_as_long_as_asked(comb, surface):
    head = float(surface.landmarks.head_height)
    for length in (0.0, 0.1, 0.25):
        lowest = comb(length=length)[0][:, 1].min() * head
        # The sheet's columns end up to a tenth of a head apart.
        assert lowest == pytest.approx(-length, abs=0.1 * head + 0.03)


def test_hair_turns_with_the_head_and_falls_on_the_chest(comb):
    still, _ = comb()
    turned = jnp.tile(jnp.eye(3), (24, 1, 1))
    angle = 0.6
    turn = jnp.array(
        [
            [jnp.cos(angle), 0, jnp.sin(angle)],
            [0, 1, 0],
            [-jnp.sin(angle), 0, jnp.cos(angle)],
        ]
    )
    moved, _ = comb(pose=turned.at[15].set(turn))
    shift = np.linalg.norm(moved - still, axis=-1)
    radius = np.hypot(still[:, 0], still[:, 2])
    upper, tips = still[:, 1] > 0.2, still[:, 1] < -0.6
    back = upper & (radius > 0.3)
    expected = 2 * np.sin(angle / 2) * radius[back]
    # The head's joint is not quite in the middle of the head.
    np.testing.assert_allclose(shift[back], expected, atol=0.25)
    assert shift[tips].mean() < 0.5 * shift[back].mean()


def test_hats_are_worn_over_hair_and_short_hair_has_no_sheet(comb):
    bare, _ = comb()
    under, _ = comb(has_hat=1.0, hat_line=0.7)
    top = bare[:, 1] > 0.85
    middle = np.array([0, 0.5, -0.08])
    shrunk, before = (np.linalg.norm(h[top] - middle, axis=1) for h in (under, bare))
    assert (shrunk < 0.7 * before).all()
    assert under[:, 1].max() < bare[:, 1].max() - 0.15
    for changes in (
        {"length": -0.09},
        {"has_hair": 0.0},
        {"strands": {"is_there": jnp.zeros(())}},
    ):
        nothing, _ = comb(**changes)
        assert np.ptp(nothing, axis=0).max() == 0
