"""Left-right symmetry of a semantic prior: clothes are worn alike on both sides.

Counting every view and its mirror image is like twice the views, for nothing. Mirroring
moves each vertex to its mirror vertex and swaps the sides of the labels (`CIHP.flip`),
so that no image has to be mirrored:

    c'(v, l) = (c(v, l) + c(m(v), flip(l))) / 2.

The probabilities are then the mean of both sides', weighted by how often each was seen.
"""

import numpy as np
import scipy.spatial

from dsr_jax.arrays import Array, Float, Int
from dsr_jax.errors import UserError
from dsr_jax.semantics.taxonomy import CIHP

# Metres. SMPL's sides agree to about 2 mm; neighbouring vertices are 1 to 2 cm apart.
MIRROR_TOLERANCE = 0.01


def mirror_vertices(
    template: Float[np.ndarray | Array, "V 3"], tolerance: float = MIRROR_TOLERANCE
) -> Int[np.ndarray, "V"]:
    """The vertex nearest to each one's mirror image in the rest pose.

    Args:
      template: metres, x to the left; the mirror plane lies where the extremes of x are
        equally far.
      tolerance: the largest distance from a mirror image to its vertex, metres.

    Raises:
      UserError: a vertex has no counterpart: the body's two sides are meshed otherwise.
    """
    vertices = np.asarray(template, np.float64)
    mirrored = vertices.copy()
    mirrored[:, 0] = vertices[:, 0].min() + vertices[:, 0].max() - vertices[:, 0]
    distance, index = scipy.spatial.KDTree(vertices).query(mirrored)
    worst = int(distance.argmax())
    if distance[worst] > tolerance:
        raise UserError(
            f"--symmetrize: vertex {worst} of this body is "
            f"{1000 * distance[worst]:.0f} mm from the nearest mirrored one, more than "
            f"{1000 * tolerance:.0f} mm; learn the prior without it"
        )
    return index


def symmetrize_counts(
    counts: Float[np.ndarray | Array, "V 20"], mirror: Int[np.ndarray, "V"]
) -> Float[np.ndarray, "V 20"]:
    """c', the mean of the votes and of the votes of the mirrored views.

    Args:
      counts: votes c, from `accumulate_label_counts`.
      mirror: m, from `mirror_vertices`.
    """
    votes = np.asarray(counts, np.float64)
    return (votes + votes[mirror][:, CIHP.flip]) / 2
