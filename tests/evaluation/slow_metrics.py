"""Metrics written another way: float64, one body at a time, Horn's quaternions.

Nothing here is shared with `dsr_jax.evaluation`, whose Procrustes goes through singular
vectors.
"""

import math

import numpy as np

PARENTS = [-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19]
PARENTS += [20, 21]


def random_bodies(count, seed):
    """(count, 24, 3) joints of people of all sizes, poses and places, in metres."""
    random = np.random.default_rng(seed)
    bones = random.normal(0, 0.16, (24, 3)) * random.normal(1, 0.1, (count, 1, 1))
    joints, turns = np.zeros((count, 24, 3)), np.zeros((count, 24, 3, 3))
    for joint, parent in enumerate(PARENTS):
        turn = _turns(random.normal(0, 2.0 if parent < 0 else 0.4, (count, 3)))
        if parent < 0:
            joints[:, joint], turns[:, joint] = random.normal(0, 1, (count, 3)), turn
            continue
        offset = np.einsum("nab,nb->na", turns[:, parent], bones[:, joint])
        joints[:, joint] = joints[:, parent] + offset
        turns[:, joint] = turns[:, parent] @ turn
    return joints


def _turns(axis_angle):
    """Rodrigues' formula."""
    angle = np.linalg.norm(axis_angle, axis=-1)[:, None, None]
    x, y, z = (axis_angle / angle[:, 0]).T
    zero = np.zeros_like(x)
    cross = np.array([[zero, -z, y], [z, zero, -x], [-y, x, zero]]).transpose(2, 0, 1)
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


def slow_mpjpe(predicted, target):
    """One body: mean distance in mm."""
    pairs = zip(predicted.tolist(), target.tolist(), strict=True)
    return 1000 * math.fsum(math.dist(p, q) for p, q in pairs) / len(predicted)


def slow_align(predicted, target):
    """One body: Horn 1987, "Closed-form solution of absolute orientation using unit
    quaternions": the rotation is the eigenvector of the largest eigenvalue of N."""
    p, q = predicted - predicted.mean(0), target - target.mean(0)
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = p.T @ q
    n = np.array(
        [
            [xx + yy + zz, yz - zy, zx - xz, xy - yx],
            [yz - zy, xx - yy - zz, xy + yx, zx + xz],
            [zx - xz, xy + yx, yy - xx - zz, yz + zy],
            [xy - yx, zx + xz, yz + zy, zz - xx - yy],
        ]
    )
    values, vectors = np.linalg.eigh(n)
    w, x, y, z = vectors[:, -1]
    rotation = np.array(
        [
            [w * w + x * x - y * y - z * z, 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), w * w - x * x + y * y - z * z, 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), w * w - x * x - y * y + z * z],
        ]
    )
    # The largest eigenvalue is Σ qᵀ R p, so that it over Σ |p|² is the scale.
    spread = (p * p).sum()
    scale = values[-1] / spread if spread > 0 else 0.0
    return scale * p @ rotation.T + target.mean(0)


def slow_scores(predicted, target):
    """One body: PCK at 150 mm and AUC of the thresholds 0, 5 … 150 mm, in percent."""
    pairs = zip(predicted.tolist(), target.tolist(), strict=True)
    distances = [1000 * math.dist(p, q) for p, q in pairs]
    shares = [sum(d <= 5 * step for d in distances) for step in range(31)]
    unit = 100 / len(distances)
    return unit * shares[30], unit * sum(shares) / 31
