"""A prior of faces as one of vertices, and the other way round.

The authors' release is per face, for `face_attributes` of the rasterizer; what we learn
is per vertex, for `vertex_attributes`. Both conversions average, so that a label which
is certain everywhere stays certain, and both blur by about one face.
"""

import dataclasses
from typing import Literal

import jax.numpy as jnp
import numpy as np

from dsr_jax.arrays import Array, Int
from dsr_jax.semantics.prior import SemanticPrior


def prior_per_vertex(
    prior: SemanticPrior, faces: Int[np.ndarray | Array, "F 3"], num_vertices: int
) -> SemanticPrior:
    """The mean of the faces around each vertex, weighted by how often each was seen.

    p_v = Σ_f n_f p_f / Σ_f n_f over the faces f with the corner v, n_f the counts; the
    plain mean where none of them was seen, or where the counts are unknown, as in the
    release. Faces whose row is zero (nothing known) weigh nothing, and a vertex that
    has no other keeps a row of zeros. The count of a vertex is the largest around it:
    whoever sees a face sees its corners.

    Args:
      prior: per face; one that is per vertex is given back as it is.
      faces: vertex indices of the mesh.
      num_vertices: V.

    Raises:
      UserError: the prior is of another mesh.
    """
    prior.check_body(num_vertices, len(faces))
    if prior.per == "vertex":
        return prior
    corners = np.asarray(faces)
    probabilities = np.asarray(prior.probabilities, np.float64)
    face_counts = np.asarray(prior.counts)
    counts = np.zeros(num_vertices, np.float32)
    seen = np.zeros((num_vertices, probabilities.shape[1]))
    filled_in = np.zeros_like(seen)
    for corner in corners.T:
        np.add.at(seen, corner, face_counts[:, None] * probabilities)
        np.add.at(filled_in, corner, probabilities)
        np.maximum.at(counts, corner, face_counts)
    total = np.where(seen.sum(1, keepdims=True) > 0, seen, filled_in)
    return _replaced(prior, total, counts, "vertex")


def prior_per_face(
    prior: SemanticPrior, faces: Int[np.ndarray | Array, "F 3"], num_vertices: int
) -> SemanticPrior:
    """The mean of each face's corners: what their interpolation has at its middle.

    Corners whose row is zero (nothing known) are left out. The count of a face is the
    smallest of its corners': it was not seen more often than they.

    Args:
      prior: per vertex; one that is per face is given back as it is.
      faces: vertex indices of the mesh.
      num_vertices: V.

    Raises:
      UserError: the prior is of another mesh.
    """
    prior.check_body(num_vertices, len(faces))
    if prior.per == "face":
        return prior
    corners = np.asarray(faces)
    total = np.asarray(prior.probabilities, np.float64)[corners].sum(1)
    counts = np.asarray(prior.counts)[corners].min(1)
    return _replaced(prior, total, counts, "face")


def _replaced(
    prior: SemanticPrior,
    total: np.ndarray,
    counts: np.ndarray,
    per: Literal["vertex", "face"],
) -> SemanticPrior:
    """The prior with other rows, normalised; a row of zeros stays one."""
    sums = total.sum(1, keepdims=True)
    probabilities = total / np.where(sums > 0, sums, 1)
    return dataclasses.replace(
        prior,
        probabilities=jnp.asarray(probabilities.astype(np.float32)),
        counts=jnp.asarray(counts.astype(np.float32)),
        per=per,
    )
