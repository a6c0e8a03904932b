"""Errors and scores against plain NumPy float64, one body at a time."""

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


def bodies(count=40, joints=14, noise=0.1, seed=0):
    rng = np.random.default_rng(seed)
    target = rng.normal(size=(count, joints, 3)) * [0.2, 0.5, 0.15]
    return target + noise * rng.normal(size=target.shape), target


def umeyama(p, q):
    """Least-squares similarity by the textbook formula, for one body."""
    p0, q0 = p.mean(0), q.mean(0)
    u, d, vt = np.linalg.svd((q - q0).T @ (p - p0) / len(p))
    s = np.diag([1, 1, np.sign(np.linalg.det(u @ vt))])
    rotation = u @ s @ vt
    scale = np.trace(np.diag(d) @ s) / ((p - p0) ** 2).sum() * len(p)
    return scale * (p - p0) @ rotation.T + q0


def test_against_numpy(float64):
    predicted, target = bodies()
    p, q = jnp.asarray(predicted), jnp.asarray(target)
    distance = 1000 * np.sqrt(((predicted - target) ** 2).sum(-1))
    np.testing.assert_allclose(mpjpe(p, q), distance.mean(-1), rtol=1e-12)
    np.testing.assert_allclose(per_vertex_error(p, q), distance.mean(-1), rtol=1e-12)
    aligned = np.stack([umeyama(a, b) for a, b in zip(predicted, target, strict=True)])
    expected = 1000 * np.sqrt(((aligned - target) ** 2).sum(-1)).mean(-1)
    np.testing.assert_allclose(pa_mpjpe(p, q), expected, rtol=1e-9)
    np.testing.assert_allclose(
        pck(p, q, 120.0), 100 * (distance <= 120).mean(-1), rtol=1e-12
    )
    curve = [(distance <= t).mean(-1) for t in range(0, 151, 5)]
    np.testing.assert_allclose(auc(p, q), 100 * np.mean(curve, 0))


@pytest.mark.parametrize("root", [0, [2, 3]])
def test_root_alignment(root, float64):
    predicted, target = map(jnp.asarray, bodies())
    chosen = [root] if isinstance(root, int) else root
    p = predicted - predicted[:, chosen].mean(1, keepdims=True)
    q = target - target[:, chosen].mean(1, keepdims=True)
    expected = 1000 * np.linalg.norm(p - q, axis=-1).mean(-1)
    np.testing.assert_allclose(mpjpe(predicted, target, root), expected, rtol=1e-12)


def test_alignment_undoes_any_similarity():
    _, target = bodies()
    turn = Rotation.random(len(target), random_state=1).as_matrix()
    moved = 1.7 * np.einsum("nab,njb->nja", turn, target) + [1.0, -2.0, 40.0]
    error = pa_mpjpe(jnp.asarray(moved, jnp.float32), jnp.asarray(target, jnp.float32))
    # At 40 m from the origin float32 keeps 4 micrometres.
    assert np.max(error) < 0.05


def test_a_mirror_image_is_not_aligned_away(float64):
    _, target = bodies()
    mirrored = target * [-1, 1, 1]
    error = np.asarray(pa_mpjpe(mirrored, target))
    best = [
        1000 * np.linalg.norm(umeyama(p, q) - q, axis=-1).mean()
        for p, q in zip(mirrored, target, strict=True)
    ]
    np.testing.assert_allclose(error, best, rtol=1e-9)
    assert error.min() > 10


@pytest.mark.parametrize("kind", ["collinear", "coincident", "planar", "one point"])
def test_degenerate_sets_are_finite_and_no_worse_than_translation(kind):
    rng = np.random.default_rng(0)
    target = rng.normal(size=(6, 3))
    points = {
        "collinear": np.arange(6)[:, None] * np.array([0.1, 0.2, 0.3]),
        "coincident": np.ones((6, 3)),
        "planar": rng.normal(size=(6, 3)) * [1, 1, 0],
        "one point": np.ones((6, 3)) * 0,
    }[kind]
    aligned = similarity_align(
        jnp.asarray(points, jnp.float32), jnp.asarray(target, jnp.float32)
    )
    assert np.isfinite(aligned).all()
    residual = np.square(aligned - target).sum()
    assert residual <= np.square(target - target.mean(0)).sum() * (1 + 1e-5)


def test_perfect_prediction_scores_full():
    _, target = bodies()
    target = jnp.asarray(target, jnp.float32)
    assert np.max(pa_mpjpe(target, target)) < 1e-2
    np.testing.assert_array_equal(mpjpe(target, target), 0)
    np.testing.assert_allclose(auc(target, target), 100)


def test_batch_axes_and_errors():
    predicted, target = (jnp.asarray(x, jnp.float32) for x in bodies(12))
    nested = pa_mpjpe(predicted.reshape(3, 4, 14, 3), target.reshape(3, 4, 14, 3))
    np.testing.assert_allclose(
        nested.reshape(-1), pa_mpjpe(predicted, target), rtol=1e-4
    )
    with pytest.raises((ValueError, TypeError)):  # checked annotations come first
        mpjpe(predicted[:, :3], target)
    with pytest.raises(ValueError, match="both roots"):
        per_vertex_error(predicted, target, predicted_root=predicted[:, 0])
