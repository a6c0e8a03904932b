"""The part of the base mesh that can be seen, as one closed triangle surface.

MakeHuman's body mesh is closed, but much of it lies in the mouth and behind the eyes.
"""

import itertools

import numpy as np

from free_body.makehuman import MakeHuman

_OCCLUDERS = (
    "helper-l-eye",
    "helper-r-eye",
    "helper-upper-teeth",
    "helper-lower-teeth",
    "helper-tongue",
)
# A view keeps the depth of its nearest surface in cells of this size, metres; faces up
# to one cell behind it count as seen.
_CELL = 1.5e-3
# Points a face is sampled at, as steps along its edges; the cells stay closed.
_SAMPLES_PER_EDGE = 14
# Smaller hidden patches are folds such as nostrils and ear shells, and stay.
_SMALLEST_INTERIOR = 40


def outer_surface(
    source: MakeHuman, vertices: np.ndarray, on_head: np.ndarray
) -> np.ndarray:
    """Triangles (F, 3) of the body without the inside of its head, closed.

    Args:
      source: the base mesh.
      vertices: (N, 3) a symmetric person, who decides on diagonals and visibility.
      on_head: (N,) which vertices belong to the head.
    """
    body = _triangles(source.groups["body"], vertices, source.mirror)
    occluders = [_triangles(source.groups[name], vertices, None) for name in _OCCLUDERS]
    head = on_head[body].all(1)
    seen = np.ones(len(body), bool)
    seen[head] = _seen_faces(vertices, np.vstack([body[head], *occluders]))[
        : head.sum()
    ]
    # The second half of the faces mirrors the first.
    seen = np.tile(seen.reshape(2, -1).any(0), 2)
    inside = np.zeros(len(body), bool)
    for patch in _patches(body, ~seen):
        inside[patch] = len(patch) >= _SMALLEST_INTERIOR
    outside = max(_patches(body, ~inside), key=len)
    return _close(vertices, body[np.sort(outside)])


def _triangles(
    quads: np.ndarray, vertices: np.ndarray, mirror: np.ndarray | None
) -> np.ndarray:
    """Splits quads along their shorter diagonal, alike on both sides of the body."""
    if mirror is not None:
        left = vertices[quads].mean(1)[:, 0] > 0
        half = _triangles(quads[left], vertices, None)
        return np.vstack([half, mirror[half[:, ::-1]]])
    first = np.linalg.norm(vertices[quads[:, 0]] - vertices[quads[:, 2]], axis=1)
    second = np.linalg.norm(vertices[quads[:, 1]] - vertices[quads[:, 3]], axis=1)
    turned = np.where((first <= second)[:, None], quads, np.roll(quads, -1, axis=1))
    return np.vstack([turned[:, [0, 1, 2]], turned[:, [0, 2, 3]]])


def _seen_faces(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Which faces are nearest somewhere, from 26 directions all around (F,)."""
    n = _SAMPLES_PER_EDGE
    steps = np.array(
        [(a, b, n - a - b) for a in range(n + 1) for b in range(n + 1 - a)]
    )
    points = np.einsum("sk,fkc->fsc", steps / n, vertices[faces])
    seen = np.zeros(len(faces), bool)
    for direction in itertools.product((-1.0, 0.0, 1.0), repeat=3):
        if any(direction):
            seen |= _seen_from(points, np.array(direction))
    return seen


def _seen_from(points: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """Faces with a sample within a cell of the nearest one, looked at from afar."""
    axis = direction / np.linalg.norm(direction)
    across, up = np.linalg.svd(axis[None])[2][1:]
    cells = np.floor(points @ np.stack([across, up], 1) / _CELL).astype(np.int64)
    cells -= cells.min((0, 1))
    index = cells[..., 0] * (cells[..., 1].max() + 1) + cells[..., 1]
    depth = points @ axis
    nearest = np.full(index.max() + 1, -np.inf)
    np.maximum.at(nearest, index, depth)
    return (depth > nearest[index] - _CELL).any(1)


def _patches(faces: np.ndarray, chosen: np.ndarray) -> list[np.ndarray]:
    """The chosen faces in groups connected through edges, as face indices."""
    index = np.nonzero(chosen)[0]
    by_edge: dict[tuple[int, int], list[int]] = {}
    for face in index:
        for edge in _edges(faces[face]):
            by_edge.setdefault(edge, []).append(int(face))
    neighbours: dict[int, set[int]] = {face: set() for face in index.tolist()}
    for sharing in by_edge.values():
        for a, b in itertools.permutations(sharing, 2):
            neighbours[a].add(b)
    groups = []
    while neighbours:
        group: list[int] = []
        frontier = [next(iter(neighbours))]
        while frontier:
            reached = frontier.pop()
            if reached in neighbours:
                group.append(reached)
                frontier.extend(neighbours.pop(reached))
        groups.append(np.array(group))
    return groups


def _edges(face: np.ndarray) -> list[tuple[int, int]]:
    a, b, c = sorted(int(v) for v in face)
    return [(a, b), (b, c), (a, c)]


def _close(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Fills each hole by cutting ears, the shortest new edge first.

    An edge that the surface already has is never made again: it would be shared by
    four faces.
    """
    taken = {edge for face in faces for edge in _edges(face)}
    caps: list[list[int]] = []
    for hole in _holes(faces):
        while len(hole) > 3:
            ear = _best_ear(vertices, hole, taken)
            before, after = hole[ear - 1], hole[(ear + 1) % len(hole)]
            taken.add((min(before, after), max(before, after)))
            caps.append([before, hole.pop(ear), after])
        caps.append(hole)
    return np.vstack([faces, *(np.array([cap]) for cap in caps)])


def _best_ear(
    vertices: np.ndarray, hole: list[int], taken: set[tuple[int, int]]
) -> int:
    best, shortest = -1, np.inf
    for ear in range(len(hole)):
        ends = sorted((hole[ear - 1], hole[(ear + 1) % len(hole)]))
        length = float(np.linalg.norm(vertices[ends[0]] - vertices[ends[1]]))
        if length < shortest and (ends[0], ends[1]) not in taken:
            best, shortest = ear, length
    return best


def _holes(faces: np.ndarray) -> list[list[int]]:
    """Loops of vertices along the open edges, in the order a filling face needs."""
    directed = {(int(face[i - 1]), int(face[i])) for face in faces for i in range(3)}
    after = {b: a for a, b in directed if (b, a) not in directed}
    loops = []
    while after:
        start, vertex = after.popitem()
        loop = [start]
        while vertex != start:
            loop.append(vertex)
            vertex = after.pop(vertex)
        loops.append(loop)
    return loops
