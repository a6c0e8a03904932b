"""The rasterizer under JAX's transformations: each means what it means elsewhere."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec

from dsr_jax.rasterizer import RasterSettings, rasterize, visible_faces
from tests.rasterizer.scenes import SCENES, attributes_for

SETTINGS = RasterSettings(image_size=(9, 14), sigma=1e-3)
VERTICES, FACES = SCENES["cube"]
# Four different cubes, the last one small and half out of the image.
SHIFTS = np.array([[0, 0, 0], [0.1, 0.2, 0.3], [-0.3, 0.1, 1], [0.9, 0.4, 2]])
BATCH = (VERTICES * [[[1]], [[1.1]], [[0.7]], [[0.4]]] + SHIFTS[:, None]).astype("f4")
COLORS = attributes_for(len(VERTICES)).astype("f4")


def loss(vertices, colors, faces=FACES, settings=SETTINGS, implementation=None):
    """A fixed functional of one image, or of the batch: one value an image."""
    raster = rasterize(
        vertices,
        jnp.asarray(faces),
        settings,
        vertex_attributes=colors,
        implementation=implementation,
    )
    leading = (1,) * (raster.alpha.ndim - 2)
    ramp = jnp.linspace(-1, 2, 9 * 14).reshape(*leading, 9, 14)
    image = jnp.sum(raster.attributes * ramp[..., None], (-3, -2, -1))
    return image + jnp.sum(raster.alpha * ramp, (-2, -1))


@functools.cache
def one_at_a_time():
    """Values and gradients (vertices, colours) of each image alone."""
    alone = jax.jit(jax.value_and_grad(loss, (0, 1)))
    out = [alone(v, COLORS) for v in BATCH]
    return [np.stack(x) for x in zip(*((v, *g) for v, g in out), strict=True)]


def check(values, vertices, colors):
    for got, want in zip((values, vertices, colors), one_at_a_time(), strict=True):
        if got is not None:
            np.testing.assert_allclose(got, want, rtol=2e-5, atol=2e-5)


def test_vmap_of_gradient():
    each = jax.jit(jax.vmap(jax.value_and_grad(loss, (0, 1)), in_axes=(0, None)))
    values, (vertices, colors) = each(BATCH, COLORS)
    check(values, vertices, colors)


def test_gradient_of_vmap():
    def total(vertices, colors):
        values = jax.vmap(loss)(vertices, colors)
        return jnp.sum(values), values

    colors = np.broadcast_to(COLORS, (4, *COLORS.shape))
    gradient = jax.jit(jax.value_and_grad(total, (0, 1), has_aux=True))
    (_, values), (of_vertices, of_colors) = gradient(BATCH, colors)
    check(values, of_vertices, of_colors)


def test_vmap_twice_and_over_the_second_axis():
    pairs = jnp.asarray(BATCH.reshape(2, 2, *VERTICES.shape))
    values = jax.vmap(jax.vmap(loss, (0, None)), (0, None))(pairs, COLORS)
    check(values.reshape(4), None, None)
    values = jax.vmap(loss, (1, None))(jnp.asarray(BATCH).swapaxes(0, 1), COLORS)
    check(values, None, None)


def test_vmap_of_a_batch():
    """Images times images, colours shared by the inner batch or not."""
    pairs = jnp.asarray(BATCH.reshape(2, 2, *VERTICES.shape))
    gradient = jax.grad(lambda v, c: jnp.sum(loss(v, c)), (0, 1))
    vertices, colors = jax.jit(jax.vmap(gradient, (0, None)))(pairs, COLORS)
    _, want_vertices, want_colors = one_at_a_time()
    np.testing.assert_allclose(
        vertices.reshape(BATCH.shape), want_vertices, rtol=2e-5, atol=2e-5
    )
    want = want_colors.reshape(2, 2, *COLORS.shape).sum(1)
    np.testing.assert_allclose(colors, want, rtol=2e-5, atol=2e-5)
    own = np.broadcast_to(COLORS, (2, *COLORS.shape))
    _, colors = jax.jit(jax.vmap(gradient))(pairs, own)
    np.testing.assert_allclose(colors, want, rtol=2e-5, atol=2e-5)


def test_vmap_over_faces():
    """Meshes with other faces are drawn one after the other."""
    faces = np.stack([FACES, FACES[::-1], FACES[:, ::-1], np.roll(FACES, 1, 1)])
    each = jax.vmap(jax.value_and_grad(loss), (0, None, 0))
    values, gradients = jax.jit(each)(BATCH, COLORS, faces)
    check(values, gradients, None)


def test_vmap_folds_into_one_loop():
    """No batched loop: the program of vmap has as many loops as that of one image."""
    one = jax.make_jaxpr(jax.grad(loss))(BATCH[0], COLORS)
    many = jax.make_jaxpr(jax.vmap(jax.grad(loss), (0, None)))(BATCH, COLORS)
    assert str(many).count("while[") == str(one).count("while[") > 0
    images = rf"f32[{4 * 12},9]"  # 4 cubes of 12 faces in one table of corners
    assert images in str(many)


def test_visible_faces_under_vmap():
    hit = visible_faces(jnp.asarray(BATCH), jnp.asarray(FACES), image_size=(9, 14))
    each = jax.vmap(lambda v: visible_faces(v, jnp.asarray(FACES), image_size=(9, 14)))
    for got, want in zip(
        jax.tree.leaves(each(jnp.asarray(BATCH))), jax.tree.leaves(hit), strict=True
    ):
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("transform", [jax.jit, jax.checkpoint])
def test_jit_and_remat(transform):
    total = transform(lambda v: jnp.sum(loss(v, COLORS)))
    value, gradient = jax.value_and_grad(total)(jnp.asarray(BATCH))
    np.testing.assert_allclose(value, one_at_a_time()[0].sum(), rtol=1e-5)
    check(None, gradient, None)


def test_inside_scan():
    def total(batch):
        def step(carry, vertices):
            value = loss(vertices, COLORS)
            return carry + value, value

        return jax.lax.scan(step, jnp.zeros(()), batch)

    (_, values), gradient = jax.jit(jax.value_and_grad(total, has_aux=True))(BATCH)
    check(values, gradient, None)


def mesh_of(kind: str):
    types = (getattr(jax.sharding.AxisType, kind),)
    return jax.make_mesh((4,), ("images",), axis_types=types)


def total(vertices, colors, settings=SETTINGS):
    values = loss(vertices, colors, settings=settings)
    return jnp.sum(values), values


def expect_same(got, settings=SETTINGS):
    """(values, of vertices, of colours) against one device; and no image travels."""
    (_, values), gradients = jax.jit(
        jax.value_and_grad(
            functools.partial(total, settings=settings), (0, 1), has_aux=True
        )
    )(jnp.asarray(BATCH), jnp.asarray(COLORS))
    for mine, want in zip(got, (values, *gradients), strict=True):
        np.testing.assert_allclose(mine, want, rtol=2e-5, atol=2e-5)


def expect_only_colors_are_reduced(text: str):
    """The one thing sent between devices is the gradient of the shared colours."""
    assert "all-gather" not in text
    shape = f"{COLORS.shape[0]},{COLORS.shape[1]}]"
    reduced = [line for line in text.splitlines() if " all-reduce(" in line]
    assert reduced
    assert all(shape in line.split("all-reduce(")[0] for line in reduced)


@pytest.mark.parametrize("check_vma", [True, False])
@pytest.mark.parametrize("color", ["softmax", "hard"])
def test_shard_map_draws_on_each_device_its_own_images(check_vma, color):
    settings = dataclasses.replace(SETTINGS, color=color)
    own, everywhere = PartitionSpec("images"), PartitionSpec()

    def step(vertices, colors):
        (_, values), (of_vertices, of_colors) = jax.value_and_grad(
            functools.partial(total, settings=settings), (0, 1), has_aux=True
        )(vertices, colors)
        if not check_vma:  # where JAX tracks what varies it sums by itself
            of_colors = jax.lax.psum(of_colors, "images")
        return values, of_vertices, of_colors

    sharded = jax.jit(
        jax.shard_map(
            step,
            mesh=mesh_of("Auto"),
            in_specs=(own, everywhere),
            out_specs=(own, own, everywhere),
            check_vma=check_vma,
        )
    )
    expect_same(sharded(BATCH, COLORS), settings)
    expect_only_colors_are_reduced(sharded.lower(BATCH, COLORS).compile().as_text())


def test_explicit_sharding_draws_on_each_device_its_own_images():
    """Nothing to be written: the arrays' types say where the images lie."""
    mesh = mesh_of("Explicit")
    with jax.set_mesh(mesh):
        vertices = jax.device_put(BATCH, PartitionSpec("images"))
        colors = jax.device_put(COLORS, PartitionSpec())

        def values_and_gradients(vertices, colors):
            (_, values), gradients = jax.value_and_grad(total, (0, 1), has_aux=True)(
                vertices, colors
            )
            return values, *gradients

        step = jax.jit(values_and_gradients)
        got = step(vertices, colors)
        text = step.lower(vertices, colors).compile().as_text()
        hit = jax.jit(
            lambda v: visible_faces(v, jnp.asarray(FACES), image_size=(9, 14)).face
        )(vertices)
    assert got[0].sharding.spec == PartitionSpec("images")
    expect_same([np.asarray(g) for g in got])
    expect_only_colors_are_reduced(text)
    alone = visible_faces(jnp.asarray(BATCH), jnp.asarray(FACES), image_size=(9, 14))
    np.testing.assert_array_equal(hit, alone.face)


@pytest.mark.parametrize("split", ["vertices", "colors"])
def test_explicit_sharding_of_one_argument_splits_the_other(split):
    own = np.broadcast_to(COLORS, (4, *COLORS.shape)) * BATCH[:, :1, :1]
    want = loss(jnp.asarray(BATCH), jnp.asarray(own))
    with jax.set_mesh(mesh_of("Explicit")):
        specs = {"vertices": PartitionSpec(), "colors": PartitionSpec()}
        specs[split] = PartitionSpec("images")
        vertices = jax.device_put(BATCH, specs["vertices"])
        colors = jax.device_put(own, specs["colors"])
        got = jax.jit(loss)(vertices, colors)
    assert got.sharding.spec == PartitionSpec("images")
    np.testing.assert_allclose(got, want, rtol=2e-5)


def test_auto_sharding_gives_the_same():
    """Whatever the partitioner makes of it."""
    sharding = jax.sharding.NamedSharding(mesh_of("Auto"), PartitionSpec("images"))
    step = jax.jit(jax.value_and_grad(total, (0, 1), has_aux=True))
    (_, values), gradients = step(jax.device_put(BATCH, sharding), jnp.asarray(COLORS))
    expect_same((values, *gradients))


def test_only_the_wanted_gradient_is_computed():
    """Gradients for one argument alone equal those computed together."""
    of_vertices = jax.jit(jax.grad(lambda v, c: jnp.sum(loss(v, c)), 0))
    of_colors = jax.jit(jax.grad(lambda v, c: jnp.sum(loss(v, c)), 1))
    _, vertices, colors = one_at_a_time()
    np.testing.assert_allclose(
        of_vertices(BATCH, COLORS), vertices, rtol=2e-5, atol=2e-5
    )
    np.testing.assert_allclose(
        of_colors(BATCH, COLORS), colors.sum(0), rtol=2e-5, atol=2e-5
    )
    # Less work is asked of XLA where less is wanted.
    both = jax.jit(jax.grad(lambda v, c: jnp.sum(loss(v, c)), (0, 1)))
    sizes = [
        len(f.lower(BATCH, COLORS).as_text()) for f in (of_vertices, of_colors, both)
    ]
    assert max(sizes[:2]) < sizes[2]


def test_forward_mode_and_second_derivatives(float64):
    """Refused by "tiled", with an error; given by "dense"."""
    vertices, faces = SCENES["single"]
    vertices, tangent = jnp.asarray(vertices), jnp.asarray([[0.1, -0.2, 0.3]] * 3)
    colors = jnp.asarray(attributes_for(3))
    single = functools.partial(loss, colors=colors, faces=faces)
    with pytest.raises(TypeError, match="custom_vjp"):
        jax.jvp(single, (vertices,), (tangent,))
    slow = functools.partial(single, implementation="dense")
    gradient, curvature = jax.jvp(jax.grad(slow), (vertices,), (tangent,))
    _, along = jax.jvp(slow, (vertices,), (tangent,))
    np.testing.assert_allclose(along, jnp.vdot(gradient, tangent), rtol=1e-9)
    sides = [jax.grad(slow)(vertices + h * tangent) for h in (1e-6, -1e-6)]
    np.testing.assert_allclose(
        curvature, (sides[0] - sides[1]) / 2e-6, rtol=1e-4, atol=1e-4
    )
    with pytest.raises((TypeError, ValueError, NotImplementedError)):
        jax.grad(lambda v: jnp.sum(jax.grad(single)(v) ** 2))(vertices)


def test_jacobian_by_reverse_mode():
    """All pixels' derivatives: vmap over the backward pass alone."""
    settings = dataclasses.replace(SETTINGS, image_size=(5, 6), sigma=1e-2)

    def alpha(vertices, implementation):
        return rasterize(
            vertices,
            jnp.asarray(FACES),
            settings,
            vertex_attributes=COLORS,
            implementation=implementation,
        ).alpha

    tiled, dense = (jax.jacrev(alpha)(BATCH[0], i) for i in ("tiled", "dense"))
    assert tiled.shape == (5, 6, *VERTICES.shape)
    np.testing.assert_allclose(tiled, dense, rtol=1e-3, atol=1e-4)


def test_memory_is_bounded_by_the_setting():
    """Temporary memory falls with `pairs_at_once`; the image stays the same."""
    vertices = np.repeat(BATCH, 64, 0)

    def compiled(pairs):
        settings = dataclasses.replace(SETTINGS, pairs_at_once=pairs)
        total = jax.jit(jax.grad(lambda v: jnp.sum(loss(v, COLORS, settings=settings))))
        return total.lower(vertices).compile()

    few, many = compiled(64), compiled(4096)
    sizes = [c.memory_analysis().temp_size_in_bytes for c in (few, many)]
    # The pipelines hold some forty arrays of (pairs, 16) floats.
    assert sizes[1] - sizes[0] > 20 * (4096 - 64) * 16 * 4
    np.testing.assert_allclose(few(vertices), many(vertices), rtol=1e-4, atol=1e-5)
