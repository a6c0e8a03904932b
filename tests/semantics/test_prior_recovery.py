"""A prior learnt from synthetic people, against an estimate that shares no code."""

import importlib.util
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from dsr_jax.body import load_body
from dsr_jax.data.scans import find_scans, scan_counts, write_synthetic_scans
from dsr_jax.data.synthetic import split_key, synthetic_views, whole_people
from dsr_jax.rasterizer import visible_faces
from dsr_jax.semantics import accumulate_label_counts

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "prior_recovery.py"


@pytest.fixture(scope="module")
def benchmark():
    spec = importlib.util.spec_from_file_location("prior_recovery", BENCHMARK)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_estimate_on_a_scene_solved_by_hand(benchmark):
    """A near square hides the corner of a far one; a third lies outside the view."""
    near = [[-0.5, -0.5, 2], [0.1, -0.5, 2], [0.1, 0.1, 2], [-0.5, 0.1, 2]]
    far = [[0, 0, 3], [0.8, 0, 3], [0.8, 0.8, 3], [0, 0.8, 3]]
    outside = [[2, 2, 2], [3, 2, 2], [3, 3, 2], [2, 3, 2]]
    vertices = np.array([*near, *far, *outside], np.float32)
    square = np.array([[0, 1, 2], [0, 2, 3]])
    faces = np.concatenate([square, square + 4, square + 8])
    labels = np.zeros((40, 40), np.uint8)
    labels[:, :20], labels[:, 20:] = 5, 9
    labels[:20] += 1  # the upper half
    around = jnp.asarray(benchmark.triangles_around(faces, 12))
    votes = benchmark.vertex_labels(
        jnp.asarray(vertices), jnp.asarray(labels), jnp.asarray(faces), around
    )
    found = np.where(np.sum(votes, 1) > 0, np.argmax(votes, 1), -1)
    expected = [5, 9, 10, 6, -1, 10, 10, 10]  # vertex 4 is hidden
    np.testing.assert_array_equal(found, [*expected, -1, -1, -1, -1])


@pytest.mark.slow
def test_a_prior_recovers_the_frequencies_of_its_people(benchmark):
    """It gives 0.036; splitting each vote among pixels would give 0.045."""
    figures = benchmark.recovery("free-lite", people=48, views=4, size=112)
    assert figures["same_people_vertices"] > 1500
    assert figures["same_people_mean_tv"] < 0.040


@pytest.mark.slow
def test_synthetic_scans_hold_the_people_that_were_made(tmp_path):
    model, views, size = load_body("free-lite"), 3, 112
    key = split_key(3, "test")
    people, vertices = synthetic_views(key, 2, views, model, whole_people(size))
    hit = visible_faces(vertices, model.faces, (size, size))
    expected = accumulate_label_counts(
        jnp.zeros((len(model.template), 20)),
        *(hit.face, hit.barycentric, jnp.asarray(people.labels), model.faces),
    )
    write_synthetic_scans(tmp_path, people, views, model)
    folders = find_scans(tmp_path)
    assert [folder.name for folder in folders] == ["000000", "000001"]
    counts = sum(scan_counts(folder, model) for folder in folders)
    # Rounding moves a few pixels on the edge of a face.
    assert np.abs(counts - expected).sum() < 0.01 * np.sum(expected)
