"""Every implementation against the brute force, on every scene and every option."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dsr_jax.rasterizer import RasterSettings, rasterize
from tests.rasterizer.brute_force import brute_force
from tests.rasterizer.scenes import SCENES, attributes_for, body, padded

IMPLEMENTATIONS = ("dense", "tiled")
# Sharp edges at this tiny size would leave few soft pixels to compare.
DSR = RasterSettings(image_size=(9, 14), sigma=1e-3, background=0.2)
OPTIONS = {
    "dsr": {},
    "sharp": {"sigma": 1e-5},
    "culled": {"cull_backfaces": True},
    "wide_support": {"support": 1e-8},
    "tall": {"image_size": (15, 7)},
    "one_pixel": {"image_size": (1, 1)},
    "odd_size": {"image_size": (37, 53), "sigma": 1e-4},
    "depth_range": {"near": 3.5, "far": 6.2},
    "background_in_front": {"background_depth": 1.2},
    "background_far_behind": {"background_depth": -3e3},
    "background_per_channel": {"background": (0.1, 0.5, 0.9)},
    "perspective": {"perspective_correct": True},
    "small_gamma": {"gamma": 1e-4},
    "small_gamma_perspective": {"gamma": 1e-3, "perspective_correct": True},
    "barycentric": {"distance": "barycentric", "sigma": 1e-2},
    "barycentric_sum": {"distance": "barycentric", "sigma": 1e-3, "alpha": "sum"},
    "hard_distance": {"distance": "hard"},
    "hard_distance_sum": {"distance": "hard", "alpha": "sum"},
    "sum": {"alpha": "sum"},
    "hard_alpha": {"alpha": "hard"},
    "hard_color": {"color": "hard"},
    "hard_color_perspective": {"color": "hard", "perspective_correct": True},
    "all_hard": {"distance": "hard", "color": "hard", "alpha": "hard"},
    "anti_aliasing": {"anti_aliasing": True, "image_size": (5, 7)},
    "few_pairs_at_once": {"pairs_at_once": 7},
}
# Per-face attributes take other code only here.
FACE_OPTIONS = ("dsr", "perspective", "small_gamma", "hard_distance", "hard_color")
ALL = [(option, True) for option in OPTIONS] + [(o, False) for o in FACE_OPTIONS]
by_option = pytest.mark.parametrize("option, per_vertex", ALL)


def settings_of(option):
    return dataclasses.replace(DSR, **OPTIONS[option])


@functools.cache
def compiled(settings, implementation, per_vertex=True):
    """(vertices, faces, attributes, cotangent) → raster and the two gradients."""
    kind = "vertex_attributes" if per_vertex else "face_attributes"

    @jax.jit
    def render(vertices, faces, attributes, cotangent):
        def draw(vertices, attributes):
            named = {kind: attributes}
            raster = rasterize(
                vertices, faces, settings, **named, implementation=implementation
            )
            return jnp.concatenate([raster.attributes, raster.alpha[..., None]], -1)

        image, pullback = jax.vjp(draw, vertices, attributes)
        return image, *pullback(cotangent)

    return render


def run(mesh, settings, implementation, per_vertex=True, dtype=jnp.float64, seed=0):
    """Image with alpha as its last channel, gradients, and what they belong to."""
    vertices, faces = (np.asarray(a) for a in mesh)
    vertices = vertices.astype(dtype)
    count = len(vertices) if per_vertex else len(faces)
    attributes = attributes_for(count, seed=seed).astype(dtype)
    cotangent = np.random.default_rng(3).normal(size=(*settings.image_size, 4))
    arrays = vertices, faces, attributes, cotangent.astype(dtype)
    with np.errstate(invalid="ignore"):
        out = compiled(settings, implementation, per_vertex)(*map(jnp.asarray, arrays))
    return [np.asarray(o) for o in out], arrays


def expected(arrays, settings, per_vertex=True):
    vertices, faces, attributes, _ = arrays
    image, alpha = brute_force(vertices, faces, settings, attributes, per_vertex)
    return np.concatenate([image, alpha[..., None]], -1)


def slope(arrays, settings, per_vertex, step_vertices, step_attributes, h=1e-6):
    """Central difference of the brute force along a direction."""
    vertices, faces, attributes, cotangent = arrays
    sides = [
        np.sum(
            cotangent
            * expected(
                (
                    vertices + e * step_vertices,
                    faces,
                    attributes + e * step_attributes,
                    cotangent,
                ),
                settings,
                per_vertex,
            )
        )
        for e in (h, -h)
    ]
    return (sides[0] - sides[1]) / (2 * h)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
class TestEveryImplementation:
    @pytest.mark.parametrize("scene", SCENES)
    def test_scenes(self, scene, implementation, float64):
        (image, *_), arrays = run(padded(scene), DSR, implementation)
        np.testing.assert_allclose(image, expected(arrays, DSR), rtol=0, atol=1e-9)

    @by_option
    def test_options(self, option, per_vertex, implementation, float64):
        settings = settings_of(option)
        for scene in ("clockwise", "cube", "near", "crossing"):
            (image, *_), arrays = run(
                padded(scene), settings, implementation, per_vertex
            )
            np.testing.assert_allclose(
                image, expected(arrays, settings, per_vertex), rtol=0, atol=1e-9
            )

    @by_option
    def test_derivatives(self, option, per_vertex, implementation, float64):
        """Against differences of the brute force, in x, y, z and the attributes."""
        settings = settings_of(option)
        rng = np.random.default_rng(5)
        for scene in ("clockwise", "cube", "over_everything"):
            vertices, faces = padded(scene)
            # Off the round coordinates, on which pixels lie on edges and medians.
            mesh = vertices + np.array([0.00137, 0.00071, 0]), faces
            (_, grad_vertices, grad_attributes), arrays = run(
                mesh, settings, implementation, per_vertex
            )
            for axis in range(4):
                step_v = np.zeros_like(arrays[0])
                step_a = np.zeros_like(arrays[2])
                if axis < 3:
                    step_v[:, axis] = rng.normal(size=len(step_v))
                else:
                    step_a[:] = rng.normal(size=step_a.shape)
                along = np.sum(grad_vertices * step_v) + np.sum(
                    grad_attributes * step_a
                )
                numeric = slope(arrays, settings, per_vertex, step_v, step_a, 1e-7)
                np.testing.assert_allclose(along, numeric, rtol=1e-5, atol=2e-6)

    @pytest.mark.parametrize(
        "scene", ["degenerate", "behind", "across", "far", "empty", "huge", "close_up"]
    )
    def test_what_draws_nothing_has_no_gradient(self, scene, implementation):
        (_, gradient, of_attributes), _ = run(
            padded(scene), DSR, implementation, dtype=jnp.float32
        )
        assert np.isfinite(gradient).all()
        assert np.isfinite(of_attributes).all()
        nothing = {"degenerate": slice(3, None), "behind": slice(3, 6)}
        nothing |= {"across": slice(3, 6), "empty": slice(0, None)}
        if scene in nothing:
            assert not np.any(gradient[nothing[scene]])

    def test_no_faces(self, implementation):
        vertices, faces = SCENES["empty"]
        (image, *grads), _ = run((vertices, faces), DSR, implementation, dtype="f4")
        np.testing.assert_allclose(image[..., :3], 0.2)
        np.testing.assert_array_equal(image[..., 3], 0)
        assert not any(np.any(g) for g in grads)

    def test_no_images(self, implementation):
        raster = rasterize(
            jnp.zeros((0, 3, 3)),
            jnp.zeros((1, 3), jnp.int32),
            DSR,
            vertex_attributes=jnp.ones((3, 2)),
            implementation=implementation,
        )
        assert raster.attributes.shape == (0, 9, 14, 2)
        assert raster.alpha.shape == (0, 9, 14)

    @pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e30])
    def test_one_bad_image_stays_alone(self, bad, implementation):
        vertices, faces = SCENES["cube"]
        batch = np.stack([vertices, vertices]).astype(np.float32)
        batch[1, 2] = bad
        attributes = jnp.asarray(attributes_for(len(vertices)), jnp.float32)

        @jax.jit
        def loss(batch):
            raster = rasterize(
                batch,
                jnp.asarray(faces),
                DSR,
                vertex_attributes=attributes,
                implementation=implementation,
            )
            total = jnp.sum(raster.attributes, (1, 2, 3)) + jnp.sum(
                raster.alpha, (1, 2)
            )
            return jnp.sum(total), total

        (_, both), gradient = jax.value_and_grad(loss, has_aux=True)(jnp.asarray(batch))
        batch[1] = batch[0]
        (_, alone), expected = jax.value_and_grad(loss, has_aux=True)(batch)
        assert np.isfinite(both).all()
        assert np.isfinite(gradient).all()
        np.testing.assert_allclose(both[0], alone[0], rtol=1e-6)
        np.testing.assert_allclose(gradient[0], expected[0], rtol=1e-5, atol=1e-4)

    def test_batch_axes(self, implementation, float64):
        """Any leading axes, with shared or own attributes, equal one at a time."""
        vertices, faces = SCENES["cube"]
        shifts = np.random.default_rng(0).normal(size=(2, 3, 1, 3)) * 0.1
        batch = jnp.asarray(vertices + shifts)
        own = jnp.asarray(
            np.random.default_rng(1).uniform(size=(2, 3, len(vertices), 2))
        )

        @jax.jit
        def render(vertices, attributes):
            return rasterize(
                vertices,
                jnp.asarray(faces),
                DSR,
                vertex_attributes=attributes,
                implementation=implementation,
            )

        for attributes in (own, own[0, 0]):
            together = render(batch, attributes)
            assert together.attributes.shape == (2, 3, 9, 14, 2)
            for i in range(2):
                for j in range(3):
                    alone = render(
                        batch[i, j],
                        attributes[i, j] if attributes.ndim == 4 else attributes,
                    )
                    np.testing.assert_allclose(
                        together.attributes[i, j], alone.attributes, atol=1e-12
                    )
                    np.testing.assert_allclose(
                        together.alpha[i, j], alone.alpha, atol=1e-12
                    )


FLOAT32_SCENES = sorted(set(SCENES) - {"degenerate", "empty", "off_screen"})
FLOAT32_OPTIONS = (
    *("sharp", "barycentric", "small_gamma", "hard_color", "perspective"),
    *("background_far_behind", "sum", "odd_size"),
)


@pytest.mark.parametrize("option", FLOAT32_OPTIONS)
def test_float32(option):
    """The brute force sees the same rounded numbers; what differs is arithmetic."""
    settings = settings_of(option)
    for scene in FLOAT32_SCENES:
        (image, *_), arrays = run(padded(scene), settings, "tiled", dtype=jnp.float32)
        np.testing.assert_allclose(
            image, expected(arrays, settings), rtol=0, atol=1e-4, err_msg=scene
        )


BODY = RasterSettings(image_size=(37, 53), sigma=1e-4)


@pytest.mark.parametrize("zoom", [0.2, 1.0, 12.0])
class TestBody:
    """Three thousand faces: far, filling the image, and so near that few are seen."""

    def test_float64(self, zoom, float64):
        (image, grad_vertices, _), arrays = run(body(zoom), BODY, "tiled")
        np.testing.assert_allclose(image, expected(arrays, BODY), rtol=0, atol=1e-9)
        step = np.random.default_rng(1).normal(size=arrays[0].shape)
        numeric = slope(arrays, BODY, True, step, 0.0, 1e-8)
        np.testing.assert_allclose(np.sum(grad_vertices * step), numeric, rtol=1e-4)

    def test_float32(self, zoom):
        (image, *grads), arrays = run(body(zoom), BODY, "tiled", dtype=jnp.float32)
        np.testing.assert_allclose(image, expected(arrays, BODY), rtol=0, atol=1e-4)
        assert all(np.isfinite(g).all() for g in grads)


def test_hard_distance_has_no_holes(float64):
    """Pixel centres exactly on the inner edges of a fan are covered."""
    grid = (2 * np.arange(0, 13, 3) + 1 - 13) / 13
    x, y = np.meshgrid(grid, grid)
    vertices = np.stack([x, y, np.full_like(x, 3.0)], -1).reshape(-1, 3)
    i = (np.arange(4)[:, None] * 5 + np.arange(4)).reshape(-1)
    first, second = np.stack([i, i + 1, i + 6], -1), np.stack([i, i + 6, i + 5], -1)
    settings = RasterSettings(image_size=(13, 13), distance="hard", color="hard")
    for dtype in (jnp.float32, jnp.float64):
        raster = rasterize(
            jnp.asarray(vertices, dtype),
            jnp.asarray(np.concatenate([first, second]), jnp.int32),
            settings,
            vertex_attributes=jnp.ones((25, 1), dtype),
        )
        np.testing.assert_array_equal(raster.alpha, 1)
        np.testing.assert_allclose(raster.attributes, 1, rtol=1e-6)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"implementation": "fast"}, "unknown"),
        ({"vertex_attributes": None}, "exactly one"),
        ({"face_attributes": np.zeros((1, 2), np.float32)}, "exactly one"),
        ({"vertex_attributes": np.zeros((4, 2), np.float32)}, "attributes must be"),
        ({"vertex_attributes": np.zeros((9, 3, 2), np.float32)}, "have batch"),
        ({"vertices": np.zeros((3, 2), np.float32)}, "vertices must be"),
        ({"vertices": np.zeros((3, 3), np.int32)}, "floating point"),
        ({"vertices": np.zeros((3, 3), np.float16)}, "make them float32"),
        ({"faces": np.zeros((1, 4), np.int32)}, "faces must be"),
        ({"faces": np.zeros((1, 3), np.float32)}, "integers"),
        (
            {"settings": dataclasses.replace(DSR, background=(0.0, 1.0, 0.0))},
            "background has 3 values",
        ),
    ],
)
def test_wrong_arguments_raise(change, message):
    vertices, faces = SCENES["single"]
    arguments = {
        "vertices": jnp.asarray(vertices, jnp.float32),
        "faces": jnp.asarray(faces),
        "settings": DSR,
        "vertex_attributes": jnp.zeros((3, 2)),
    } | change
    with pytest.raises(ValueError, match=message):
        rasterize(**arguments)


@pytest.mark.parametrize(
    "wrong",
    [
        {"sigma": 0},
        {"gamma": -1.0},
        {"image_size": (0, 4)},
        {"near": 5.0, "far": 2.0},
        {"support": 0.7},
        {"support": 0.0},
        {"distance": "manhattan"},
        {"color": "soft"},
        {"alpha": "max"},
        {"pairs_at_once": -1},
    ],
)
def test_wrong_settings_raise(wrong):
    with pytest.raises(ValueError):
        dataclasses.replace(DSR, **wrong)
