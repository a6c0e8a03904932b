import numpy as np
import pytest

from dsr_jax.body import load_body
from dsr_jax.errors import UserError
from dsr_jax.semantics import CIHP, mirror_vertices, symmetrize_counts


@pytest.mark.parametrize("name", ["free", "free-lite"])
def test_the_free_bodies_are_symmetric(name):
    template = np.asarray(load_body(name).template)
    mirror = mirror_vertices(template)
    np.testing.assert_array_equal(mirror[mirror], np.arange(len(template)))
    np.testing.assert_allclose(
        template[mirror], template * np.array([-1, 1, 1]), atol=1e-6
    )


def test_nearly_symmetric_bodies_pass_and_others_do_not():
    points = np.array([[0.5, 0, 0], [-0.5, 0.002, 0], [0, 1, 0.1], [0.3, 2, 0.0]])
    np.testing.assert_array_equal(mirror_vertices(points[:3]), [1, 0, 2])
    with pytest.raises(UserError, match="vertex 3 of this body is 600 mm from"):
        mirror_vertices(points, tolerance=0.5)
    shifted = points[:3] + np.array([0.7, 0, 0])
    np.testing.assert_array_equal(mirror_vertices(shifted), [1, 0, 2])


def test_sides_are_swapped_and_coverage_weighs():
    left, right, face = (CIHP.index(n) for n in ("left-arm", "right-arm", "face"))
    counts = np.zeros((3, 20))
    counts[0, left], counts[0, face] = 6, 2  # vertex 0: left, seen 8 times
    counts[1, right] = 2  # vertex 1: right, seen twice
    counts[2, left] = 4  # the middle
    votes = symmetrize_counts(counts, np.array([1, 0, 2]))
    expected = np.zeros((3, 20))
    expected[0, left] = expected[1, right] = (6 + 2) / 2
    expected[0, face] = expected[1, face] = 1
    expected[2, left] = expected[2, right] = 2
    np.testing.assert_array_equal(votes, expected)
    np.testing.assert_array_equal(
        symmetrize_counts(votes, np.array([1, 0, 2])), expected
    )
