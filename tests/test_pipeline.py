"""The whole pipeline: true derivatives, masks that drop, a switch that switches."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from dsr_jax.body import load_body
from dsr_jax.data import Batch
from dsr_jax.losses import ObjectiveSettings
from dsr_jax.pipeline import (
    PipelineSettings,
    Scene,
    objective,
    project,
    render_semantics,
)
from dsr_jax.rasterizer import RasterSettings
from dsr_jax.regressor import Prediction
from dsr_jax.semantics import CIHP, SemanticPrior, minimal_clothing_validity

SIZE = 28
PEOPLE = 4
# Softer than the paper's edges: at 28 px, sigma 1e-5 leaves most pixels no slope. And
# without the jump of 1e-4 where a face's support ends, which no difference quotient
# survives.
RASTER = RasterSettings(image_size=(SIZE, SIZE), sigma=3e-4, support=1e-12)
TERMS = ("keypoints_2d", "joints_3d", "pose", "betas", "camera", "dsr_mc", "dsr_c")


def settings_with(visible_only=False, **changes):
    return PipelineSettings(
        objective=ObjectiveSettings(
            **{"dsr_mc": 0.7, "dsr_c": 0.9, "betas": 0.3, **changes}
        ),
        raster=RASTER,
        visible_only=visible_only,
    )


def make_scene(per="vertex"):
    body = load_body("free-lite")
    dtype = jnp.result_type(float)
    body = jax.tree.map(
        lambda x: x.astype(dtype) if jnp.issubdtype(x.dtype, jnp.floating) else x, body
    )
    count = (body.template if per == "vertex" else body.faces).shape[0]
    probabilities = np.random.default_rng(0).dirichlet(np.full(20, 0.3), count)
    return Scene(
        body,
        SemanticPrior(jnp.asarray(probabilities, dtype), jnp.ones(count), "test", per),
    )


def random_pose(generator, count):
    axis_angle = generator.normal(0, 0.25, (count, 24, 3))
    # Upright, facing the camera: half a turn about x.
    axis_angle[:, 0] = [np.pi - 0.2, 0.1, 0.2]
    matrices = Rotation.from_rotvec(axis_angle.reshape(-1, 3)).as_matrix()
    return jnp.asarray(matrices.reshape(count, 24, 3, 3), jnp.result_type(float))


def make_people(seed=0):
    """Predictions, and annotations that differ from them."""
    generator = np.random.default_rng(seed)
    dtype = jnp.result_type(float)

    def normal(scale, *shape):
        return jnp.asarray(generator.normal(0, scale, shape), dtype)

    prediction = Prediction(
        pose=random_pose(generator, PEOPLE),
        betas=normal(1.0, PEOPLE, 10),
        camera=jnp.array([[0.9, 0.02, -0.03]], dtype) + normal(0.02, PEOPLE, 3),
        rotation_6d=jnp.zeros((PEOPLE, 24, 6), dtype),
    )
    labels = np.zeros((PEOPLE, SIZE, SIZE), np.uint8)
    labels[:, 3:8, 11:17] = CIHP.index("face")
    labels[:, 8:15, 9:19] = CIHP.index("upper-clothes")
    labels[:, 15:26, 10:18] = CIHP.index("pants")
    labels[:, 9:14, 5:9] = CIHP.index("right-arm")
    confidence = jnp.asarray(generator.uniform(0.2, 1.0, (PEOPLE, 49, 1)), dtype)
    batch = Batch(
        image=np.zeros((PEOPLE, SIZE, SIZE, 3), np.uint8),
        labels=labels,
        has_labels=jnp.ones(PEOPLE, dtype),
        keypoints_ndc=jnp.concatenate([normal(0.5, PEOPLE, 49, 2), confidence], -1),
        joints=jnp.concatenate([normal(0.4, PEOPLE, 24, 3), confidence[:, 25:]], -1),
        pose=random_pose(generator, PEOPLE),
        betas=normal(1.0, PEOPLE, 10),
        has_body=jnp.ones(PEOPLE, dtype),
        camera=jnp.zeros((PEOPLE, 3), dtype),
    )
    return prediction, batch


def gradients_of(settings):
    """One compiled (scene, point, batch, use_dsr) → ((loss, metrics), gradient)."""

    def loss(point, scene, batch, use_dsr):
        rotation_6d = jnp.zeros((PEOPLE, 24, 6), point[0].dtype)
        prediction = Prediction(*point, rotation_6d)
        return objective(scene, prediction, batch, use_dsr, settings)

    compiled = jax.jit(jax.value_and_grad(loss, has_aux=True))
    return lambda scene, point, batch, use_dsr=True: compiled(
        point, scene, batch, use_dsr
    )


@pytest.fixture(scope="module")
def problem():
    """Scene, point, batch and the compiled loss, for every test in double precision."""
    with jax.enable_x64(True):
        prediction, batch = make_people()
        point = prediction.pose, prediction.betas, prediction.camera
        yield make_scene(), point, batch, gradients_of(settings_with())


def check_gradient(evaluate, scene, point, batch):
    (_, _), gradient = evaluate(scene, point, batch)
    generator = np.random.default_rng(1)
    # The image jumps where a face is seen edge-on; a step this small meets no such
    # place here, and leaves seven digits to the quotient.
    step = 1e-7
    for place in range(3):
        direction = [jnp.zeros_like(x) for x in point]
        direction[place] = jnp.asarray(generator.normal(size=point[place].shape))
        ends = [
            evaluate(
                scene,
                tuple(
                    x + sign * step * d for x, d in zip(point, direction, strict=True)
                ),
                batch,
            )[0][0]
            for sign in (1, -1)
        ]
        numerical = (ends[0] - ends[1]) / (2 * step)
        analytical = jnp.sum(gradient[place] * direction[place])
        np.testing.assert_allclose(analytical, numerical, rtol=1e-4)


def test_gradient_of_the_whole_pipeline(problem):
    scene, point, batch, evaluate = problem
    check_gradient(evaluate, scene, point, batch)


@pytest.mark.slow
def test_gradient_of_the_other_losses(float64):
    settings = settings_with(
        dsr_mc_metric="soft_distance",
        dsr_c_mode="calibrated",
        grouping="clothing_8",
        class_weighting=False,
        openpose_weight=0.5,
        dsr_fb=0.5,
    )
    prediction, batch = make_people()
    point = prediction.pose, prediction.betas, prediction.camera
    check_gradient(gradients_of(settings), make_scene(), point, batch)


def test_semantics_reach_every_parameter(problem):
    """The gradient checked above is not only that of the standard terms."""
    scene, point, batch, evaluate = problem
    _, on = evaluate(scene, point, batch, True)
    _, off = evaluate(scene, point, batch, False)
    for first, second in zip(on, off, strict=True):
        assert np.abs(first - second).max() > 1e-3


def test_masked_equals_dropped(problem):
    scene, point, batch, evaluate = problem
    kept = jnp.array([1.0, 1.0, 0.0, 0.0])
    masked = dataclasses.replace(
        batch,
        has_labels=kept,
        has_body=kept,
        keypoints_ndc=batch.keypoints_ndc.at[2:, :, 2].set(0),
        joints=batch.joints.at[2:, :, 3].set(0),
    )
    # A mean over each kept person twice is the mean over the kept people.
    twice = np.array([0, 1, 0, 1])
    (_, with_masks), gradient = evaluate(scene, point, masked)
    (_, dropped), _ = evaluate(
        scene, tuple(x[twice] for x in point), jax.tree.map(lambda x: x[twice], batch)
    )
    for name in TERMS:
        if name != "camera":
            np.testing.assert_allclose(with_masks[name], dropped[name], rtol=1e-9)
            np.testing.assert_allclose(with_masks[f"valid/{name}"], 0.5)
            np.testing.assert_allclose(dropped[f"valid/{name}"], 1)
    for part in gradient[:2]:
        assert np.abs(part[:2]).max() > 0
        np.testing.assert_array_equal(part[2:], 0)


def test_nothing_annotated_leaves_the_camera_term(problem):
    scene, point, batch, evaluate = problem
    empty = jax.tree.map(jnp.zeros_like, batch)
    (loss, metrics), gradient = evaluate(scene, point, empty)
    np.testing.assert_allclose(loss, 60 * metrics["camera"], rtol=1e-9)
    for part in gradient[:2]:
        np.testing.assert_array_equal(part, 0)


def test_the_switch_removes_the_semantic_terms_only(problem):
    scene, point, batch, evaluate = problem
    (_, on), _ = evaluate(scene, point, batch, True)
    (loss, off), _ = evaluate(scene, point, batch, False)
    assert off["dsr_mc"] == off["dsr_c"] == off["valid/dsr_c"] == 0
    assert on["dsr_mc"] > 0 and on["dsr_c"] > 0
    weights = settings_with().objective
    expected = weights.total * sum(getattr(weights, name) * off[name] for name in TERMS)
    np.testing.assert_allclose(loss, expected, rtol=1e-9)


@pytest.mark.parametrize(
    "per", ["vertex", pytest.param("face", marks=pytest.mark.slow)]
)
def test_invisible_places_are_unpainted(per):
    """With the far side unpainted, the sum of the rendered classes falls."""
    scene, (prediction, batch) = make_scene(per), make_people()
    valid = minimal_clothing_validity(jnp.asarray(batch.labels))
    shown = jax.jit(project)(scene.body, prediction).vertices_ndc
    render = jax.jit(render_semantics, static_argnums=3)
    everything = render(scene, shown, valid, settings_with())
    visible = render(scene, shown, valid, settings_with(visible_only=True))
    np.testing.assert_array_equal(visible.alpha, everything.alpha)
    full = np.asarray(everything.attributes[..., 1:].sum(-1))
    part = np.asarray(visible.attributes[..., 1:].sum(-1))
    assert (part <= full + 1e-5).all()
    inside = np.asarray(everything.alpha) > 0.999
    # The far side has about half of the weight at gamma 0.1: depths differ by 0.2 m.
    assert 0.3 < part[inside].mean() / full[inside].mean() < 0.7


def test_projection_follows_the_camera():
    """Twice the scale is twice the size; shifts move by s·t, y down becomes y up."""
    scene, (prediction, _) = make_scene(), make_people()
    near = dataclasses.replace(
        prediction, camera=prediction.camera * jnp.array([[2, 1, 1]])
    )
    see = jax.jit(project)
    first, second = see(scene.body, prediction), see(scene.body, near)
    ratio = np.ptp(second.keypoints_ndc[..., 0], -1) / np.ptp(
        first.keypoints_ndc[..., 0], -1
    )
    np.testing.assert_allclose(ratio, 2, rtol=0.03)
    moved = dataclasses.replace(
        prediction, camera=prediction.camera + jnp.array([[0.0, 0.0, 0.1]])
    )
    down = see(scene.body, moved).keypoints_ndc - first.keypoints_ndc
    np.testing.assert_allclose(
        down[..., 1],
        np.broadcast_to(-0.1 * prediction.camera[:, :1], (PEOPLE, 49)),
        rtol=0.05,
    )
