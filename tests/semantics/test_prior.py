import zipfile

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dsr_jax.errors import UserError
from dsr_jax.semantics import (
    CIHP,
    CLOTHING_4,
    CLOTHING_8,
    SemanticPrior,
    group_prior,
    load_prior,
    save_prior,
    semantic_textures,
    visible_vertices,
)


def make_prior(rows=7, seed=0):
    random = np.random.default_rng(seed)
    probabilities = random.dirichlet(np.full(20, 0.2), rows).astype(np.float32)
    counts = random.integers(0, 9, rows).astype(np.float32)
    return SemanticPrior(
        jnp.asarray(probabilities), jnp.asarray(counts), "toy", "vertex"
    )


def test_a_saved_prior_reads_back(tmp_path):
    prior = make_prior()
    save_prior(tmp_path / "toy.npz", prior)
    read = load_prior(tmp_path / "toy.npz")
    assert (read.name, read.per) == ("toy", "vertex")
    # float16 keeps 11 bits; rows are normalised again.
    np.testing.assert_allclose(read.probabilities, prior.probabilities, atol=5e-4)
    np.testing.assert_allclose(np.sum(read.probabilities, 1), 1, atol=1e-6)
    np.testing.assert_array_equal(read.counts, prior.counts)
    assert [file.name for file in tmp_path.iterdir()] == ["toy.npz"]


@pytest.mark.parametrize("shape", [(11, 20), (11, 1, 20), (1, 11, 20, 1)])
def test_the_released_file_is_per_face(tmp_path, shape):
    values = np.random.default_rng(0).random((11, 20))
    values[4] = 0
    np.save(tmp_path / "semantic_prior.npy", values.reshape(shape))
    prior = load_prior(tmp_path / "semantic_prior.npy")
    assert (prior.name, prior.per) == ("semantic_prior", "face")
    expected = values / np.where(values.sum(1) > 0, values.sum(1), 1)[:, None]
    np.testing.assert_allclose(prior.probabilities, expected, rtol=1e-6)
    prior.check_body(num_vertices=6, num_faces=11)
    with pytest.raises(UserError, match="made for 11 faces, but the body has 9"):
        prior.check_body(num_vertices=11, num_faces=9)
    with pytest.raises(ValueError, match="per-vertex"):
        save_prior(tmp_path / "again.npz", prior)


def test_a_prior_of_another_body_is_refused():
    prior = make_prior(7)
    prior.check_body(num_vertices=7, num_faces=10)
    with pytest.raises(UserError, match="made for 7 vertices, but the body has 10"):
        prior.check_body(num_vertices=10, num_faces=7)


def _write_npz(path, **arrays):
    np.savez(path, **arrays)


def _write_pickle(path):
    np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)


def _truncate(path):
    save_prior(path, make_prior())
    path.write_bytes(path.read_bytes()[:200])


def _zip_texts(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("probabilities", "a text")


GOOD = np.full((3, 20), 0.05)


@pytest.mark.parametrize(
    ("name", "write", "complaint"),
    [
        ("none.npz", lambda p: None, "cannot read this semantic prior"),
        ("text.npy", lambda p: p.write_text("hello"), "damaged"),
        ("pickle.npy", _write_pickle, "damaged"),
        ("cut.npz", _truncate, "damaged"),
        ("shape.npy", lambda p: np.save(p, GOOD[:, :19]), r"shape \(N, 20\)"),
        ("sign.npy", lambda p: np.save(p, -GOOD), "negative"),
        ("nan.npy", lambda p: np.save(p, GOOD * np.nan), "not finite"),
        ("words.npy", lambda p: np.save(p, GOOD.astype(str)), "not finite"),
        ("keys.npz", lambda p: _write_npz(p, counts=GOOD), "lacks the array 'prob"),
        (
            "counts.npz",
            lambda p: _write_npz(p, probabilities=GOOD, counts=np.ones(4)),
            r"'counts' has shape \(4,\)",
        ),
        (
            "words.npz",
            lambda p: _write_npz(p, probabilities=GOOD, counts=np.array(["a"] * 3)),
            "'counts' holds values that are not finite numbers",
        ),
        ("texts.npz", _zip_texts, "damaged"),
    ],
)
def test_bad_files_are_one_line(tmp_path, name, write, complaint):
    path = tmp_path / name
    write(path)
    with pytest.raises(UserError, match=complaint) as caught:
        load_prior(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("grouping", [CLOTHING_4, CLOTHING_8], ids=lambda g: g.name)
def test_textures_sum_the_labels_of_each_class(grouping):
    prior = make_prior()
    valid = np.array([[1, 0, 1, 1, 0], [0, 0, 0, 0, 0], [1, 1, 1, 1, 1]], dtype=bool)
    textures = jax.jit(semantic_textures, static_argnums=2)(
        prior, jnp.asarray(valid), grouping
    )
    table = np.asarray(prior.probabilities, np.float64)
    labels = [14, 15, 18, 19, 13]
    for example in range(3):
        chosen = [k for k, on in zip(labels, valid[example], strict=True) if on]
        np.testing.assert_allclose(
            textures[example, :, 0], table[:, chosen].sum(1), atol=1e-6
        )
        for number, members in enumerate(grouping.members):
            columns = [CIHP.index(name) for name in members]
            np.testing.assert_allclose(
                textures[example, :, 1 + number], table[:, columns].sum(1), atol=1e-6
            )
    np.testing.assert_allclose(np.sum(group_prior(prior, grouping), 1), 1, atol=1e-6)


def test_visible_vertices_are_the_corners_of_seen_faces():
    faces = jnp.asarray([[0, 1, 2], [2, 3, 4], [4, 5, 6]], jnp.int32)
    images = np.full((2, 3, 4), -1, np.int32)
    images[0, 1, 2], images[0, 0, 0], images[1, 2, 3] = 1, 1, 2
    seen = jax.jit(visible_vertices, static_argnums=2)(jnp.asarray(images), faces, 8)
    expected = np.zeros((2, 8), bool)
    expected[0, [2, 3, 4]] = True
    expected[1, [4, 5, 6]] = True
    np.testing.assert_array_equal(np.asarray(seen), expected)
