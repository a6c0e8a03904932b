import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage
from jax.test_util import check_grads

from dsr_jax.losses import minimal_clothing_loss, soft_distance_loss, soft_iou_loss

soft_iou = jax.jit(soft_iou_loss)
soft_distance = jax.jit(soft_distance_loss)


def scene(batch=(2, 3), size=(6, 7), seed=0):
    random = np.random.default_rng(seed)
    rendered = random.random((*batch, *size))
    target = (random.random((*batch, *size)) < 0.4).astype(np.float64)
    distance = random.random((*batch, *size)) * 9 * (1 - target)
    return rendered, target, distance


def iou_reference(p, g):
    overlap, union = (p * g).sum((-2, -1)), (p + g - p * g).sum((-2, -1))
    return 1 - overlap / union


def distance_reference(r, d):
    return (r * d).sum((-2, -1)) / r.sum((-2, -1)) ** 1.5


def test_soft_iou_is_equation_3(float64):
    p, g, _ = scene()
    loss = soft_iou(jnp.asarray(p), jnp.asarray(g))
    assert loss.shape == (2, 3)
    np.testing.assert_allclose(loss, iou_reference(p, g), rtol=1e-12)


def test_soft_distance_is_equation_2(float64):
    p, _, d = scene()
    loss = soft_distance(jnp.asarray(p), jnp.asarray(d))
    assert loss.shape == (2, 3)
    np.testing.assert_allclose(loss, distance_reference(p, d), rtol=1e-12)


@pytest.mark.parametrize("reference", [iou_reference, distance_reference])
def test_float32_agrees(reference):
    p, g, d = (a.astype(np.float32) for a in scene(seed=1))
    loss, other = (
        (soft_iou_loss, g) if reference is iou_reference else (soft_distance_loss, d)
    )
    value = loss(jnp.asarray(p), jnp.asarray(other))
    assert value.dtype == jnp.float32
    # Sums of 42 terms.
    np.testing.assert_allclose(value, reference(p, other), rtol=3e-6)


def test_gradients_are_those_of_finite_differences(float64):
    p, g, d = (jnp.asarray(a) for a in scene(batch=(2,), size=(3, 4)))
    for loss, other in ((soft_iou_loss, g), (soft_distance_loss, d)):
        check_grads(jax.jit(lambda x, f=loss, o=other: f(x, o)), (p,), 1, rtol=1e-6)


def test_perfect_match_is_zero_and_no_overlap_one():
    mask = jnp.zeros((8, 8)).at[2:5, 1:4].set(1)
    assert soft_iou(mask, mask) == 0
    assert soft_iou(jnp.roll(mask, 4, 1), mask) == 1


def test_an_empty_target_or_render_in_a_batch_is_finite():
    p, g, _ = (jnp.asarray(a, jnp.float32) for a in scene(batch=(4,)))
    p = p.at[1].set(0).at[2].set(0)
    g = g.at[2].set(0).at[3].set(0)
    loss = soft_iou(p, g)
    np.testing.assert_array_equal(loss[1:], 1)
    gradient = jax.grad(lambda x: jnp.sum(soft_iou(x, g)))(p)
    alone = jax.grad(lambda x: soft_iou(x, g[0]))(p[0])
    np.testing.assert_allclose(gradient[0], alone, rtol=1e-6)
    # An empty render is still drawn to its target: −1/ΣG inside, 0 outside.
    np.testing.assert_allclose(gradient[1], -g[1] / g[1].sum(), rtol=1e-6)
    # Nothing to match: no derivative, whatever is rendered.
    np.testing.assert_array_equal(gradient[2:], 0)


@pytest.mark.parametrize("area", [0.0, 1e-30, 1e-9, 1e-5])
def test_a_vanishing_render_has_a_finite_distance_loss(area):
    rendered = jnp.zeros((2, 5, 5)).at[0, 2, 2].set(area).at[1].set(0.5)
    distance = jnp.full((2, 5, 5), 300.0)
    loss = soft_distance(rendered, distance)
    gradient = jax.grad(lambda r: jnp.sum(soft_distance(r, distance)))(rendered)
    floor = max(area, 1e-6)
    np.testing.assert_allclose(loss[0], area * 300.0 / floor**1.5, rtol=1e-5)
    assert np.isfinite(gradient).all()
    alone = jax.grad(lambda r: soft_distance(r, distance[1]))(rendered[1])
    np.testing.assert_allclose(gradient[1], alone, rtol=1e-6)


@pytest.mark.parametrize("metric", ["soft_iou", "soft_distance"])
def test_the_metric_is_chosen_by_name(metric):
    p, g, _ = (a.astype(np.float32) for a in scene(batch=(2,)))
    g[1] = 0
    g[1, 0, 3] = 1
    loss = jax.jit(minimal_clothing_loss, static_argnums=2)(p, g, metric)
    distance = [scipy.ndimage.distance_transform_edt(m == 0) for m in g]
    expected = (
        iou_reference(p, g)
        if metric == "soft_iou"
        else distance_reference(p, np.array(distance))
    )
    np.testing.assert_allclose(loss, expected, rtol=3e-6)


def test_an_unknown_metric_is_refused():
    mask = jnp.ones((2, 2))
    with pytest.raises(ValueError, match="'iou' is not one of"):
        minimal_clothing_loss(mask, mask, "iou")
