"""The prior as what the rasterizer paints on the body: one channel a class.

Rendering is linear in the attributes, so that classes are summed on the mesh, once,
and one pass over the mesh serves every loss.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from dsr_jax.arrays import Array, Bool, Float, Int
from dsr_jax.semantics.cleaning import MINIMAL_CLOTHING_LABELS
from dsr_jax.semantics.grouping import Grouping
from dsr_jax.semantics.prior import SemanticPrior
from dsr_jax.semantics.taxonomy import CIHP


def group_prior(prior: SemanticPrior, grouping: Grouping) -> Float[Array, "N C"]:
    """The probability of each class: the sum over its labels."""
    return _group(prior.probabilities, grouping)


def _group(probabilities: Array, grouping: Grouping) -> Array:
    matrix = jnp.asarray(grouping.matrix(), probabilities.dtype)
    # Probabilities, not metres; but TF32 would round each to three digits.
    return jnp.matmul(probabilities, matrix, precision=jax.lax.Precision.HIGHEST)


def most_likely(prior: SemanticPrior) -> SemanticPrior:
    """The prior in which every place shows its most likely label for certain.

    What somebody who paints labels on the body by hand would do, DSR §5.1 "MVP". A
    place that the prior holds nothing for stays empty.
    """
    known = jnp.any(prior.probabilities > 0, -1, keepdims=True)
    best = jnp.argmax(prior.probabilities, -1)
    certain = jax.nn.one_hot(best, prior.probabilities.shape[-1])
    return dataclasses.replace(prior, probabilities=jnp.where(known, certain, 0))


@jax.named_scope("semantic_textures")
def semantic_textures(
    prior: SemanticPrior,
    valid: Bool[Array, "B 5"],
    grouping: Grouping,
    posterior: Float[Array, "B N L"] | None = None,
) -> Float[Array, "B N K"]:
    """Channel 0 for DSR-MC, channels 1 to C for DSR-C.

    Args:
      prior: N rows, of vertices or faces.
      valid: which of `MINIMAL_CLOTHING_LABELS` count, for each example.
      grouping: the C classes of DSR-C.
      posterior: each example's own probabilities instead of the prior's; see
        `image_posterior`.

    Returns:
      K = 1 + C channels. Channel 0: the probability of any minimal-clothing label
      that counts, so that the render has what the target mask has. Channels 1 to C:
      the probability of each class.
    """
    probabilities = prior.probabilities if posterior is None else posterior
    probabilities = jnp.broadcast_to(
        probabilities, (valid.shape[0], *probabilities.shape[-2:])
    )
    chosen = np.array([CIHP.index(name) for name in MINIMAL_CLOTHING_LABELS])
    tight = jnp.einsum(
        "bnk,bk->bn",
        probabilities[..., chosen],
        valid.astype(probabilities.dtype),
        precision=jax.lax.Precision.HIGHEST,
    )
    return jnp.concatenate([tight[..., None], _group(probabilities, grouping)], -1)


def visible_vertices(
    face_image: Int[Array, "*batch H W"], faces: Int[Array, "F 3"], num_vertices: int
) -> Bool[Array, "*batch V"]:
    """Which vertices belong to a face that the image shows.

    Args:
      face_image: the face at each pixel, −1 where there is none.
      faces: vertex indices.
      num_vertices: V.
    """
    pixels = face_image.reshape(-1, face_image.shape[-2] * face_image.shape[-1])

    def one(image: Array) -> Array:
        corners = jnp.where(image[:, None] >= 0, faces[image], num_vertices)
        seen = jnp.zeros(num_vertices, bool)
        return seen.at[corners].set(True, mode="drop")

    return jax.vmap(one)(pixels).reshape(*face_image.shape[:-2], num_vertices)
