import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dsr_jax.data import Batch
from dsr_jax.errors import UserError
from dsr_jax.losses import (
    ObjectiveSettings,
    Term,
    betas_loss,
    calibrated_nll_loss,
    camera_loss,
    clothing_nll_loss,
    dsr_terms,
    inactive_dsr_terms,
    inside_nll_loss,
    joint_3d_loss,
    keypoint_2d_loss,
    pose_loss,
    sample_class_weights,
    silhouette_loss,
    soft_distance_loss,
    soft_iou_loss,
    standard_terms,
    weighted_sum,
)
from dsr_jax.losses.dsr_mc import METRICS
from dsr_jax.regressor import Prediction
from dsr_jax.semantics import (
    CLOTHING_4,
    CLOTHING_8,
    VOID,
    distance_field,
    group_labels,
)
from dsr_jax.settings import settings_from_config

SIZE = 32
# XLA adds the pixels of one small image term by term, and those of a batch in parallel:
# 1 024 nearly equal terms then differ by 1e-5.
RTOL = 3e-5


def make_batch(count=4, seed=0):
    random = np.random.default_rng(seed)

    def normal(*shape):
        return random.normal(size=shape).astype(np.float32)

    labels = np.zeros((count, SIZE, SIZE), np.uint8)
    labels[:, 4:12, 8:20] = 5
    labels[:, 12:20, 8:20] = 9
    labels[:, 4:8, 10:14] = 13
    labels[:, 6:10, 2:8] = 14
    batch = Batch(
        image=jnp.zeros((count, SIZE, SIZE, 3), jnp.uint8),
        labels=jnp.asarray(labels),
        has_labels=jnp.ones(count),
        keypoints_ndc=jnp.abs(normal(count, 49, 3)),
        joints=jnp.abs(normal(count, 24, 4)),
        pose=jnp.asarray(normal(count, 24, 3, 3)),
        betas=jnp.asarray(normal(count, 10)),
        has_body=jnp.ones(count),
        camera=jnp.zeros((count, 3)),
    )
    prediction = Prediction(
        pose=jnp.asarray(normal(count, 24, 3, 3)),
        betas=jnp.asarray(normal(count, 10)),
        camera=jnp.asarray(normal(count, 3)),
        rotation_6d=jnp.asarray(normal(count, 24, 6)),
    )
    body = (jnp.asarray(normal(count, 49, 2)), jnp.asarray(normal(count, 24, 3)))
    attributes = jnp.asarray(random.random((count, SIZE, SIZE, 5)), jnp.float32)
    alpha = jnp.asarray(random.random((count, SIZE, SIZE)), jnp.float32)
    return batch, prediction, body, (attributes, alpha)


def all_terms(batch, prediction, body, raster, settings):
    return {
        **standard_terms(prediction, *body, batch, settings),
        **dsr_terms(*raster, batch.labels, batch.has_labels, settings),
    }


terms_of = jax.jit(all_terms, static_argnums=4)


def mask(batch, example):
    """The same batch without any annotation of one example."""

    def cleared(name):
        return getattr(batch, name).at[example].set(0)

    keypoints = batch.keypoints_ndc.at[example, :, 2].set(0)
    joints = batch.joints.at[example, :, 3].set(0)
    return dataclasses.replace(
        batch,
        has_labels=cleared("has_labels"),
        has_body=cleared("has_body"),
        keypoints_ndc=keypoints,
        joints=joints,
    )


@jax.jit
def _expected_values(batch, prediction, body, attributes):
    keypoints, joints = body
    classes = group_labels(batch.labels, CLOTHING_4)
    tight = ((batch.labels == 13) | (batch.labels == 14)).astype(jnp.float32)
    return {
        "keypoints_2d": keypoint_2d_loss(keypoints, batch.keypoints_ndc),
        "joints_3d": joint_3d_loss(joints, batch.joints),
        "pose": pose_loss(prediction.pose, batch.pose),
        "betas": betas_loss(prediction.betas, batch.betas),
        "camera": camera_loss(prediction.camera),
        "dsr_mc": soft_iou_loss(attributes[..., 0], tight),
        "dsr_c": clothing_nll_loss(
            attributes[..., 1:], classes, sample_class_weights(classes, 4)
        ),
    }


def test_terms_are_the_losses_and_the_sum_is_weighted():
    given = make_batch()
    attributes = given[3][0]
    settings = ObjectiveSettings(dsr_mc=0.3, dsr_c=0.2)
    loss, metrics = weighted_sum(terms_of(*given, settings), settings)
    expected = _expected_values(*given[:3], attributes)
    assert set(metrics) == {*expected, "dsr_fb", "loss"}
    assert metrics["dsr_fb"] == 0
    for name, values in expected.items():
        np.testing.assert_allclose(metrics[name], np.mean(values), rtol=1e-5)
    m = {name: float(value) for name, value in metrics.items()}
    total = 60 * (
        5 * m["keypoints_2d"]
        + 5 * m["joints_3d"]
        + m["pose"]
        + 0.001 * m["betas"]
        + m["camera"]
        + 0.3 * m["dsr_mc"]
        + 0.2 * m["dsr_c"]
    )
    np.testing.assert_allclose(loss, total, rtol=1e-5)
    assert metrics["loss"] == loss


def test_metric_mode_classes_and_weighting_follow_the_settings():
    batch, _, _, (attributes, alpha) = make_batch()
    attributes = jnp.concatenate([attributes, attributes[..., 1:]], -1)
    settings = ObjectiveSettings(
        dsr_mc_metric="soft_distance",
        dsr_c_mode="calibrated",
        class_weighting=False,
        grouping="clothing_8",
    )

    @jax.jit
    def compare(attributes, alpha, labels, has_labels):
        terms = dsr_terms(attributes, alpha, labels, has_labels, settings)
        tight = ((labels == 13) | (labels == 14)).astype(jnp.float32)
        distance = soft_distance_loss(attributes[..., 0], distance_field(tight))
        classes = group_labels(labels, CLOTHING_8)
        inside = calibrated_nll_loss(attributes[..., 1:], alpha, classes)
        return terms, distance, inside

    terms, distance, inside = compare(attributes, alpha, batch.labels, batch.has_labels)
    np.testing.assert_allclose(terms["dsr_mc"].values, distance, rtol=1e-6)
    np.testing.assert_allclose(terms["dsr_c"].values, inside, rtol=1e-6)


def test_the_silhouette_and_the_inside_form_follow_the_settings():
    batch, _, _, (attributes, alpha) = make_batch()
    settings = ObjectiveSettings(
        dsr_mc=0.0,
        dsr_fb=0.2,
        dsr_fb_metric="cross_entropy",
        dsr_c_mode="inside",
        inside_plausible=0.3,
        class_weighting=False,
    )

    @jax.jit
    def compare(attributes, alpha, labels, has_labels):
        terms = dsr_terms(attributes, alpha, labels, has_labels, settings)
        whole = silhouette_loss(alpha, (labels > 0).astype(float), "cross_entropy")
        classes = group_labels(labels, CLOTHING_4)
        inside = inside_nll_loss(attributes[..., 1:], alpha, classes, None, 0.3)
        return terms, whole, inside

    terms, whole, inside = compare(attributes, alpha, batch.labels, batch.has_labels)
    np.testing.assert_allclose(terms["dsr_fb"].values, whole, rtol=1e-6)
    np.testing.assert_allclose(terms["dsr_c"].values, inside, rtol=1e-6)
    np.testing.assert_array_equal(terms["dsr_mc"].where, 0)


def test_void_pixels_ask_nothing_of_the_classes():
    batch, _, _, (attributes, alpha) = make_batch()
    settings = ObjectiveSettings()
    half = batch.labels.at[:, :, SIZE // 2 :].set(VOID)

    @jax.jit
    def terms(attributes):
        return dsr_terms(attributes, alpha, half, batch.has_labels, settings)

    other = attributes.at[:, :, SIZE // 2 :].multiply(0.3)
    for name in ("dsr_mc", "dsr_c"):
        first, second = terms(attributes)[name].values, terms(other)[name].values
        np.testing.assert_array_equal(first, second)
        assert (first > 0).all()


def test_a_masked_example_equals_a_dropped_one():
    batch, prediction, body, raster = make_batch()
    settings = ObjectiveSettings(camera=0.0)
    masked = terms_of(mask(batch, 1), prediction, body, raster, settings)
    keep = np.array([0, 2, 3])
    dropped = terms_of(
        *jax.tree.map(lambda x: x[keep], (batch, prediction, body, raster)), settings
    )
    loss, metrics = weighted_sum(masked, settings)
    dropped_loss, dropped_metrics = weighted_sum(dropped, settings)
    np.testing.assert_allclose(loss, dropped_loss, rtol=RTOL)
    for name in set(metrics) - {"camera"}:
        np.testing.assert_allclose(metrics[name], dropped_metrics[name], rtol=RTOL)


@pytest.mark.parametrize("mode", ["calibrated", "inside"])
def test_an_example_alone_is_the_same_as_in_a_batch(mode):
    given = make_batch()
    settings = ObjectiveSettings(dsr_c_mode=mode, dsr_fb=0.1, inside_tolerance=1)
    together = terms_of(*given, settings)
    for example in range(4):
        one = jax.tree.map(lambda x, i=example: x[i : i + 1], given)
        alone = terms_of(*one, settings)
        for name, term in alone.items():
            np.testing.assert_allclose(
                term.values[0], together[name].values[example], rtol=RTOL
            )
            assert term.where[0] == together[name].where[example]


@pytest.mark.parametrize(
    ("mode", "metric"),
    [
        ("softmax", "soft_iou"),
        ("calibrated", "soft_distance"),
        ("inside", "cross_entropy"),
    ],
)
def test_all_masked_is_zero_with_a_zero_gradient(mode, metric):
    batch, prediction, body, raster = make_batch(2)
    batch = mask(mask(batch, 0), 1)
    settings = ObjectiveSettings(
        camera=0.0, dsr_c_mode=mode, dsr_fb=1.0, dsr_fb_metric=metric
    )
    if metric in METRICS:
        settings = dataclasses.replace(settings, dsr_mc_metric=metric)

    def objective(prediction, body, raster):
        terms = all_terms(batch, prediction, body, raster, settings)
        return weighted_sum(terms, settings)[0]

    empty = jax.tree.map(jnp.zeros_like, raster)
    derive = jax.jit(jax.value_and_grad(objective, (0, 1, 2)))
    for painted in (raster, empty):
        loss, gradient = derive(prediction, body, painted)
        assert loss == 0
        for leaf in jax.tree.leaves(gradient):
            np.testing.assert_array_equal(leaf, 0)


def test_terms_are_valid_where_the_example_is_annotated():
    batch, prediction, body, raster = make_batch()
    batch = dataclasses.replace(
        batch,
        has_labels=jnp.asarray([1.0, 0.0, 1.0, 1.0]),
        has_body=jnp.asarray([0.0, 1.0, 1.0, 1.0]),
        # The third shows nobody, the fourth no bare part.
        labels=batch.labels.at[2].set(0).at[3].set(5),
        # OpenPose alone does not make an example valid: its weight is 0.
        keypoints_ndc=batch.keypoints_ndc.at[3, 25:, 2].set(0),
        joints=batch.joints.at[2, 3, 3].set(0),
    )
    terms = terms_of(batch, prediction, body, raster, ObjectiveSettings(dsr_fb=0.1))
    expected = {
        "keypoints_2d": [1, 1, 1, 0],
        "joints_3d": [1, 1, 0, 1],
        "pose": [0, 1, 1, 1],
        "betas": [0, 1, 1, 1],
        "camera": [1, 1, 1, 1],
        "dsr_mc": [1, 0, 0, 0],
        "dsr_c": [1, 0, 0, 1],
        "dsr_fb": [1, 0, 0, 1],
    }
    for name, where in expected.items():
        np.testing.assert_array_equal(terms[name].where, where, err_msg=name)


def test_inactive_terms_have_the_structure_of_active_ones():
    batch, _, _, raster = make_batch()
    settings = ObjectiveSettings()
    active = jax.eval_shape(
        lambda *args: dsr_terms(*args, settings),
        *raster,
        batch.labels,
        batch.has_labels,
    )
    inactive = inactive_dsr_terms(raster[1])
    shapes = jax.tree.map(lambda x: (x.shape, x.dtype), active)
    assert shapes == jax.tree.map(lambda x: (x.shape, x.dtype), inactive)
    loss, metrics = weighted_sum(inactive, settings)
    assert loss == metrics["dsr_mc"] == metrics["dsr_c"] == 0


def test_settings_refuse_what_is_unknown():
    section = dataclasses.asdict(ObjectiveSettings())
    assert settings_from_config(ObjectiveSettings, section, "loss") is not None
    for key, value, complaint in (
        ("dsr_mc_metric", "soft-iou", "did you mean 'soft_iou'"),
        ("dsr_c_mode", "soft", "dsr_c_mode 'soft' is unknown"),
        ("grouping", "clothing_5", "grouping 'clothing_5' is unknown"),
        ("dsr_fb_metric", "iou", "dsr_fb_metric 'iou' is unknown"),
        ("inside_plausible", 0.0, "inside_plausible is 0.0: use a probability"),
        ("inside_plausible", 1.5, "inside_plausible is 1.5"),
        ("pose", -1.0, "pose is -1.0: use 0 or more"),
        ("betas", float("nan"), "betas is nan"),
    ):
        with pytest.raises(UserError, match=complaint):
            settings_from_config(ObjectiveSettings, {**section, key: value}, "loss")


def test_a_term_may_be_left_out():
    settings = ObjectiveSettings()
    term = Term(jnp.asarray([2.0, 5.0]), jnp.asarray([1.0, 0.0]))
    loss, metrics = weighted_sum({"pose": term}, settings)
    assert (loss, metrics["pose"]) == (120, 2)
