"""What each place of this person wears: the prior, once the image has been looked at.

The prior knows that a forearm is bare on three people in five. On one person it is bare
or it is not, and the labels where it is drawn say which: a forearm under a sleeve that
is painted two fifths bare is asked to vanish by DSR-MC. By Bayes' rule, with the labels
near a place's projection as evidence,

    p(v, l | image) ∝ p(v, l) · (ε + share of label l within a few pixels of v).

Takes about 300 bytes a pixel of memory while it looks: 2 GB for 128 crops of 224².
"""

import jax
import jax.numpy as jnp

from dsr_jax.arrays import Array, Float, Int, Integer
from dsr_jax.semantics.prior import SemanticPrior
from dsr_jax.semantics.taxonomy import NUM_LABELS

# Half the side of the window that is looked at, in parts of the image's shorter side:
# 8 pixels of 224, about the error of a body that is being fitted.
_REACH = 8 / 224
# Evidence of a label that is not seen near: the prior decides where no label that the
# place may show is seen, and where the body lies outside the image.
_UNSEEN = 1e-3


@jax.named_scope("image_posterior")
def image_posterior(
    prior: SemanticPrior,
    vertices_ndc: Float[Array, "B V 3"],
    faces: Int[Array, "F 3"],
    labels: Integer[Array, "B H W"],
) -> Float[Array, "B N L"]:
    """Probabilities of every place's labels, example by example; no derivative.

    Args:
      prior: N rows, of vertices or faces.
      vertices_ndc: where the body is drawn.
      faces: the mesh's triangles; a face stands at the middle of its corners.
      labels: CIHP labels of the image; `VOID` is evidence of nothing.
    """
    places = jax.lax.stop_gradient(vertices_ndc[..., :2])
    if prior.per == "face":
        places = jnp.mean(places[:, faces], axis=2)
    seen = _evidence_at(places, _nearby(labels))
    joint = prior.probabilities[None] * (seen.astype(places.dtype) + _UNSEEN)
    total = jnp.sum(joint, -1, keepdims=True)
    return joint / jnp.where(total > 0, total, 1)


def _nearby(labels: Integer[Array, "B H W"]) -> Float[Array, "B H W L"]:
    """The share of each label in the window around each pixel."""
    shown = (labels[..., None] == jnp.arange(NUM_LABELS)[None, None, None]).astype(
        jnp.float32
    )
    reach = max(1, round(_REACH * min(labels.shape[1:])))
    side = 2 * reach + 1
    for axis in (1, 2):
        padding = [(0, 0)] * 4
        padding[axis] = (reach + 1, reach)
        sums = jnp.cumsum(jnp.pad(shown, padding), axis)
        size = shown.shape[axis]
        after = jax.lax.slice_in_dim(sums, side, side + size, axis=axis)
        before = jax.lax.slice_in_dim(sums, 0, size, axis=axis)
        shown = (after - before) / side
    return shown


def _evidence_at(
    places: Float[Array, "B N 2"], shares: Float[Array, "B H W L"]
) -> Float[Array, "B N L"]:
    """The shares at the pixel of each place; 0 outside the image."""
    height, width = shares.shape[1:3]
    shorter = min(height, width)
    column = jnp.round((places[..., 0] * shorter + width - 1) / 2)
    row = jnp.round((height - 1 - places[..., 1] * shorter) / 2)
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    column, row = (jnp.where(inside, i, 0).astype(jnp.int32) for i in (column, row))
    found = jax.vmap(lambda share, i, j: share[i, j])(shares, row, column)
    return jnp.where(inside[..., None], found, 0)
