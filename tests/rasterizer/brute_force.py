"""The rasterizer's formulas once more, in NumPy float64, one pair at a time.

Independent of the package on purpose: written from the equations with plain loops, no
masks, no stand-in triangles and none of its helper functions.
"""

import math

import numpy as np


def _segment_distance2(p, a, b) -> float:
    d = b - a
    t = min(max(float((p - a) @ d / (d @ d)), 0.0), 1.0)
    q = p - (a + t * d)
    return float(q @ q)


def _barycentric(p, a, b, c):
    matrix = np.array([[a[0], b[0], c[0]], [a[1], b[1], c[1]], [1.0, 1.0, 1.0]])
    return np.linalg.solve(matrix, np.array([p[0], p[1], 1.0]))


def _draws(corners, cull) -> bool:
    (ax, ay), (bx, by), (cx, cy) = corners[:, :2]
    area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
    longest = max(np.sum((corners[i, :2] - corners[i - 1, :2]) ** 2) for i in range(3))
    if longest == 0 or abs(area) <= 1e-6 * longest or np.any(corners[:, 2] <= 0):
        return False
    return area > 0 if cull else True


def _coverage(p, corners, w, s):
    """D, or None where the pair is skipped."""
    cut = s.sigma * math.log(1 / s.support - 1)
    if s.distance == "hard":
        return 1.0 if min(w) >= 0 else None
    if s.distance == "euclidean":
        d2 = min(
            _segment_distance2(p, corners[i, :2], corners[(i + 1) % 3, :2])
            for i in range(3)
        )
        signed = d2 if min(w) > 0 else -d2
    else:
        signed = min(w) * abs(min(w))
    if signed <= -cut:
        return None
    ratio = signed / s.sigma
    return (
        1 / (1 + math.exp(-ratio))
        if ratio > -500
        else math.exp(ratio) / (1 + math.exp(ratio))
    )


def _pixel(p, triangles, values, s, face_count):
    alphas, weights, colors, best = [], [], [], (math.inf, None)
    for corners, value in zip(triangles, values, strict=True):
        if not _draws(corners, s.cull_backfaces):
            continue
        w = _barycentric(p, *corners[:, :2])
        d = _coverage(p, corners, w, s)
        if d is not None:
            alphas.append(d)
        clipped = np.clip(w, 0, 1)
        clipped /= clipped.sum()
        z = 1 / np.sum(clipped / corners[:, 2])
        if not s.near <= z <= s.far:
            continue
        color = clipped @ value if value.ndim == 2 else value
        if min(w) >= 0 and z < best[0]:
            best = (z, color)
        if d is not None:
            zn = (s.far - z) / (s.far - s.near)
            weights.append((d, zn))
            colors.append(color)
    if s.alpha == "product":
        alpha = 1 - math.prod(1 - d for d in alphas)
    elif s.alpha == "sum":
        alpha = sum(alphas) / max(face_count, 1)
    else:
        alpha = float(any(d > 0.5 for d in alphas))
    background = np.full(values.shape[-1], float(s.background))
    if s.color == "hard":
        return (background if best[1] is None else best[1]), alpha
    top = max([s.background_depth] + [zn for _, zn in weights])
    total = math.exp((s.background_depth - top) / s.gamma)
    color = total * background
    for (d, zn), c in zip(weights, colors, strict=True):
        omega = d * math.exp((zn - top) / s.gamma)
        total, color = total + omega, color + omega * c
    return color / total, alpha


def brute_force(vertices, faces, settings, attributes, per_vertex):
    """(V, 3), (F, 3), (V or F, C) → (H, W, C), (H, W) in float64."""
    height, width = settings.image_size
    shorter = min(height, width)
    vertices = np.asarray(vertices, np.float64)
    triangles = [vertices[f] for f in np.asarray(faces)]
    attributes = np.asarray(attributes, np.float64)
    values = attributes[np.asarray(faces)] if per_vertex else attributes
    image = np.zeros((height, width, attributes.shape[-1]))
    alpha = np.zeros((height, width))
    for j in range(height):
        for i in range(width):
            p = np.array([2 * i + 1 - width, height - 1 - 2 * j]) / shorter
            image[j, i], alpha[j, i] = _pixel(
                p, triangles, values, settings, len(faces)
            )
    return image, alpha


def brute_force_visibility(vertices, faces, image_size):
    """Face index (H, W), −1 where empty, and depth (H, W), inf where empty."""
    height, width = image_size
    face, depth = np.full(image_size, -1), np.full(image_size, np.inf)
    for j in range(height):
        for i in range(width):
            p = np.array([2 * i + 1 - width, height - 1 - 2 * j]) / min(image_size)
            for index, f in enumerate(np.asarray(faces)):
                corners = np.asarray(vertices, np.float64)[f]
                if not _draws(corners, False):
                    continue
                w = _barycentric(p, *corners[:, :2])
                if min(w) < 0:
                    continue
                z = 1 / np.sum(w / corners[:, 2])
                if z < depth[j, i]:
                    face[j, i], depth[j, i] = index, z
    return face, depth
