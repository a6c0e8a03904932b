import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from dsr_jax.losses import person_mask, person_validity, silhouette_loss
from dsr_jax.losses.silhouette import SILHOUETTE_METRICS
from dsr_jax.semantics import VOID, distance_field


def scene():
    random = np.random.default_rng(0)
    alpha = random.uniform(0.05, 0.95, (2, 5, 6))
    mask = (random.random((2, 5, 6)) < 0.5).astype(np.float64)
    return alpha, mask


def reference(alpha, mask, metric):
    if metric == "soft_iou":
        overlap = (alpha * mask).sum((1, 2))
        return 1 - overlap / (alpha + mask - alpha * mask).sum((1, 2))
    if metric == "soft_distance":
        distance = np.asarray(distance_field(jnp.asarray(mask)))
        return (alpha * distance).sum((1, 2)) / alpha.sum((1, 2)) ** 1.5
    likelihood = np.where(mask > 0, alpha, 1 - alpha)
    return -np.log(likelihood).mean((1, 2))


@pytest.mark.parametrize("metric", SILHOUETTE_METRICS)
def test_each_metric_and_its_derivative(float64, metric):
    alpha, mask = (jnp.asarray(a) for a in scene())
    loss = jax.jit(lambda a: silhouette_loss(a, mask, metric))
    np.testing.assert_allclose(loss(alpha), reference(*scene(), metric), rtol=1e-12)
    check_grads(loss, (alpha,), order=1, rtol=1e-6)


def test_certain_and_wrong_is_finite():
    alpha, mask = jnp.array([[[0.0, 1.0]]]), jnp.array([[[1.0, 0.0]]])
    loss = jax.jit(lambda a: jnp.sum(silhouette_loss(a, mask, "cross_entropy")))
    value, gradient = jax.value_and_grad(loss)(alpha)
    np.testing.assert_allclose(value, -np.log(1e-4), rtol=1e-6)
    assert np.isfinite(gradient).all()


def test_void_belongs_to_the_person():
    labels = jnp.array([[[0, 5, VOID], [0, 0, 13]]], jnp.uint8)
    np.testing.assert_array_equal(person_mask(labels), [[[0, 1, 1], [0, 0, 1]]])
    nobody = jnp.zeros((1, 2, 3), jnp.uint8)
    valid = person_validity(jnp.concatenate([labels, nobody]))
    np.testing.assert_array_equal(np.asarray(valid), [True, False])


def test_unknown_metrics_are_refused():
    with pytest.raises(ValueError, match="'iou' is not one of"):
        silhouette_loss(jnp.ones((1, 2, 2)), jnp.ones((1, 2, 2)), "iou")
