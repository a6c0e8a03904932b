"""Learning a semantic prior from label maps of people whose bodies are known.

DSR §3 "Semantic Prior for SMPL": each visible face takes the label of its pixels, and a
vertex's probability of a label is how often it was seen with it. What counts as once is
fixed here: a view gives a vertex that it shows exactly one vote, for the label at the
pixel nearest to it on the visible faces around it.

- Counting pixels instead would let the few people who stand close to the camera outvote
  the rest.
- Splitting the vote among all pixels of the faces around a vertex would blur each
  garment's edge by a face: on `free-lite`, whose faces are 4 cm wide, and synthetic
  people at 224 px, the probabilities would be off by a mean total variation of 0.030;
  the nearest pixel's are off by 0.017 (320 people in 4 views, by the estimate of
  `benchmarks/prior_recovery.py`).

    counts = jnp.zeros((V, 20))
    for each batch of views: counts = accumulate_label_counts(counts, …)
    prior = prior_from_counts(counts, faces, name)
"""

import jax
import jax.numpy as jnp
import numpy as np
import scipy.sparse
import scipy.sparse.linalg

from dsr_jax.arrays import Array, Float, Int, Integer
from dsr_jax.errors import UserError
from dsr_jax.numerics import safe_divide
from dsr_jax.semantics.prior import SemanticPrior

# Votes that a vertex takes from its neighbours, see `prior_from_counts`: one view's
# worth, which is nothing beside a seen vertex's thousands.
SMOOTHING_VOTES = 1.0


@jax.named_scope("accumulate_label_counts")
def accumulate_label_counts(
    counts: Float[Array, "V L"],
    face_image: Int[Array, "*batch H W"],
    barycentric: Float[Array, "*batch H W 3"],
    labels: Integer[Array, "*batch H W"],
    faces: Int[Array, "F 3"],
) -> Float[Array, "V L"]:
    """Adds one vote for every view and every vertex that it shows.

    Args:
      counts: the votes so far.
      face_image: the visible face of the naked body at each pixel, −1 where none.
      barycentric: where on that face the pixel's centre lies, on the screen.
      labels: the clothing label at each pixel; pixels with a label beyond L count not.
      faces: vertex indices of the body.

    Returns:
      counts + Σ over views of n(v, l) / Σ_l n(v, l), where n(v, l) is the number of
      pixels of label l whose visible face has the corner v with the largest weight that
      v has at any pixel of the view: mostly one, for it is nearest to v.
    """
    size = face_image.shape[-2] * face_image.shape[-1]
    views = (
        face_image.reshape(-1, size),
        barycentric.reshape(-1, size, 3),
        labels.reshape(-1, size),
    )

    def add(total: Array, view: tuple[Array, Array, Array]) -> tuple[Array, None]:
        return total + _votes(*view, faces, counts), None

    return jax.lax.scan(add, counts, views)[0]


def _votes(
    image: Array, weights: Array, labels: Array, faces: Array, like: Array
) -> Array:
    """The votes (V, L) of one view, its pixels in a row."""
    num_vertices, num_labels = like.shape
    counted = (image >= 0) & (labels < num_labels)
    # Index V is outside, and dropped.
    corners = jnp.where(counted[:, None], faces[image], num_vertices)
    largest = jnp.full(num_vertices, -1, weights.dtype)
    largest = largest.at[corners].max(weights, mode="drop")
    nearest = weights >= largest.at[corners].get(mode="fill", fill_value=jnp.inf)
    pixels = (
        jnp.zeros_like(like)
        .at[corners, labels.astype(jnp.int32)[:, None]]
        .add(nearest.astype(like.dtype), mode="drop")
    )
    return safe_divide(pixels, jnp.sum(pixels, -1, keepdims=True))


def prior_from_counts(
    counts: Float[Array | np.ndarray, "V L"],
    faces: Int[Array | np.ndarray, "F 3"],
    name: str,
    smoothing_votes: float = SMOOTHING_VOTES,
) -> SemanticPrior:
    """Probabilities from votes; a vertex without votes is filled in by its neighbours.

    The probabilities p solve, for all vertices at once,

        p_v = (c_v + κ · mean of p over the neighbours of v) / (Σ_l c_vl + κ),

    κ = `smoothing_votes`: a seen vertex keeps its own votes (of 1 000 people x 10
    views it has thousands), an unseen one becomes the average of its neighbours, and so
    a whole unseen patch (between the legs, under the arms) a smooth blend of its rim.

    Args:
      counts: c, from `accumulate_label_counts`.
      faces: the mesh, whose edges make neighbours.
      name: of the body that the mesh belongs to.
      smoothing_votes: κ > 0.

    Raises:
      UserError: a connected part of the mesh was never seen: nothing can fill it.
    """
    votes = np.asarray(counts, np.float64)
    seen = votes.sum(1)
    adjacency = _adjacency(np.asarray(faces), len(votes))
    _check_every_part_seen(adjacency, seen, name)
    # A vertex of no face has no neighbours, and is a part of its own.
    degree = np.maximum(adjacency.sum(1), 1)
    average = scipy.sparse.diags_array(1 / degree) @ adjacency
    system = (
        scipy.sparse.diags_array(seen + smoothing_votes) - smoothing_votes * average
    )
    solved = scipy.sparse.linalg.splu(system.tocsc()).solve(votes)
    probabilities = np.clip(solved, 0, None)
    probabilities /= probabilities.sum(1, keepdims=True)
    return SemanticPrior(
        probabilities=jnp.asarray(probabilities.astype(np.float32)),
        counts=jnp.asarray(seen.astype(np.float32)),
        name=name,
        per="vertex",
    )


def _adjacency(faces: np.ndarray, num_vertices: int) -> scipy.sparse.csr_array:
    """Symmetric (V, V): 1 where an edge joins two vertices."""
    starts, ends = faces.ravel(), np.roll(faces, -1, axis=1).ravel()
    rows, columns = np.concatenate([starts, ends]), np.concatenate([ends, starts])
    matrix = scipy.sparse.coo_array(
        (np.ones(len(rows)), (rows, columns)), shape=(num_vertices, num_vertices)
    ).tocsr()
    matrix.data[:] = 1
    return matrix


def _check_every_part_seen(
    adjacency: scipy.sparse.csr_array, seen: np.ndarray, name: str
) -> None:
    _, part = scipy.sparse.csgraph.connected_components(adjacency, directed=False)
    unseen = np.bincount(part, seen) == 0
    if unseen.any():
        raise UserError(
            f"body {name}: no view shows any of the {int(unseen[part].sum())} vertices "
            "of a separate part of the mesh; learn the prior from more views"
        )
