"""Named scenes for every implementation: small meshes with a reason to exist."""

import numpy as np


def icosphere(level: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Unit sphere by subdivision of an icosahedron: 20 · 4^level faces."""
    g = (1 + 5**0.5) / 2
    v = [(-1, g, 0), (1, g, 0), (-1, -g, 0), (1, -g, 0), (0, -1, g), (0, 1, g)]
    v += [(0, -1, -g), (0, 1, -g), (g, 0, -1), (g, 0, 1), (-g, 0, -1), (-g, 0, 1)]
    f = [(0, 11, 5), (0, 5, 1), (0, 1, 7), (0, 7, 10), (0, 10, 11), (1, 5, 9)]
    f += [(5, 11, 4), (11, 10, 2), (10, 7, 6), (7, 1, 8), (3, 9, 4), (3, 4, 2)]
    f += [(3, 2, 6), (3, 6, 8), (3, 8, 9), (4, 9, 5), (2, 4, 11), (6, 2, 10)]
    f += [(8, 6, 7), (9, 8, 1)]
    vertices, faces = [np.array(p, float) / np.linalg.norm(p) for p in v], f
    for _ in range(level):
        middle: dict[tuple[int, int], int] = {}
        finer = []
        for a, b, c in faces:
            corners = []
            for i, j in ((a, b), (b, c), (c, a)):
                key = (min(i, j), max(i, j))
                if key not in middle:
                    point = vertices[i] + vertices[j]
                    middle[key] = len(vertices)
                    vertices.append(point / np.linalg.norm(point))
                corners.append(middle[key])
            ab, bc, ca = corners
            finer += [(a, ab, ca), (b, bc, ab), (c, ca, bc), (ab, bc, ca)]
        faces = finer
    return np.array(vertices), np.array(faces, np.int32)


def _sphere_at(x: float, y: float, z: float, radius: float):
    vertices, faces = icosphere(1)
    return vertices * [radius, radius, -radius] + [x, y, z], faces


def _two_spheres():
    (v, f), (w, g) = _sphere_at(-0.2, 0.1, 5, 0.6), _sphere_at(0.3, 0, 5.3, 0.6)
    return np.concatenate([v, w]), np.concatenate([f, g + len(v)])


def _cube():
    corners = np.array([(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)])
    quads = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6)]
    quads += [(0, 2, 6, 4), (1, 5, 7, 3)]
    faces = [t for a, b, c, d in quads for t in ((a, b, c), (a, c, d))]
    turn = np.array([[0.8, 0.0, 0.6], [0.36, 0.8, -0.48], [-0.48, 0.6, 0.64]])
    return corners @ turn.T * 0.4 + [0.05, -0.03, 4], np.array(faces, np.int32)


def body(zoom: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """The light free body 3 m before a camera whose image its height fills, or zoomed.

    Zoomed, its chest is in the middle of the image.
    """
    from dsr_jax.body import load_body

    model = load_body("free-lite")
    vertices = np.asarray(model.template, np.float64)
    middle = (vertices.max(0) + vertices.min(0)) / 2
    if zoom > 1:
        middle[1] += 0.25 * (vertices[:, 1].max() - middle[1])
    xy = (vertices - middle)[:, :2] * (1.9 * zoom / np.ptp(vertices[:, 1]))
    # Odd shifts: a symmetric body would have ties in the middle column.
    xy = xy + np.array([0.0131, 0.0077])
    return np.c_[xy, 3 - vertices[:, 2:]], np.asarray(model.faces)


def _triangles(*triangles) -> tuple[np.ndarray, np.ndarray]:
    vertices = np.array(triangles, float).reshape(-1, 3)
    return vertices, np.arange(len(vertices), dtype=np.int32).reshape(-1, 3)


_ONE = [(-0.5, -0.4, 3), (0.6, -0.3, 4), (0.1, 0.7, 5)]
_BACK = [(-0.7, 0.2, 6), (0.5, 0.4, 7), (0.2, -0.6, 6.5)]

SCENES = {
    "single": _triangles(_ONE),
    "two": _triangles(_ONE, _BACK),
    "clockwise": _triangles(_ONE[::-1], _BACK),
    "sliver": _triangles([(-0.9, 0, 3), (0.9, 0.003, 3), (0.1, 0.002, 3.5)], _BACK),
    "coincident": _triangles(_ONE, _ONE, _BACK),
    "degenerate": _triangles(
        _ONE, [(0, 0, 3)] * 3, [(-0.5, 0.1, 3), (0, 0.1, 3), (0.5, 0.1, 3)]
    ),
    "behind": _triangles(_ONE, [(-0.5, -0.4, -3), (0.6, -0.3, -4), (0.1, 0.7, -5)]),
    "across": _triangles(_BACK, [(-0.5, -0.4, -3), (0.6, -0.3, 4), (0.1, 0.7, 5)]),
    "near": _triangles(_BACK, [(-0.5, -0.4, 0.5), (0.6, -0.3, 2), (0.1, 0.7, 2.5)]),
    "far": _triangles(_ONE, [(-0.5, -0.4, 90), (0.6, -0.3, 150), (0.1, 0.7, 95)]),
    "off_screen": _triangles(_ONE, [(3, 3, 3), (4, 3, 3), (3, 4, 3)]),
    "over_everything": _triangles([(-50, -40, 9), (60, -50, 9), (3, 70, 12)], _ONE),
    "cube": _cube(),
    "sphere": _sphere_at(0.1, 0, 3, 0.7),
    "crossing": _two_spheres(),
    "zoomed": tuple(a * [12, 12, 1] if a.ndim and a.dtype == float else a
                    for a in _sphere_at(0.1, 0, 3, 0.7)),
    "huge": _triangles([(-9e5, -8e5, 5), (1e6, -1e5, 9000), (3e4, 1e6, 7)], _ONE),
    "tiny": _triangles(_ONE, [(0.2, 0.1, 2), (0.2004, 0.1, 2), (0.2, 0.1003, 2)]),
    "close_up": _triangles(_BACK, [(-0.5, -0.4, 1e-3), (0.6, -0.3, 40), (0.1, 0.7, 9)]),
    "empty": (np.array(_ONE, float), np.zeros((0, 3), np.int32)),
}  # fmt: skip


def padded(scene: str) -> tuple[np.ndarray, np.ndarray]:
    """The scene with as many vertices and faces as the largest, so all compile once.

    Spare vertices lie at the screen's centre; spare faces are the degenerate (0, 0, 0).
    """
    vertices, faces = SCENES[scene]
    most_vertices = max(len(v) for v, _ in SCENES.values())
    most_faces = max(len(f) for _, f in SCENES.values())
    spare = np.tile([0.0, 0.0, 5.0], (most_vertices - len(vertices), 1))
    none = np.zeros((most_faces - len(faces), 3), np.int32)
    return np.concatenate([vertices, spare]), np.concatenate([faces, none])


def attributes_for(count: int, channels: int = 3, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(size=(count, channels))
