"""Reported metrics against slow float64 code on 10 000 random bodies: 1e-6 relative."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from dsr_jax.evaluation import (
    auc,
    mpjpe,
    pa_mpjpe,
    pck,
    per_vertex_error,
    similarity_align,
)
from tests.evaluation.slow_metrics import (
    random_bodies,
    slow_align,
    slow_mpjpe,
    slow_scores,
)

COUNT = 10_000


@pytest.fixture(scope="module")
def bodies():
    """Predictions and truths in float32, as a network gives them, errors from 1 to
    300 mm."""
    random = np.random.default_rng(5)
    target = random_bodies(COUNT, 3)
    size = 10 ** random.uniform(-3, -0.5, (COUNT, 1, 1))
    predicted = target + size * random.normal(size=target.shape)
    return predicted.astype(np.float32), target.astype(np.float32)


def of_each(function, predicted, target, *rest):
    pairs = zip(predicted.astype(float), target.astype(float), strict=True)
    return np.array([function(p, q, *rest) for p, q in pairs])


def worst(values, expected, name):
    """The largest relative difference; `pytest -s` shows it."""
    error = np.max(np.abs(np.asarray(values) - expected) / np.abs(expected))
    print(f"\n{name:30} {error:.1e}", end="")
    return error


def test_mpjpe(bodies):
    assert worst(mpjpe(*bodies), of_each(slow_mpjpe, *bodies), "MPJPE") < 1e-12
    rooted = [
        b.astype(float) - b[:, [1, 2]].astype(float).mean(1)[:, None] for b in bodies
    ]
    expected = of_each(slow_mpjpe, *rooted)
    assert worst(mpjpe(*bodies, [1, 2]), expected, "MPJPE from a root") < 1e-9


def test_pa_mpjpe(bodies):
    aligned = of_each(slow_align, *bodies)
    expected = of_each(slow_mpjpe, aligned, bodies[1])
    assert worst(pa_mpjpe(*bodies), expected, "PA-MPJPE") < 1e-9


def test_per_vertex_error(bodies):
    root, true_root = (b[:, 0].astype(float) for b in bodies)
    moved = [b - r[:, None] for b, r in zip(bodies, (root, true_root), strict=True)]
    errors = per_vertex_error(*bodies, bodies[0][:, 0], bodies[1][:, 0])
    assert worst(errors, of_each(slow_mpjpe, *moved), "PVE from a root") < 1e-9


def test_pck_and_auc(bodies):
    shares, areas = of_each(slow_scores, *bodies).T
    np.testing.assert_allclose(pck(*bodies), shares, rtol=1e-12)
    np.testing.assert_allclose(auc(*bodies), areas, rtol=1e-12)
    assert 10 < np.mean(areas) < 90


def test_what_float32_on_the_device_would_give(bodies):
    """The reason for the host's float64: a reported PA-MPJPE may not be this rough."""
    on_device = list(map(jnp.asarray, bodies))
    name = "float32 on the device"
    assert pa_mpjpe(*on_device).dtype == np.float32
    assert pa_mpjpe(*bodies).dtype == np.float64
    assert worst(pa_mpjpe(*on_device), pa_mpjpe(*bodies), f"PA-MPJPE {name}") > 1e-6
    rooted = mpjpe(*on_device, 0), mpjpe(*bodies, 0)
    assert 1e-6 < worst(*rooted, f"MPJPE {name}") < 1e-2


DEGENERATE = {
    "mirrored": lambda target, random: target * [-1, 1, 1],
    "collinear": lambda target, random: (
        random.normal(size=(len(target), 24, 1))
        * random.normal(size=(len(target), 1, 3))
    ),
    "planar": lambda target, random: target * [1, 1, 0],
    "coincident": lambda target, random: np.ones_like(target),
    "at the origin": lambda target, random: np.zeros_like(target),
}


@pytest.mark.parametrize("exchange", [False, True])
@pytest.mark.parametrize("kind", DEGENERATE)
def test_procrustes_of_degenerate_sets(kind, exchange):
    """No rotation, scale and shift is nearer in the sense of least squares.

    Where several are equally near, the mean of distances is not unique: squares are.
    """
    random = np.random.default_rng(1)
    target = random_bodies(200, 8)
    points = DEGENERATE[kind](target, random)
    if exchange:
        points, target = target, points
    aligned = similarity_align(points, target)
    expected = of_each(slow_align, points, target)
    ours, best = (np.square(a - target).sum((1, 2)) for a in (aligned, expected))
    np.testing.assert_allclose(ours, best, rtol=1e-9, atol=1e-20)
    if kind == "mirrored":
        np.testing.assert_allclose(aligned, expected, atol=1e-9)
        assert np.min(pa_mpjpe(points, target)) > 10


def test_collinear_sets_along_the_same_line_meet():
    random = np.random.default_rng(2)
    along = random.normal(size=(50, 14, 1))
    lines = (
        along * random.normal(size=(50, 1, 3)),
        along * random.normal(size=(50, 1, 3)),
    )
    shift = random.normal(size=(50, 1, 3))
    assert np.max(pa_mpjpe(2.5 * lines[0] + shift, lines[1])) < 1e-9


def test_alignment_undoes_any_similarity():
    target = random_bodies(500, 4)
    turn = Rotation.random(500, random_state=1).as_matrix()
    moved = 0.3 * np.einsum("nab,njb->nja", turn, target) + [5.0, -2.0, 40.0]
    assert np.max(pa_mpjpe(moved, target)) < 1e-9


def test_one_body_without_a_batch(bodies):
    one = [b[0] for b in bodies]
    for metric in (mpjpe, pa_mpjpe, per_vertex_error, pck, auc):
        np.testing.assert_allclose(metric(*one), metric(*bodies)[0], rtol=1e-12)
        assert metric(*one).shape == () and f"{metric(*one):.1f}"


def test_one_jax_array_keeps_the_work_on_the_device(bodies):
    predicted, target = (b[:3] for b in bodies)
    assert isinstance(mpjpe(predicted, target), np.ndarray)
    assert not isinstance(mpjpe(jnp.asarray(predicted), target), np.ndarray)
