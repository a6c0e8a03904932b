import jax.numpy as jnp
import numpy as np
import pytest

from dsr_jax.errors import UserError
from dsr_jax.semantics import (
    SemanticPrior,
    load_prior,
    prior_per_face,
    prior_per_vertex,
)

VERTICES, FACES = 12, 15


def toy(per, seed=0, known=True):
    random = np.random.default_rng(seed)
    faces = np.stack([random.permutation(VERTICES - 1)[:3] for _ in range(FACES)])
    rows = VERTICES if per == "vertex" else FACES
    table = random.dirichlet(np.full(20, 0.3), rows).astype(np.float32)
    counts = random.integers(1, 9, rows).astype(np.float32) * known
    prior = SemanticPrior(jnp.asarray(table), jnp.asarray(counts), "toy", per)
    return prior, faces.astype(np.int32)


@pytest.mark.parametrize("known", [True, False])
def test_a_vertex_is_the_weighted_mean_of_its_faces(known):
    prior, faces = toy("face", known=known)
    converted = prior_per_vertex(prior, faces, VERTICES)
    assert converted.per == "vertex"
    table, counts = np.asarray(prior.probabilities), np.asarray(prior.counts)
    for vertex in range(VERTICES - 1):
        around = [f for f in range(FACES) if vertex in faces[f]]
        weights = counts[around] if known else np.ones(len(around))
        expected = np.average(table[around], axis=0, weights=weights)
        np.testing.assert_allclose(converted.probabilities[vertex], expected, atol=1e-6)
        assert converted.counts[vertex] == counts[around].max()
    # The last vertex is in no face: nothing is known.
    np.testing.assert_array_equal(converted.probabilities[-1], 0)


def test_a_face_is_the_mean_of_its_corners():
    prior, faces = toy("vertex")
    converted = prior_per_face(prior, faces, VERTICES)
    assert converted.per == "face"
    expected = np.asarray(prior.probabilities)[faces].mean(1)
    np.testing.assert_allclose(converted.probabilities, expected, atol=1e-6)
    np.testing.assert_array_equal(
        converted.counts, np.asarray(prior.counts)[faces].min(1)
    )


def test_rows_without_knowledge_weigh_nothing():
    prior, faces = toy("vertex")
    table = np.asarray(prior.probabilities).copy()
    table[faces[0, 0]] = 0
    partial = SemanticPrior(jnp.asarray(table), prior.counts, "toy", "vertex")
    converted = prior_per_face(partial, faces, VERTICES)
    expected = table[faces[0, 1:]].mean(0)
    np.testing.assert_allclose(converted.probabilities[0], expected, atol=1e-6)


def test_what_is_converted_already_and_what_is_of_another_mesh():
    prior, faces = toy("vertex")
    assert prior_per_vertex(prior, faces, VERTICES) is prior
    with pytest.raises(UserError, match="made for 12 vertices, but the body has 13"):
        prior_per_face(prior, faces, VERTICES + 1)
    of_faces, _ = toy("face")
    assert prior_per_face(of_faces, faces, VERTICES) is of_faces
    with pytest.raises(UserError, match="made for 15 faces, but the body has 14"):
        prior_per_vertex(of_faces, faces[1:], VERTICES)


def test_a_file_like_the_release_becomes_per_vertex(tmp_path):
    """SMPL's sizes; a mesh of strips in which each face lies between known ones."""
    random = np.random.default_rng(0)
    start = np.arange(13776) // 2
    faces = np.stack([start, start + 1, start + 2], 1).astype(np.int32)
    labels = random.integers(0, 20, len(faces))
    labels[:4000] = 7
    np.save(tmp_path / "semantic_prior.npy", np.eye(20)[labels][:, None, :, None])
    prior = load_prior(tmp_path / "semantic_prior.npy")
    assert prior.probabilities.shape == (13776, 20)
    converted = prior_per_vertex(prior, faces, 6890)
    table = np.asarray(converted.probabilities)
    np.testing.assert_allclose(table.sum(1), 1, atol=1e-6)
    np.testing.assert_array_equal(table[:1999, 7], 1)  # certain stays certain
    again = prior_per_face(converted, faces, 6890)
    assert again.probabilities.shape == (13776, 20)
    np.testing.assert_array_equal(np.asarray(again.probabilities)[:3990, 7], 1)
