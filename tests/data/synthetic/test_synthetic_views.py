"""One person from several sides, before backgrounds of the user's."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dsr_jax.body import BodyParams, pose_body
from dsr_jax.data.synthetic import split_key, synthetic_views
from dsr_jax.rasterizer import visible_faces
from dsr_jax.semantics import CIHP

COUNT, VIEWS, SIZE = 6, 2, 64


@pytest.fixture(scope="module")
def views(body, settings):
    """Everyone fully in view, before images that are one flat green."""
    plain = dataclasses.replace(
        settings,
        image_size=SIZE,
        occluder_probability=0.0,
        truncation_probability=0.0,
        noise=(0.0, 0.0),
        brightness=(1.0, 1.0),
        contrast=(1.0, 1.0),
    )
    green = np.zeros((3, 30, 40, 3), np.uint8)
    green[..., 1] = 180
    batch, vertices = synthetic_views(
        split_key(3, "train"), COUNT, VIEWS, body, plain, green
    )
    hit = visible_faces(vertices, body.faces, (SIZE, SIZE))
    return jax.tree.map(np.asarray, (batch, vertices, hit.face))


def test_views_of_a_person_differ_in_the_camera_only(views):
    batch, _, _ = views
    betas = batch.betas.reshape(COUNT, VIEWS, 10)
    pose = batch.pose.reshape(COUNT, VIEWS, 24, 3, 3)
    np.testing.assert_array_equal(betas[:, 0], betas[:, 1])
    np.testing.assert_array_equal(pose[:, 0, 1:], pose[:, 1, 1:])
    assert np.abs(pose[:, 0, 0] - pose[:, 1, 0]).max(axis=(1, 2)).min() > 1e-3
    assert np.abs(betas[0, 0] - betas[1, 0]).max() > 1e-2
    # The same clothes: labels of at least a hundredth of the crop are on both pictures
    # of most people, up to the side that is turned away.
    labels = batch.labels.reshape(COUNT, VIEWS, -1)
    clothes = [CIHP.index(n) for n in ("upper-clothes", "dress", "coat", "pants")]
    for first, second in labels:
        worn = [{c for c in clothes if (v == c).mean() > 0.02} for v in (first, second)]
        assert worn[0] & worn[1]


def test_body_vertices_are_those_of_the_naked_body(views, body):
    """Pinhole of focal length 5000 px on 224 px crops, in float64."""
    batch, vertices, _ = views
    params = BodyParams(jnp.asarray(batch.pose), jnp.asarray(batch.betas))
    mesh = jax.jit(pose_body)(body, params)
    x, y, z = np.moveaxis(np.asarray(mesh.vertices, np.float64), -1, 0)
    scale, tx, ty = batch.camera.astype(np.float64).T[..., None]
    depth = z + 5000 / (112 * scale)
    flat = np.stack([x + tx, -(y + ty)], -1) / depth[..., None] * 5000 / 112
    np.testing.assert_allclose(vertices[..., :2], flat, atol=3e-5)
    np.testing.assert_allclose(vertices[..., 2], depth, rtol=1e-5)


def test_clothed_silhouettes_contain_and_exceed_the_body(views):
    batch, _, face = views
    clothed, naked = batch.labels > 0, face >= 0
    inside = (clothed & naked).sum() / naked.sum()
    assert inside > 0.98
    growth = clothed.sum(axis=(1, 2)) / naked.sum(axis=(1, 2))
    assert growth.min() > 0.99 and growth.mean() > 1.08
    assert growth.max() < 3


def test_left_and_right_are_the_persons_own(views, body):
    """Body parts labelled left lie on faces of positive x of the rest pose."""
    batch, _, face = views
    side = np.asarray(body.template)[np.asarray(body.faces)].mean(1)[:, 0]
    counted = 0
    for part in ("arm", "leg", "shoe"):
        for name, sign in (("left", 1), ("right", -1)):
            here = (batch.labels == CIHP.index(f"{name}-{part}")) & (face >= 0)
            if here.sum() < 10:
                continue
            counted += 1
            assert (sign * side[face[here]] > 0).mean() > 0.95, f"{name}-{part}"
    assert counted >= 4


def test_given_images_are_the_background(views):
    """Away from the person every pixel is the given green; blur reaches one pixel."""
    batch, _, _ = views
    person = batch.labels > 0
    near = sum(
        np.roll(person, (i, j), (1, 2)) for i in range(-2, 3) for j in range(-2, 3)
    )
    away = batch.image[near == 0]
    assert len(away) > 10_000
    np.testing.assert_array_equal(away, np.tile([[0, 180, 0]], (len(away), 1)))
