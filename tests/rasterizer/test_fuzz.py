"""Random meshes: what they draw is right, and finite, and so are its derivatives."""

import dataclasses

import hypothesis
import hypothesis.extra.numpy
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dsr_jax.rasterizer import RasterSettings, rasterize, visible_faces
from tests.rasterizer.brute_force import draws
from tests.rasterizer.test_rasterize import DSR, expected, run, settings_of

SETTINGS = {
    "paper": {},
    "softras_default": {"gamma": 1e-4},
    "tiny_gamma": {"gamma": 1e-7, "support": 1e-15},
    "barycentric": {"distance": "barycentric", "perspective_correct": True},
    "hard": {"color": "hard", "alpha": "sum"},
}
FACES = 6


def wild_meshes(rng, count: int) -> np.ndarray:
    """(count, 3·FACES, 3) float32 corners of everything that is finite.

    Coordinates to 1e6 at all scales, depths from −10 to 1e4 and close to 0; repeated
    corners, collinear ones, slivers, copies of other faces.
    """
    shape = (count, FACES, 3)
    scale = 10 ** rng.uniform(-8, 6, size=(count, FACES, 1, 1))
    corners = rng.normal(size=(*shape, 2)) * scale + rng.normal(
        size=(count, FACES, 1, 2)
    ) * rng.choice([0, 0.5, 1e3], size=(count, FACES, 1, 1))
    corners = np.clip(corners, -1e6, 1e6)
    z = rng.choice([1.0, 1e-3, -1.0], p=[0.8, 0.1, 0.1], size=shape)
    z = z * 10 ** rng.uniform(-9, 4, size=shape)
    usual = rng.uniform(size=shape) < 0.7
    z = np.where(usual, rng.uniform(1, 9, size=shape), np.clip(z, -10, 1e4))
    mesh = np.concatenate([corners, z[..., None]], -1)
    kind = rng.uniform(size=(count, FACES))
    mesh[kind < 0.05, 1] = mesh[kind < 0.05, 0]
    line = (kind > 0.05) & (kind < 0.15)
    mesh[line, 2, :2] = mesh[line, :2, :2].mean(1)
    sliver = (kind > 0.15) & (kind < 0.25)
    off = 10 ** rng.uniform(-8, -3, size=(sliver.sum(), 1))
    mesh[sliver, 2, :2] = mesh[sliver, :2, :2].mean(1) * (1 + off)
    mesh[:, 3][kind[:, 3] > 0.7] = mesh[:, 2][kind[:, 3] > 0.7]
    rounded = kind[:, 4] > 0.6  # on pixel centres and on each other
    mesh[:, 4][rounded] = np.round(mesh[:, 4][rounded] * 4) / 4
    return mesh.reshape(count, -1, 3).astype(np.float32)


def check_finite(change: dict, meshes: int, seed: int) -> None:
    settings = RasterSettings(image_size=(8, 8), **change)
    faces = jnp.arange(3 * FACES, dtype=jnp.int32).reshape(-1, 3)

    @jax.jit
    def everything(vertices, colors, cotangent):
        def draw(vertices, colors):
            raster = rasterize(vertices, faces, settings, vertex_attributes=colors)
            return jnp.concatenate([raster.attributes, raster.alpha[..., None]], -1)

        image, pullback = jax.vjp(draw, vertices, colors)
        return image, *pullback(cotangent)

    rng = np.random.default_rng(seed)
    for _ in range(meshes // 1000):
        vertices = wild_meshes(rng, 1000)
        colors = rng.normal(size=(1000, 3 * FACES, 2)).astype(np.float32)
        cotangent = rng.normal(size=(1000, 8, 8, 3)).astype(np.float32)
        image, *gradients = everything(vertices, colors, cotangent)
        arrays = {"image": image, "vertices": gradients[0], "colors": gradients[1]}
        for name, array in arrays.items():
            bad = ~np.isfinite(array).reshape(1000, -1).all(1)
            assert not bad.any(), f"{name} of mesh {vertices[bad.argmax()].tolist()}"
        # Colours are averages of the faces' and of the background.
        assert np.abs(image[..., :2]).max() <= np.abs(colors).max() * (1 + 1e-5)
        assert image[..., 2].min() >= 0
        assert image[..., 2].max() <= 1


@pytest.mark.parametrize("option", SETTINGS)
def test_everything_is_finite(option):
    check_finite(SETTINGS[option], 100_000 if option == "paper" else 20_000, seed=1)


def test_the_wild_meshes_are_wild():
    """A tenth and more of the faces draw, a tenth and more do not."""
    faces = wild_meshes(np.random.default_rng(0), 300).reshape(-1, 3, 3)
    share = np.mean([draws(f.astype(np.float64)) for f in faces])
    assert 0.1 < share < 0.9


# Shifts that no round number hits: no pixel centre lies on an edge, and no corner lies
# exactly at the near end of the depth range.
_ODD = np.array([0.00137, 0.00071, 0.00013])
_COORDINATES = st.floats(-1.5, 1.5, width=32)
_MESHES = hypothesis.extra.numpy.arrays(
    np.float64, (4, 3, 2), elements=_COORDINATES
).flatmap(
    lambda xy: hypothesis.extra.numpy.arrays(
        np.float64, (4, 3, 1), elements=st.floats(0.5, 8, width=32)
    ).map(lambda z: np.concatenate([xy, z], -1).reshape(12, 3) + _ODD)
)


def _near_the_rule(mesh: np.ndarray) -> bool:
    """Whether rounding may decide if a face counts as degenerate."""
    for corners in mesh.reshape(-1, 3, 3):
        (ax, ay), (bx, by), (cx, cy) = corners[:, :2]
        area = abs((bx - ax) * (cy - ay) - (by - ay) * (cx - ax))
        longest = max(
            np.sum((corners[i, :2] - corners[i - 1, :2]) ** 2) for i in range(3)
        )
        if longest and area < 1e-5 * longest:
            return True
    return False


@pytest.mark.parametrize("option", ["dsr", "barycentric", "small_gamma", "perspective"])
def test_any_mesh_is_as_the_brute_force_has_it(option):
    settings = dataclasses.replace(settings_of(option), image_size=DSR.image_size)
    faces = np.arange(12, dtype=np.int32).reshape(4, 3)

    @hypothesis.settings(
        max_examples=60, deadline=None, database=None, derandomize=True
    )
    @hypothesis.given(_MESHES)
    def check(mesh):
        hypothesis.assume(not _near_the_rule(mesh))
        with jax.enable_x64(True):
            (image, *gradients), arrays = run((mesh, faces), settings, "tiled")
        want = expected(arrays, settings)
        np.testing.assert_allclose(image, want, rtol=0, atol=1e-8)
        assert all(np.isfinite(g).all() for g in gradients)

    check()


def test_any_mesh_is_finite_to_the_z_buffer():
    """Depths of visible faces are finite, and so is their derivative."""
    vertices = wild_meshes(np.random.default_rng(2), 1000)
    faces = jnp.arange(3 * FACES, dtype=jnp.int32).reshape(-1, 3)

    @jax.jit
    def depth(vertices):
        hit = visible_faces(vertices, faces, image_size=(8, 8))
        return jnp.sum(jnp.where(hit.face >= 0, hit.depth, 0)), hit

    (_, hit), gradient = jax.value_and_grad(depth, has_aux=True)(vertices)
    assert np.isfinite(gradient).all()
    assert np.isfinite(hit.depth[hit.face >= 0]).all()
    assert np.isfinite(hit.barycentric).all()
