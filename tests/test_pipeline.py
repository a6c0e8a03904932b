"""The whole pipeline: true derivatives, masks that drop, a switch that renders nothing."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dsr_jax.body import load_body
from dsr_jax.data import Batch
from dsr_jax.losses import ObjectiveSettings
from dsr_jax.pipeline import PipelineSettings, Scene, objective, project
from dsr_jax.rasterizer import RasterSettings
from dsr_jax.regressor import Prediction
from dsr_jax.rotations import axis_angle_to_matrix
from dsr_jax.semantics import CIHP, SemanticPrior

SIZE = 28
PEOPLE = 3
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
    return axis_angle_to_matrix(jnp.asarray(axis_angle, jnp.result_type(float)))


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


def loss_of(scene, batch, settings, use_dsr=True):
    def loss(pose, betas, camera):
        rotation_6d = jnp.zeros((pose.shape[0], 24, 6), pose.dtype)
        prediction = Prediction(pose, betas, camera, rotation_6d)
        return objective(scene, prediction, batch, use_dsr, settings)[0]

    return jax.jit(loss)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {
            "dsr_mc_metric": "soft_distance",
            "dsr_c_mode": "calibrated",
            "grouping": "clothing_8",
        },
    ],
)
def test_gradient_of_the_whole_pipeline(float64, changes):
    scene, (prediction, batch) = make_scene(), make_people()
    loss = loss_of(scene, batch, settings_with(**changes))
    point = prediction.pose, prediction.betas, prediction.camera
    gradient = jax.jit(jax.grad(loss, (0, 1, 2)))(*point)
    generator = np.random.default_rng(1)
    step = 1e-6
    for place in range(3):
        direction = [jnp.zeros_like(x) for x in point]
        direction[place] = jnp.asarray(generator.normal(size=point[place].shape))
        ends = [
            loss(*(x + sign * step * d for x, d in zip(point, direction, strict=True)))
            for sign in (1, -1)
        ]
        numerical = (ends[0] - ends[1]) / (2 * step)
        analytical = jnp.sum(gradient[place] * direction[place])
        np.testing.assert_allclose(analytical, numerical, rtol=1e-4)


def test_semantics_alone_reach_every_parameter(float64):
    """The gradient above is not only that of the standard terms."""
    off = {name: 0.0 for name in TERMS if not name.startswith("dsr")}
    scene, (prediction, batch) = make_scene(), make_people()
    loss = loss_of(scene, batch, settings_with(**off))
    point = prediction.pose, prediction.betas, prediction.camera
    for part in jax.grad(loss, (0, 1, 2))(*point):
        assert np.abs(part).max() > 1e-3


def test_masked_equals_dropped(float64):
    scene, (prediction, batch) = make_scene(), make_people()
    settings = settings_with()
    kept = jnp.array([1.0, 0.0, 1.0])
    absent = dataclasses.replace(
        batch,
        has_labels=kept,
        has_body=kept,
        keypoints_ndc=batch.keypoints_ndc.at[1, :, 2].set(0),
        joints=batch.joints.at[1, :, 3].set(0),
    )
    drop = np.array([0, 2])
    _, masked = objective(scene, prediction, absent, True, settings)
    _, dropped = objective(
        scene,
        jax.tree.map(lambda x: x[drop], prediction),
        jax.tree.map(lambda x: x[drop], batch),
        True,
        settings,
    )
    for name in TERMS:
        if name != "camera":
            np.testing.assert_allclose(masked[name], dropped[name], rtol=1e-9)
            np.testing.assert_allclose(masked[f"valid/{name}"], 2 / 3)


def test_nothing_annotated_is_zero_with_a_finite_gradient():
    scene, (prediction, batch) = make_scene(), make_people()
    empty = jax.tree.map(jnp.zeros_like, batch)
    loss = loss_of(scene, empty, settings_with(camera=0.0))
    point = prediction.pose, prediction.betas, prediction.camera
    assert loss(*point) == 0
    for part in jax.grad(loss, (0, 1, 2))(*point):
        np.testing.assert_array_equal(part, 0)


def test_the_switch_removes_the_semantic_terms_only():
    scene, (prediction, batch) = make_scene(), make_people()
    settings = settings_with()
    _, on = objective(scene, prediction, batch, jnp.array(True), settings)
    loss, off = objective(scene, prediction, batch, jnp.array(False), settings)
    assert off["dsr_mc"] == off["dsr_c"] == off["valid/dsr_c"] == 0
    assert on["dsr_mc"] > 0 and on["dsr_c"] > 0
    weights = settings.objective
    expected = weights.total * sum(
        getattr(weights, name) * off[name] for name in TERMS
    )
    np.testing.assert_allclose(loss, expected, rtol=1e-5)


@pytest.mark.parametrize("per", ["vertex", "face"])
def test_invisible_places_are_unpainted(per):
    """With the far side unpainted, the sum of the rendered classes falls."""
    scene, (prediction, batch) = make_scene(per), make_people()
    settings = settings_with(visible_only=True)
    shown = project(scene.body, prediction).vertices_ndc
    from dsr_jax.pipeline import render_semantics
    from dsr_jax.semantics import minimal_clothing_validity

    valid = minimal_clothing_validity(batch.labels)
    everything = render_semantics(scene, shown, valid, settings_with())
    visible = render_semantics(scene, shown, valid, settings)
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
    near = dataclasses.replace(prediction, camera=prediction.camera * jnp.array([[2, 1, 1]]))
    first, second = project(scene.body, prediction), project(scene.body, near)
    ratio = np.ptp(second.keypoints_ndc[..., 0], -1) / np.ptp(
        first.keypoints_ndc[..., 0], -1
    )
    np.testing.assert_allclose(ratio, 2, rtol=0.03)
    moved = dataclasses.replace(
        prediction, camera=prediction.camera + jnp.array([[0.0, 0.0, 0.1]])
    )
    down = project(scene.body, moved).keypoints_ndc - first.keypoints_ndc
    np.testing.assert_allclose(
        down[..., 1], -0.1 * prediction.camera[:, :1] * np.ones(49), rtol=0.05
    )
