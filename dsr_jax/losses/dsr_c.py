"""DSR-C: every part of the rendered body should lie on pixels of its own clothing."""

import jax
import jax.numpy as jnp
import numpy as np

from dsr_jax.arrays import Array, Bool, Float, Integer
from dsr_jax.numerics import masked_mean, safe_divide
from dsr_jax.semantics import class_counts, minimum_pixels

MODES = ("softmax", "calibrated", "inside")

# A pixel whose true class has less probability than this counts as one that has this,
# without a derivative: 9.2 nats at most, so that no pixel outvotes the image.
PROBABILITY_FLOOR = 1e-4


@jax.named_scope("clothing_nll_loss")
def clothing_nll_loss(
    rendered: Float[Array | np.ndarray, "*batch H W C"],
    labels: Integer[Array | np.ndarray, "*batch H W"],
    class_weights: Float[Array | np.ndarray, "..."] | None = None,
) -> Float[Array, "*batch"]:
    """Mean over pixels of −log softmax(rendered) at the label (DSR eq. 4).

    The paper sums over pixels; the released code and this take the mean.

    Args:
      rendered: C channels, as the rasterizer gives them.
      labels: classes 0 to C − 1; pixels with any other value do not count.
      class_weights: (*batch, C) or (C,), not negative; a pixel weighs what its label
        does, and the mean divides by the sum of the weights.

    Returns:
      0, with a zero gradient, where no pixel has a weight.
    """
    surprise = -jax.nn.log_softmax(rendered, axis=-1)
    return _weighted_mean(surprise, labels, class_weights)


@jax.named_scope("calibrated_nll_loss")
def calibrated_nll_loss(
    rendered: Float[Array, "*batch H W C"],
    alpha: Float[Array, "*batch H W"],
    labels: Integer[Array, "*batch H W"],
    class_weights: Float[Array, "..."] | None = None,
) -> Float[Array, "*batch"]:
    """Mean over pixels of −log of the composited probability of the label.

    A softmax over rendered probabilities can never be sure: with four classes it tops
    out at e/(e + 3) = 0.48. Here the classes are a true distribution: the body's own,
    q = rendered / Σ rendered, over the background, in the proportion of the coverage,

        p_c = alpha·q_c,  and for the background  p_0 = 1 − alpha + alpha·q_0.

    Args:
      rendered: C channels over a black background, not negative; channel 0 is the
        background class.
      alpha: coverage in [0, 1].
      labels: as for `clothing_nll_loss`.
      class_weights: as for `clothing_nll_loss`.

    Returns:
      As `clothing_nll_loss`; probabilities below `PROBABILITY_FLOOR` count as that.
    """
    probabilities = composite_probabilities(rendered, alpha)
    likely = probabilities > PROBABILITY_FLOOR
    surprise = -jnp.log(jnp.where(likely, probabilities, PROBABILITY_FLOOR))
    return _weighted_mean(surprise, labels, class_weights)


@jax.named_scope("inside_nll_loss")
def inside_nll_loss(
    rendered: Float[Array, "*batch H W C"],
    alpha: Float[Array, "*batch H W"],
    labels: Integer[Array, "*batch H W"],
    class_weights: Float[Array, "..."] | None = None,
    plausible: float = 1.0,
) -> Float[Array, "*batch"]:
    """Mean over pixels of alpha times −log of the label's probability on the body.

    The paper's words taken literally: what the body covers must be of the right class,
    and what it leaves uncovered costs nothing. With q = rendered / Σ rendered, the
    class given that the pixel is covered,

        Σ w·alpha·max(0, log plausible − log q_label) / Σ w  over the pixels.

    The denominator does not depend on the body, so that nothing is gained by covering
    more, or less, of what already fits. With `plausible` = 1 this is the negative
    log-likelihood, whose cost of the prior's own uncertainty rewards a thinner body;
    below 1, a pixel costs nothing where its label is at least that likely.

    Args:
      rendered: as for `calibrated_nll_loss`.
      alpha: as for `calibrated_nll_loss`.
      labels: as for `clothing_nll_loss`; on pixels of the background, class 0, the
        body has next to no probability, and pays.
      class_weights: as for `clothing_nll_loss`.
      plausible: in (`PROBABILITY_FLOOR`, 1].

    Returns:
      As `clothing_nll_loss`; probabilities below `PROBABILITY_FLOOR` count as that.
    """
    total = jnp.sum(rendered, -1, keepdims=True)
    given = safe_divide(rendered, jnp.broadcast_to(total, rendered.shape))
    clipped = (given < PROBABILITY_FLOOR) | (given > plausible)
    inner = jnp.where(clipped, plausible, given)
    floor = jnp.where(given < PROBABILITY_FLOOR, PROBABILITY_FLOOR / plausible, 1)
    surprise = -jnp.log(inner / plausible) - jnp.log(floor)
    # Beyond `far` a face covers without a colour, and says nothing.
    coverage = jnp.where(total > 0, alpha[..., None], 0)
    return _weighted_mean(coverage * surprise, labels, class_weights)


def composite_probabilities(
    rendered: Float[Array, "*batch H W C"], alpha: Float[Array, "*batch H W"]
) -> Float[Array, "*batch H W C"]:
    """The distribution over classes at each pixel; see `calibrated_nll_loss`.

    Sums to 1. Where nothing is rendered, the pixel is background, whatever alpha is.
    """
    total = jnp.sum(rendered, -1, keepdims=True)
    body = safe_divide(rendered, jnp.broadcast_to(total, rendered.shape))
    coverage = alpha[..., None]
    elsewhere = jnp.where(total > 0, 1 - coverage, 1)
    is_background = jnp.arange(rendered.shape[-1]) == 0
    is_background = is_background.reshape((1,) * alpha.ndim + (-1,))
    return coverage * body + jnp.where(is_background, elsewhere, 0)


def tolerant_classes(
    classes: Integer[Array, "*batch H W"], tolerance: int
) -> Integer[Array, "*batch H W"]:
    """Background pixels within `tolerance` pixels of any other class become −1.

    The distance is the larger one of rows and columns; −1 counts in no loss.
    """
    if tolerance == 0:
        return classes
    side = 2 * tolerance + 1
    window = (1,) * (classes.ndim - 2) + (side, side)
    near = jax.lax.reduce_window(
        (classes != 0).astype(jnp.int32),
        0,
        jax.lax.max,
        window,
        (1,) * classes.ndim,
        "SAME",
    )
    return jnp.where((classes == 0) & (near > 0), -1, classes)


def sample_class_weights(
    classes: Integer[Array, "*batch H W"], num_classes: int
) -> Float[Array, "*batch C"]:
    """The smallest class's pixels over each class's pixels, for each example.

    As the authors' released code does, so that a small class counts as much as the
    background. Classes with fewer than `minimum_pixels` weigh 0 and are no smallest.
    """
    counts = class_counts(classes, range(num_classes))
    kept = counts >= minimum_pixels(*classes.shape[-2:])
    counts = counts.astype(jnp.float32)
    smallest = jnp.min(jnp.where(kept, counts, jnp.inf), -1, keepdims=True)
    return jnp.where(kept, smallest / jnp.where(kept, counts, 1), 0)


def clothing_validity(
    classes: Integer[Array, "*batch H W"], num_classes: int
) -> Bool[Array, "*batch"]:
    """Whether any class but the background (0) has enough pixels to count.

    A label map that shows nobody says nothing of where the body should be.
    """
    counts = class_counts(classes, range(1, num_classes))
    return jnp.any(counts >= minimum_pixels(*classes.shape[-2:]), -1)


def _weighted_mean(
    surprise: Array,
    labels: Array | np.ndarray,
    class_weights: Array | np.ndarray | None,
) -> Array:
    """Σ w(label)·surprise(label) / Σ w(label) over the pixels of each example."""
    num_classes = surprise.shape[-1]
    numbers = jnp.arange(num_classes).reshape((1,) * labels.ndim + (-1,))
    chosen = labels[..., None] == numbers
    if class_weights is None:
        class_weights = jnp.ones(num_classes, surprise.dtype)
    batch = labels.shape[:-2]
    weights = jnp.broadcast_to(
        class_weights.reshape(
            (1,) * (len(batch) + 1 - class_weights.ndim) + class_weights.shape
        ),
        (*batch, num_classes),
    )[..., None, None, :]
    # One pixel has one label: the sum over classes picks, without a gather, which is
    # slow to differentiate on accelerators.
    values = jnp.sum(jnp.where(chosen, surprise, 0), -1)
    pixel_weights = jnp.sum(jnp.where(chosen, weights, 0), -1)
    return masked_mean(values, pixel_weights, axis=(-2, -1))
