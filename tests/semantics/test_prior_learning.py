import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dsr_jax.errors import UserError
from dsr_jax.semantics import accumulate_label_counts, prior_from_counts


def grid_mesh(columns, rows):
    """A flat triangulated grid of (columns + 1) x (rows + 1) vertices."""
    index = np.arange((columns + 1) * (rows + 1)).reshape(rows + 1, columns + 1)
    a, b = index[:-1, :-1].ravel(), index[:-1, 1:].ravel()
    c, d = index[1:, :-1].ravel(), index[1:, 1:].ravel()
    faces = np.concatenate([np.stack([a, b, c], 1), np.stack([b, d, c], 1)])
    return faces.astype(np.int32)


def reference_votes(face_image, weights, labels, faces, num_vertices):
    total = np.zeros((num_vertices, 20))
    for view in zip(face_image, weights, labels, strict=True):
        candidates = [[] for _ in range(num_vertices)]
        image, weight, label_map = (a.reshape(42, *a.shape[2:]) for a in view)
        for face, corners, label in zip(image, weight, label_map, strict=True):
            if face >= 0 and label < 20:
                for vertex, w in zip(faces[face], corners, strict=True):
                    candidates[vertex].append((float(w), int(label)))
        for vertex, found in enumerate(candidates):
            nearest = [label for w, label in found if w == max(found)[0]]
            for label in nearest:
                total[vertex, label] += 1 / len(nearest)
    return total


def test_a_view_gives_each_vertex_that_it_shows_one_vote():
    random = np.random.default_rng(0)
    faces = grid_mesh(4, 3)
    images = random.integers(-1, 9, (3, 6, 7)).astype(np.int32)
    labels = random.integers(0, 20, (3, 6, 7)).astype(np.uint8)
    labels[0, 0] = 255  # no label of the taxonomy: not counted
    # Few values, so that some pixels are equally near and share the vote.
    weights = random.integers(0, 4, (3, 6, 7, 3)).astype(np.float32) / 4
    expected = reference_votes(images, weights, labels, faces, 20)
    add = jax.jit(accumulate_label_counts)
    zero = jnp.zeros((20, 20))
    views = [jnp.asarray(a) for a in (images, weights, labels)]
    counts = add(zero, *views, jnp.asarray(faces))
    np.testing.assert_allclose(counts, expected, atol=1e-5)
    votes = np.asarray(counts).sum(1)
    np.testing.assert_allclose(votes, np.round(votes), atol=1e-5)
    assert votes.max() == pytest.approx(3)
    # Views one by one and leading axes in any arrangement are the same.
    one_by_one = zero
    for view in zip(*views, strict=True):
        one_by_one = add(one_by_one, *view, jnp.asarray(faces))
    np.testing.assert_allclose(one_by_one, counts, atol=1e-6)


def test_a_vote_is_for_the_nearest_pixel():
    faces = np.array([[0, 1, 2]], np.int32)
    weights = np.array([[0.8, 0.1, 0.1], [0.2, 0.7, 0.1], [0.5, 0.1, 0.4]], np.float32)
    counts = accumulate_label_counts(
        jnp.zeros((4, 20)),
        jnp.zeros((1, 1, 3), jnp.int32),
        jnp.asarray(weights)[None, None],
        jnp.asarray([[[5, 9, 16]]]),
        jnp.asarray(faces),
    )
    expected = np.zeros((4, 20))
    expected[[0, 1, 2], [5, 9, 16]] = 1
    np.testing.assert_array_equal(counts, expected)


def test_a_view_of_one_near_person_does_not_outvote_others():
    faces = np.array([[0, 1, 2]], np.int32)
    images = np.full((3, 8, 8), -1, np.int32)
    images[0] = 0  # 64 pixels of the face
    images[1:, 0, 0] = 0  # one pixel in each of two more views
    labels = np.zeros((3, 8, 8), np.uint8)
    labels[0], labels[1:] = 5, 9
    thirds = jnp.full((3, 8, 8, 3), 1 / 3)
    views = jnp.asarray(images), thirds, jnp.asarray(labels)
    counts = accumulate_label_counts(jnp.zeros((3, 20)), *views, jnp.asarray(faces))
    prior = prior_from_counts(counts, faces, "toy")
    np.testing.assert_allclose(prior.probabilities[:, 5], 1 / 3, atol=1e-6)
    np.testing.assert_allclose(prior.probabilities[:, 9], 2 / 3, atol=1e-6)
    np.testing.assert_array_equal(prior.counts, 3)


def test_probabilities_solve_the_stated_equation():
    faces = grid_mesh(5, 4)
    random = np.random.default_rng(1)
    counts = random.random((30, 20)) * random.integers(0, 3, (30, 1))
    prior = prior_from_counts(counts.astype(np.float32), faces, "toy")
    assert (prior.name, prior.per) == ("toy", "vertex")
    p = np.asarray(prior.probabilities, np.float64)
    for vertex in range(30):
        around = {int(v) for face in faces if vertex in face for v in face} - {vertex}
        mean = p[sorted(around)].mean(0)
        expected = (counts[vertex] + mean) / (counts[vertex].sum() + 1)
        np.testing.assert_allclose(p[vertex], expected, atol=1e-6)
    np.testing.assert_allclose(p.sum(1), 1, atol=1e-6)
    assert p.min() >= 0


def test_unseen_vertices_blend_their_seen_neighbours():
    # A strip whose ends are seen thousands of times with different labels.
    faces = grid_mesh(8, 1)
    counts = np.zeros((18, 20), np.float32)
    counts[[0, 9], 5] = 5000
    counts[[8, 17], 14] = 5000
    p = np.asarray(prior_from_counts(counts, faces, "toy").probabilities)
    assert p[0, 5] > 0.999
    assert p[8, 14] > 0.999
    along = p[:9, 5]
    assert np.all(np.diff(along) < -0.05)
    np.testing.assert_allclose(p[:, 5] + p[:, 14], 1, atol=1e-6)


def test_a_part_that_no_view_shows_is_an_error():
    faces = np.array([[0, 1, 2], [3, 4, 5]], np.int32)
    counts = np.zeros((6, 20), np.float32)
    counts[0, 5] = 2
    with pytest.raises(UserError, match="body toy: no view shows any of the 3 vert"):
        prior_from_counts(counts, faces, "toy")
