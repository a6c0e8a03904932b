import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dsr_jax.semantics import CIHP, SemanticPrior, image_posterior, most_likely

ARM, CLOTHES, PANTS = (CIHP.index(n) for n in ("left-arm", "upper-clothes", "pants"))
SIZE = 56
# One vertex in each quarter, the last one outside; and one face of the first three.
VERTICES = np.array([[-0.5, 0.5, 9], [0.5, 0.5, 9], [0.5, -0.5, 9], [2, 0, 9]])
FACES = np.array([[0, 1, 2]], np.int32)


def prior_of(rows, per="vertex"):
    table = np.zeros((rows, 20), np.float32)
    table[:, ARM], table[:, CLOTHES] = 0.4, 0.6
    return SemanticPrior(jnp.asarray(table), jnp.ones(rows), "test", per)


def labels():
    """Skin top left, a sleeve top right, trousers below."""
    image = np.full((1, SIZE, SIZE), PANTS, np.uint8)
    image[:, : SIZE // 2, : SIZE // 2] = ARM
    image[:, : SIZE // 2, SIZE // 2 :] = CLOTHES
    return jnp.asarray(image)


def test_the_labels_near_a_place_decide_what_it_wears():
    vertices = jnp.asarray(VERTICES, jnp.float32)[None]
    found = jax.jit(image_posterior)(
        prior_of(4), vertices, jnp.asarray(FACES), labels()
    )
    np.testing.assert_allclose(found.sum(-1), 1, rtol=1e-6)
    assert found[0, 0, ARM] > 0.99
    assert found[0, 1, CLOTHES] > 0.99
    # Nothing that it could show is near, or it is outside: the prior.
    for place in (2, 3):
        np.testing.assert_allclose(found[0, place], prior_of(4).probabilities[place])


def test_faces_stand_at_their_middle():
    vertices = jnp.asarray(VERTICES - [0.45, -0.4, 0], jnp.float32)[None]
    found = jax.jit(image_posterior)(
        prior_of(1, "face"), vertices, jnp.asarray(FACES), labels()
    )
    assert found.shape == (1, 1, 20)
    assert found[0, 0, ARM] > 0.99


@pytest.mark.parametrize("per", ["vertex", "face"])
def test_the_most_likely_label_becomes_certain(per):
    prior = prior_of(3, per)
    empty = prior.probabilities.at[1].set(0)
    certain = most_likely(SemanticPrior(empty, prior.counts, "test", per))
    expected = np.zeros((3, 20))
    expected[[0, 2], CLOTHES] = 1
    np.testing.assert_array_equal(certain.probabilities, expected)
