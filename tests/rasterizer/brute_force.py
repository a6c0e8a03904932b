"""The rasterizer's formulas once more, in NumPy float64, one face after the other.

Independent of the package on purpose: written from the equations, without stand-in
triangles, tiles, or any of its helper functions. Pixels are the only vectorised axis.
"""

import math

import numpy as np


def pixel_points(image_size) -> np.ndarray:
    """NDC x, y (H·W, 2) of the pixel centres, row by row from the top."""
    height, width = image_size
    shorter = min(height, width)
    x = (2 * np.arange(width) + 1 - width) / shorter
    y = (height - 1 - 2 * np.arange(height)) / shorter
    return np.stack(np.meshgrid(x, y), -1).reshape(-1, 2)


def _segment_distance2(points, a, b) -> np.ndarray:
    d = b - a
    t = np.clip((points - a) @ d / (d @ d), 0, 1)
    q = points - (a + t[:, None] * d)
    return np.sum(q * q, -1)


def _barycentric(points, corners) -> np.ndarray:
    """(P, 3), solved from Σ b_i v_i = p and Σ b_i = 1, relative to the third corner."""
    edges = np.stack([corners[0] - corners[2], corners[1] - corners[2]], 1)
    two = np.linalg.solve(edges, (points - corners[2]).T).T
    return np.concatenate([two, 1 - two.sum(1, keepdims=True)], 1)


def draws(corners, cull=False) -> bool:
    """The documented rule of which faces draw anything."""
    if not np.all(np.abs(corners) <= 1e12) or np.any(corners[:, 2] < 1e-6):
        return False
    (ax, ay), (bx, by), (cx, cy) = corners[:, :2]
    area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
    longest = max(np.sum((corners[i, :2] - corners[i - 1, :2]) ** 2) for i in range(3))
    if longest <= 1e-12 or abs(area) <= 1e-6 * longest:
        return False
    return area > 0 if cull else True


def _signed_distance(points, corners, w, s) -> np.ndarray:
    smallest = w.min(1)
    if s.distance == "barycentric":
        return smallest * np.abs(smallest)
    d2 = np.min(
        [
            _segment_distance2(points, corners[i, :2], corners[(i + 1) % 3, :2])
            for i in range(3)
        ],
        axis=0,
    )
    return np.where(smallest > 0, d2, -d2)


def _coverage(points, corners, w, s) -> np.ndarray:
    """D at each pixel, 0 where the pair is skipped."""
    if s.distance == "hard":
        return (w.min(1) >= 0).astype(float)
    signed = _signed_distance(points, corners, w, s)
    cut = s.sigma * math.log(1 / s.support - 1)
    ratio = np.clip(signed / s.sigma, -700, 700)
    return np.where(signed > -cut, 1 / (1 + np.exp(-ratio)), 0)


def _draw(points, triangles, values, s):
    """Colours (P, C) and alpha (P,)."""
    count, channels = len(points), values.shape[-1]
    background = np.broadcast_to(np.asarray(s.background, float), (channels,))
    transmittance, summed, any_half = np.ones(count), np.zeros(count), np.zeros(count)
    layers, nearest = [], np.full(count, np.inf)
    nearest_color = np.tile(background, (count, 1))
    for corners, value in zip(triangles, values, strict=True):
        if not draws(corners, s.cull_backfaces):
            continue
        w = _barycentric(points, corners[:, :2])
        d = _coverage(points, corners, w, s)
        transmittance, summed = transmittance * (1 - d), summed + d
        any_half = np.maximum(any_half, d > 0.5)
        clipped = np.clip(w, 0, 1)
        clipped /= clipped.sum(1, keepdims=True)
        z = 1 / np.sum(clipped / corners[:, 2], 1)
        if s.perspective_correct:
            clipped = clipped / corners[:, 2] * z[:, None]
        color = clipped @ value if value.ndim == 2 else np.tile(value, (count, 1))
        visible = (s.near <= z) & (z <= s.far)
        wins = visible & (w.min(1) >= 0) & (z < nearest)
        nearest = np.where(wins, z, nearest)
        nearest_color = np.where(wins[:, None], color, nearest_color)
        layers.append((np.where(visible, d, 0), (s.far - z) / (s.far - s.near), color))
    alpha = {
        "product": 1 - transmittance,
        "sum": summed / max(len(triangles), 1),
        "hard": any_half,
    }[s.alpha]
    if s.color == "hard":
        return nearest_color, alpha
    top = np.full(count, float(s.background_depth))
    for d, zn, _ in layers:
        top = np.where(d > 0, np.maximum(top, zn), top)
    total = np.exp((s.background_depth - top) / s.gamma)
    result = total[:, None] * background
    for d, zn, color in layers:
        drawn = d > 0
        omega = np.where(drawn, d * np.exp(np.where(drawn, zn - top, 0) / s.gamma), 0)
        total, result = total + omega, result + omega[:, None] * color
    return result / total[:, None], alpha


def brute_force(vertices, faces, settings, attributes, per_vertex=True):
    """(V, 3), (F, 3), (V or F, C) → (H, W, C), (H, W) in float64."""
    height, width = settings.image_size
    scale = 2 if settings.anti_aliasing else 1
    points = pixel_points((scale * height, scale * width))
    vertices = np.asarray(vertices, np.float64)
    faces = np.asarray(faces).reshape(-1, 3)
    attributes = np.asarray(attributes, np.float64)
    values = attributes[faces] if per_vertex else attributes
    image, alpha = _draw(points, vertices[faces], values, settings)
    image = image.reshape(height, scale, width, scale, -1).mean((1, 3))
    return image, alpha.reshape(height, scale, width, scale).mean((1, 3))


def brute_force_visibility(vertices, faces, image_size):
    """Face (H, W), −1 where empty; depth, inf where empty; is another face as near."""
    points = pixel_points(image_size)
    face, depth = np.full(len(points), -1), np.full(len(points), np.inf)
    second = depth
    for index, f in enumerate(np.asarray(faces)):
        corners = np.asarray(vertices, np.float64)[f]
        if not draws(corners):
            continue
        w = _barycentric(points, corners[:, :2])
        z = 1 / np.sum(np.where(w.min(1, keepdims=True) < 0, 1, w) / corners[:, 2], 1)
        z = np.where(w.min(1) >= -1e-12, z, np.inf)
        wins = (w.min(1) >= 0) & (z < depth)
        second = np.where(wins, depth, np.minimum(second, z))
        face, depth = np.where(wins, index, face), np.where(wins, z, depth)
    tied = np.isfinite(depth) & (second <= depth * (1 + 1e-12))
    return tuple(a.reshape(image_size) for a in (face, depth, tied))
