import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from dsr_jax.losses import (
    calibrated_nll_loss,
    clothing_nll_loss,
    clothing_validity,
    composite_probabilities,
    inside_nll_loss,
    sample_class_weights,
    tolerant_classes,
)

FLOOR = 1e-4


def scene(batch=(2,), size=(5, 6), classes=4, seed=0):
    """A render over black, its coverage, labels and class weights."""
    random = np.random.default_rng(seed)
    alpha = random.random((*batch, *size))
    body = random.dirichlet(np.ones(classes), (*batch, *size))
    rendered = body * (0.99 * alpha)[..., None]
    labels = random.integers(0, classes, (*batch, *size)).astype(np.int32)
    weights = random.random((*batch, classes))
    return rendered, alpha, labels, weights


def pick(table, labels):
    return np.take_along_axis(table, labels[..., None], -1)[..., 0]


def weighted(surprise, labels, weights):
    """Example by example: Σ w·surprise / Σ w."""
    result = []
    for s, k, w in zip(surprise, labels, weights, strict=True):
        result.append((w[k] * pick(s, k)).sum() / w[k].sum())
    return np.array(result)


def softmax_surprise(rendered):
    return np.log(np.exp(rendered).sum(-1, keepdims=True)) - rendered


def calibrated_surprise(rendered, alpha):
    p = alpha[..., None] * rendered / rendered.sum(-1, keepdims=True)
    p[..., 0] += 1 - alpha
    return -np.log(np.maximum(p, FLOOR))


def inside_surprise(rendered, alpha, plausible):
    given = rendered / rendered.sum(-1, keepdims=True)
    cost = np.log(plausible) - np.log(np.maximum(given, FLOOR))
    return alpha[..., None] * np.maximum(cost, 0)


def test_nll_is_a_weighted_cross_entropy(float64):
    rendered, _, labels, weights = scene()
    loss = jax.jit(clothing_nll_loss)(
        jnp.asarray(rendered), jnp.asarray(labels), jnp.asarray(weights)
    )
    expected = weighted(softmax_surprise(rendered), labels, weights)
    np.testing.assert_allclose(loss, expected, rtol=1e-12)


def test_nll_without_weights_is_the_mean_over_pixels(float64):
    rendered, _, labels, _ = scene(batch=(2, 3))
    loss = jax.jit(clothing_nll_loss)(rendered, labels)
    expected = pick(softmax_surprise(rendered), labels).mean((-2, -1))
    np.testing.assert_allclose(loss, expected, rtol=1e-12)
    shared = jax.jit(clothing_nll_loss)(rendered, labels, np.full(4, 0.3))
    np.testing.assert_allclose(shared, expected, rtol=1e-12)


def test_calibrated_is_the_nll_of_the_composite(float64):
    rendered, alpha, labels, weights = scene()
    loss = jax.jit(calibrated_nll_loss)(
        *(jnp.asarray(a) for a in (rendered, alpha, labels, weights))
    )
    expected = weighted(calibrated_surprise(rendered, alpha), labels, weights)
    np.testing.assert_allclose(loss, expected, rtol=1e-12)


@pytest.mark.parametrize("plausible", [1.0, 0.3])
def test_inside_asks_the_covered_pixels_only(float64, plausible):
    rendered, alpha, labels, weights = scene()
    rendered[0, 0, 0] = [0, 1, 0, 0]  # some labels are impossible there
    loss = jax.jit(lambda *given: inside_nll_loss(*given, plausible))(
        *(jnp.asarray(a) for a in (rendered, alpha, labels, weights))
    )
    surprise = inside_surprise(rendered, alpha, plausible)
    np.testing.assert_allclose(loss, weighted(surprise, labels, weights), rtol=1e-12)
    assert (loss > 0).all()


def test_a_body_inside_its_clothes_costs_nothing_and_is_left_alone():
    """A thin body of the right class, whatever of the clothing it leaves uncovered."""
    labels = np.zeros((1, 6, 8), np.int32)
    labels[:, 1:5, 1:7] = 2
    alpha = np.zeros((1, 6, 8), np.float32)
    alpha[:, 2:4, 2:5] = 0.7
    rendered = alpha[..., None] * np.array([0, 0.3, 0.6, 0.1], np.float32)
    value = jax.jit(
        jax.value_and_grad(
            lambda r, a: jnp.sum(
                inside_nll_loss(r, a, jnp.asarray(labels), plausible=0.5)
            ),
            (0, 1),
        )
    )
    loss, gradients = value(jnp.asarray(rendered), jnp.asarray(alpha))
    assert loss == 0
    for gradient in gradients:
        np.testing.assert_array_equal(gradient, 0)
    # Over the edge of its clothing it pays for what it covers there.
    alpha[:, 2:4, 7] = 0.7
    rendered = alpha[..., None] * np.array([0, 0.3, 0.6, 0.1], np.float32)
    loss, gradients = value(jnp.asarray(rendered), jnp.asarray(alpha))
    np.testing.assert_allclose(loss, 2 * 0.7 * np.log(0.5 / FLOOR) / 48, rtol=1e-6)
    assert (gradients[1][:, 2:4, 7] > 0).all()


@pytest.mark.parametrize("loss_name", ["softmax", "calibrated", "inside"])
def test_gradients_are_those_of_finite_differences(float64, loss_name):
    rendered, alpha, labels, weights = (
        jnp.asarray(a) for a in scene(batch=(1,), size=(3, 3))
    )
    if loss_name == "softmax":
        check_grads(
            jax.jit(lambda r: clothing_nll_loss(r, labels, weights)),
            (rendered,),
            order=1,
            rtol=1e-6,
        )
    else:
        loss = calibrated_nll_loss if loss_name == "calibrated" else inside_nll_loss
        check_grads(
            jax.jit(lambda r, a: loss(r, a, labels, weights)),
            (rendered, alpha),
            order=1,
            eps=1e-8,  # −log bends strongly near 0
            rtol=1e-6,
        )


def test_composite_is_a_distribution_even_where_nothing_is_rendered():
    rendered, alpha, _, _ = scene()
    rendered[0, 2, 2] = 0
    rendered[1, 0, 0], alpha[1, 0, 0] = 0, 0
    p = jax.jit(composite_probabilities)(jnp.asarray(rendered), jnp.asarray(alpha))
    np.testing.assert_allclose(np.sum(p, -1), 1, rtol=1e-6)
    np.testing.assert_array_equal(p[0, 2, 2], [1, 0, 0, 0])
    np.testing.assert_array_equal(p[1, 0, 0], [1, 0, 0, 0])


def test_an_impossible_label_costs_the_floor_and_spoils_no_neighbour():
    rendered = np.zeros((1, 4, 2, 4), np.float32)
    rendered[0, :, 1] = [0.1, 0.2, 0.6, 0.1]
    alpha = np.zeros((1, 4, 2), np.float32)
    alpha[0, :, 1] = 1
    labels = np.full((1, 4, 2), 2, np.int32)
    arrays = jnp.asarray(rendered), jnp.asarray(alpha)

    @jax.jit
    def total(r, a):
        return jnp.sum(calibrated_nll_loss(r, a, jnp.asarray(labels)))

    loss, gradients = jax.value_and_grad(total, (0, 1))(*arrays)
    expected = -(np.log(FLOOR) + np.log(0.6)) / 2
    np.testing.assert_allclose(loss, expected, rtol=1e-6)
    np.testing.assert_array_equal(gradients[0][0, :, 0], 0)
    np.testing.assert_array_equal(gradients[1][0, :, 0], 0)
    np.testing.assert_allclose(gradients[1][0, :, 1], -1 / 8, rtol=1e-6)


@pytest.mark.parametrize("mode", ["softmax", "calibrated", "inside"])
def test_masked_equals_dropped_and_all_masked_is_zero(mode):
    rendered, alpha, labels, weights = scene(batch=(3,))
    weights[1, 2] = 0
    weights[2] = 0
    labels[0, 0] = 255  # foreign labels do not count

    @jax.jit
    def compiled(r, a, k, w):
        if mode == "softmax":
            return clothing_nll_loss(r, k, w)
        loss = calibrated_nll_loss if mode == "calibrated" else inside_nll_loss
        return loss(r, a, k, w)

    def loss(r, a, k, w):
        r, a, w = (jnp.asarray(x, jnp.float32) for x in (r, a, w))
        return compiled(r, a, jnp.asarray(k), w)

    together = loss(rendered, alpha, labels, weights)
    dropped = loss(rendered[:1, 1:], alpha[:1, 1:], labels[:1, 1:], weights[:1])
    np.testing.assert_allclose(together[0], dropped[0], rtol=1e-6)
    keep = labels[1] != 2
    column = [x[1][keep][None, :, None] for x in (rendered, alpha, labels)]
    np.testing.assert_allclose(together[1], loss(*column, weights[1:2])[0], rtol=1e-6)
    assert together[2] == 0
    gradient = jax.grad(lambda r: jnp.sum(loss(r, alpha, labels, weights)))(
        jnp.asarray(rendered, jnp.float32)
    )
    np.testing.assert_array_equal(gradient[2], 0)
    assert np.isfinite(gradient).all()
    assert np.abs(gradient[:2]).max() > 0


def test_extreme_renders_stay_finite():
    rendered = jnp.asarray([1e4, -1e4, 0.0, 3e4]).reshape(1, 1, 1, 4)
    labels = jnp.ones((1, 1, 1), jnp.int32)
    loss, gradient = jax.value_and_grad(
        jax.jit(lambda r: jnp.sum(clothing_nll_loss(r, labels)))
    )(rendered)
    assert loss == 4e4
    assert np.isfinite(gradient).all()


def test_the_border_of_the_person_is_tolerated():
    classes = np.zeros((2, 6, 7), np.int32)
    classes[0, 2:4, 3] = 2
    tolerant = np.asarray(tolerant_classes(jnp.asarray(classes), 1))
    expected = classes.copy()
    expected[0, 1:5, 2:5] = -1
    expected[0, 2:4, 3] = 2
    np.testing.assert_array_equal(tolerant, expected)
    np.testing.assert_array_equal(tolerant_classes(jnp.asarray(classes), 0), classes)


def test_class_weights_are_smallest_over_own_count():
    classes = np.zeros((2, 224, 224), np.int32)
    classes[0, 0, :120] = 1
    classes[0, 1, :60] = 2
    classes[0, 2, :59] = 3
    classes[1, :, :100] = 3
    weights = sample_class_weights(jnp.asarray(classes), 4)
    background = 224 * 224 - 120 - 60 - 59
    np.testing.assert_allclose(weights[0], [60 / background, 0.5, 1, 0], rtol=1e-6)
    np.testing.assert_allclose(weights[1], [100 / 124, 0, 0, 1], rtol=1e-6)


def test_a_label_map_of_nobody_is_not_valid():
    classes = np.zeros((3, 56, 56), np.int32)
    classes[1, 0, :3] = 2  # 3.75 pixels are needed at this size
    classes[2, 0, :4] = 2
    valid = clothing_validity(jnp.asarray(classes), 4)
    np.testing.assert_array_equal(np.asarray(valid), [False, False, True])
    tiny = sample_class_weights(jnp.zeros((1, 2, 2), jnp.int32), 4)
    np.testing.assert_array_equal(tiny, [[1, 0, 0, 0]])
