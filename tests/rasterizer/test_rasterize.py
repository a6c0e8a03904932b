"""Every implementation against the brute force, on every scene it can draw."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dsr_jax.rasterizer import RasterSettings, rasterize
from tests.rasterizer.brute_force import brute_force
from tests.rasterizer.scenes import SCENES, attributes_for, padded

IMPLEMENTATIONS = ("dense", "tiled")
DSR = RasterSettings(image_size=(9, 14), sigma=1e-3, background=0.2)
# Sharp edges at this tiny size would leave few soft pixels to compare.
OPTIONS = {
    "dsr": {},
    "sharp": {"sigma": 1e-5},
    "culled": {"cull_backfaces": True},
    "wide_support": {"support": 1e-8},
    "tall": {"image_size": (15, 7)},
    "one_pixel": {"image_size": (1, 1)},
}
DENSE_OPTIONS = {
    "barycentric": {"distance": "barycentric", "sigma": 1e-2},
    "hard_distance": {"distance": "hard"},
    "hard_color": {"color": "hard"},
    "sum": {"alpha": "sum"},
    "hard_alpha": {"alpha": "hard"},
    "small_gamma": {"gamma": 1e-4},
}


@functools.cache
def compiled(settings, implementation, per_vertex=True):
    kind = "vertex_attributes" if per_vertex else "face_attributes"

    @jax.jit
    def render(vertices, faces, attributes):
        return rasterize(
            vertices,
            faces,
            settings,
            **{kind: attributes},
            implementation=implementation,
        )

    return render


def draw(scene, settings, implementation, per_vertex=True, dtype=jnp.float64):
    vertices, faces = padded(scene)
    attributes = attributes_for(len(vertices) if per_vertex else len(faces))
    raster = compiled(settings, implementation, per_vertex)(
        jnp.asarray(vertices, dtype), jnp.asarray(faces), jnp.asarray(attributes, dtype)
    )
    return raster, brute_force(vertices, faces, settings, attributes, per_vertex)


@functools.cache
def compiled_loss(implementation, per_vertex=True):
    """A fixed random functional of the image: loss(vertices, attributes, faces)."""
    weights = np.random.default_rng(3).normal(size=(*DSR.image_size, 4))
    render = compiled(DSR, implementation, per_vertex)

    def loss(vertices, attributes, faces):
        raster = render(vertices, faces, attributes)
        image = jnp.concatenate([raster.attributes, raster.alpha[..., None]], -1)
        return jnp.sum(image * jnp.asarray(weights, image.dtype))

    return jax.jit(loss), jax.jit(jax.grad(loss, (0, 1)))


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
class TestEveryImplementation:
    def test_no_faces(self, implementation):
        vertices, faces = SCENES["empty"]
        raster = rasterize(
            jnp.asarray(vertices, jnp.float32),
            jnp.asarray(faces),
            DSR,
            vertex_attributes=jnp.ones((3, 2)),
            implementation=implementation,
        )
        np.testing.assert_allclose(raster.attributes, 0.2)
        np.testing.assert_array_equal(raster.alpha, 0)

    @pytest.mark.parametrize("scene", SCENES)
    def test_agrees_with_brute_force(self, scene, implementation, float64):
        raster, (image, alpha) = draw(scene, DSR, implementation)
        np.testing.assert_allclose(raster.attributes, image, rtol=0, atol=1e-9)
        np.testing.assert_allclose(raster.alpha, alpha, rtol=0, atol=1e-9)

    @pytest.mark.parametrize("option", OPTIONS)
    def test_options(self, option, implementation, float64):
        settings = dataclasses.replace(DSR, **OPTIONS[option])
        for scene in ("clockwise", "cube"):
            for per_vertex in (True, False):
                raster, (image, alpha) = draw(
                    scene, settings, implementation, per_vertex
                )
                np.testing.assert_allclose(raster.attributes, image, rtol=0, atol=1e-9)
                np.testing.assert_allclose(raster.alpha, alpha, rtol=0, atol=1e-9)

    @pytest.mark.parametrize("scene", ["two", "sliver", "crossing", "zoomed"])
    def test_float32(self, scene, implementation):
        raster, (image, alpha) = draw(scene, DSR, implementation, dtype=jnp.float32)
        # 1e-4: rounding of NDC coordinates times the slope of the sigmoid.
        np.testing.assert_allclose(raster.attributes, image, rtol=0, atol=1e-4)
        np.testing.assert_allclose(raster.alpha, alpha, rtol=0, atol=1e-4)

    @pytest.mark.parametrize("scene", ["two", "clockwise", "cube", "over_everything"])
    @pytest.mark.parametrize("per_vertex", [True, False])
    def test_derivatives(self, scene, per_vertex, implementation, float64):
        """Against central differences along random directions, x, y and z alike."""
        vertices, faces = padded(scene)
        attributes = attributes_for(len(vertices) if per_vertex else len(faces))
        rng = np.random.default_rng(5)
        loss, gradient = compiled_loss(implementation, per_vertex)
        point = (jnp.asarray(vertices), jnp.asarray(attributes))
        exact = gradient(*point, jnp.asarray(faces))
        for axis in range(4):
            step_v, step_a = np.zeros_like(vertices), np.zeros_like(attributes)
            if axis < 3:
                step_v[:, axis] = rng.normal(size=len(vertices))
            else:
                step_a[:] = rng.normal(size=attributes.shape)
            h = 1e-7
            ahead, behind = (
                loss(point[0] + e * step_v, point[1] + e * step_a, jnp.asarray(faces))
                for e in (h, -h)
            )
            along = jnp.sum(exact[0] * step_v) + jnp.sum(exact[1] * step_a)
            numeric = (ahead - behind) / (2 * h)
            np.testing.assert_allclose(along, numeric, rtol=1e-5, atol=1e-6)

    @pytest.mark.parametrize(
        "scene", ["degenerate", "behind", "across", "far", "empty"]
    )
    def test_what_draws_nothing_has_no_gradient(self, scene, implementation):
        vertices, faces = padded(scene)
        attributes = jnp.asarray(attributes_for(len(vertices)), jnp.float32)
        point = (jnp.asarray(vertices, jnp.float32), attributes, jnp.asarray(faces))
        gradient, _ = compiled_loss(implementation)[1](*point)
        assert np.isfinite(gradient).all()
        nothing = {"degenerate": slice(3, None), "behind": slice(3, 6)}
        nothing |= {"across": slice(3, 6), "empty": slice(0, None)}
        if scene in nothing:
            assert not np.any(gradient[nothing[scene]])

    def test_batch_axes(self, implementation, float64):
        """Any leading axes, with shared or own attributes, equal one at a time."""
        vertices, faces = SCENES["cube"]
        shifts = np.random.default_rng(0).normal(size=(2, 3, 1, 3)) * 0.1
        batch = jnp.asarray(vertices + shifts)
        own = jnp.asarray(
            np.random.default_rng(1).uniform(size=(2, 3, len(vertices), 2))
        )
        render = functools.partial(
            rasterize,
            faces=jnp.asarray(faces),
            settings=DSR,
            implementation=implementation,
        )
        for attributes in (own, own[0, 0]):
            together = render(batch, vertex_attributes=attributes)
            assert together.attributes.shape == (2, 3, 9, 14, 2)
            for i in range(2):
                for j in range(3):
                    alone = render(
                        batch[i, j],
                        vertex_attributes=attributes[i, j]
                        if attributes.ndim == 4
                        else attributes,
                    )
                    np.testing.assert_allclose(
                        together.attributes[i, j], alone.attributes, atol=1e-12
                    )
                    np.testing.assert_allclose(
                        together.alpha[i, j], alone.alpha, atol=1e-12
                    )

    def test_one_bad_image_stays_alone(self, implementation):
        vertices, faces = SCENES["cube"]
        batch = np.stack([vertices, vertices]).astype(np.float32)
        batch[1, 2] = np.nan
        attributes = jnp.asarray(attributes_for(len(vertices)), jnp.float32)

        def loss(batch):
            raster = rasterize(
                batch,
                jnp.asarray(faces),
                DSR,
                vertex_attributes=attributes,
                implementation=implementation,
            )
            return jnp.sum(raster.attributes) + jnp.sum(raster.alpha)

        value, gradient = jax.value_and_grad(loss)(jnp.asarray(batch))
        assert np.isfinite(value)
        assert np.isfinite(gradient).all()

    def test_jit_and_vmap(self, implementation, float64):
        vertices, faces = SCENES["cube"]
        batch = jnp.asarray(np.stack([vertices, vertices + 0.1]))
        attributes = jnp.asarray(attributes_for(len(vertices)))

        def render(vertices):
            return rasterize(
                vertices,
                jnp.asarray(faces),
                DSR,
                vertex_attributes=attributes,
                implementation=implementation,
            ).alpha

        plain = render(batch)
        np.testing.assert_allclose(jax.jit(render)(batch), plain, atol=1e-12)
        np.testing.assert_allclose(jax.vmap(render)(batch), plain, atol=1e-12)


@pytest.mark.parametrize("option", DENSE_OPTIONS)
@pytest.mark.parametrize("scene", ["two", "clockwise", "cube", "near"])
def test_dense_draws_every_option(option, scene, float64):
    settings = dataclasses.replace(DSR, **DENSE_OPTIONS[option])
    for per_vertex in (True, False):
        raster, (image, alpha) = draw(scene, settings, None, per_vertex)
        np.testing.assert_allclose(raster.attributes, image, rtol=0, atol=1e-9)
        np.testing.assert_allclose(raster.alpha, alpha, rtol=0, atol=1e-9)


@pytest.mark.parametrize("option", DENSE_OPTIONS)
def test_a_named_implementation_that_cannot_run_raises(option):
    settings = dataclasses.replace(DSR, **DENSE_OPTIONS[option])
    with pytest.raises(ValueError, match="'tiled' cannot run"):
        draw("single", settings, "tiled", dtype=jnp.float32)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"implementation": "fast"}, "unknown"),
        ({"vertex_attributes": None}, "exactly one"),
        ({"face_attributes": np.zeros((1, 2), np.float32)}, "exactly one"),
        ({"vertex_attributes": np.zeros((4, 2), np.float32)}, "attributes must be"),
        ({"vertices": np.zeros((3, 2), np.float32)}, "vertices must be"),
        ({"faces": np.zeros((1, 4), np.int32)}, "faces must be"),
        ({"faces": np.zeros((1, 3), np.float32)}, "integers"),
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
        {"distance": "manhattan"},
    ],
)
def test_wrong_settings_raise(wrong):
    with pytest.raises(ValueError):
        dataclasses.replace(DSR, **wrong)
