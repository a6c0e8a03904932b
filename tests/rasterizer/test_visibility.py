"""The z-buffer against a brute-force search."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dsr_jax.rasterizer import visible_faces
from tests.rasterizer.brute_force import brute_force_visibility
from tests.rasterizer.scenes import SCENES


@pytest.mark.parametrize("scene", SCENES)
def test_agrees_with_brute_force(scene, float64):
    vertices, faces = SCENES[scene]
    size = (11, 14)
    hit = visible_faces(jnp.asarray(vertices), jnp.asarray(faces), image_size=size)
    face, depth, tied = brute_force_visibility(vertices, faces, size)
    # On an edge two faces are equally near; rounding says which.
    np.testing.assert_array_equal(np.where(tied, face, hit.face), face)
    np.testing.assert_allclose(hit.depth, depth, rtol=1e-12)
    assert tied.mean() < 0.1 or scene == "coincident"
    inside = face >= 0
    weights = np.asarray(hit.barycentric)
    np.testing.assert_allclose(weights[inside].sum(-1), 1, atol=1e-9)
    assert not weights[~inside].any()


def test_batch_and_culling():
    vertices, faces = SCENES["sphere"]
    # An odd shift: on silhouettes that hit pixel centres, front and back faces tie.
    batch = np.stack([vertices + 0.0137, vertices + 0.0731])
    batch = jnp.asarray(batch, jnp.float32)[:, None]
    both = visible_faces(batch, jnp.asarray(faces), image_size=(20, 20))
    assert both.face.shape == (2, 1, 20, 20)
    alone = visible_faces(batch[1, 0], jnp.asarray(faces), image_size=(20, 20))
    np.testing.assert_array_equal(both.face[1, 0], alone.face)
    # Of a closed mesh one sees only front faces, or with turned faces only back ones.
    front = visible_faces(
        batch, jnp.asarray(faces), image_size=(20, 20), cull_backfaces=True
    )
    back = visible_faces(
        batch, jnp.asarray(faces)[:, ::-1], image_size=(20, 20), cull_backfaces=True
    )
    same = [np.array_equal(h.face, both.face) for h in (front, back)]
    assert sorted(same) == [False, True]


def test_depth_is_differentiable(float64):
    vertices, faces = SCENES["single"]

    def depth(z):
        moved = jnp.asarray(vertices).at[:, 2].set(z)
        hit = visible_faces(moved, jnp.asarray(faces), image_size=(8, 8))
        return jnp.sum(jnp.where(hit.face >= 0, hit.depth, 0))

    z, h = jnp.asarray(vertices[:, 2]), 1e-6
    gradient = jax.grad(depth)(z)
    for i in range(3):
        step = jnp.zeros(3).at[i].set(h)
        numeric = (depth(z + step) - depth(z - step)) / (2 * h)
        np.testing.assert_allclose(gradient[i], numeric, rtol=1e-6)


def test_crowded_tile_keeps_the_nearest():
    """Thousands of faces over one tile, many chunks: still the nearest, exactly."""
    rng = np.random.default_rng(0)
    count = 6000
    centers = rng.uniform(-0.2, 0.2, size=(count, 1, 2))
    corners = centers + np.array([[-0.9, -0.9], [0.9, -0.9], [0, 0.9]])
    z = rng.permutation(count) * 0.01 + 2
    vertices = np.concatenate([corners, np.repeat(z, 3).reshape(count, 3, 1)], -1)
    vertices = jnp.asarray(vertices.reshape(-1, 3), jnp.float32)
    faces = jnp.arange(3 * count, dtype=jnp.int32).reshape(-1, 3)
    hit = visible_faces(vertices, faces, image_size=(3, 3))
    center_hit = int(hit.face[1, 1])
    inside = (np.abs(corners[:, 0, 1]) >= 0) & (corners[:, 2, 1] >= 0)
    edge = corners - 0.0
    cross = (edge[:, [1, 2, 0], 0] - edge[..., 0]) * (-edge[..., 1]) - (
        edge[:, [1, 2, 0], 1] - edge[..., 1]
    ) * (-edge[..., 0])
    inside = (cross >= 0).all(1)
    assert center_hit == int(np.argmin(np.where(inside, z, np.inf)))


def test_no_holes_on_shared_edges():
    """Pixel centres exactly on the edges of a fan see the fan, not what is behind."""
    size, rng = 48, np.random.default_rng(0)
    # Corners on pixel centres, so that many centres lie exactly on edges.
    grid = (2 * np.arange(0, size, 3) + 1 - size) / size
    x, y = np.meshgrid(grid, grid)
    z = 3 + 0.2 * rng.uniform(size=x.shape)
    front = np.stack([x, y, z], -1).reshape(-1, 3)
    n = len(grid)
    i = (np.arange(n - 1)[:, None] * n + np.arange(n - 1)).reshape(-1)
    faces = np.concatenate(
        [np.stack([i, i + 1, i + n + 1], -1), np.stack([i, i + n + 1, i + n], -1)]
    )
    wall = [(-9, -9, 50), (9, -9, 50), (0, 18, 50)]
    vertices = jnp.asarray(np.concatenate([front, wall]), jnp.float32)
    faces = np.concatenate([faces, [[len(front) + k for k in range(3)]]])
    hit = visible_faces(vertices, jnp.asarray(faces, jnp.int32), (size, size))
    covered = np.asarray(hit.depth)[size - 1 - 3 * (n - 1) : size, : 3 * (n - 1) + 1]
    assert covered.max() < 4


def test_places_beyond_int32_are_walked_in_blocks(monkeypatch):
    from dsr_jax.rasterizer import nearest, pairs, visibility

    def forget():
        visibility._visible_faces.clear_cache()
        nearest._nearest_kernel.cache_clear()

    vertices, faces = SCENES["crossing"]
    arguments = jnp.asarray(vertices, jnp.float32), jnp.asarray(faces), (30, 31)
    expected = visible_faces(*arguments)
    forget()
    # Blocks of 50 of the 160 faces: 64 tiles each, and three chunks for the pipeline.
    monkeypatch.setattr(nearest, "default_chunk", lambda: 128)
    monkeypatch.setattr(pairs, "_MAX_PLACES", 3 * 128 + 64 * 50)
    in_blocks = visible_faces(*arguments)
    forget()
    np.testing.assert_array_equal(in_blocks.face, expected.face)
