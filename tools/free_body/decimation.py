"""Coarsens a symmetric closed mesh, symmetrically, to a subset of its vertices.

Half-edge collapse: a vertex disappears into a neighbour, cheapest first, so that every
attribute of the coarse mesh is a selection of rows. The cost is the quadric error of
Garland and Heckbert ("Surface Simplification Using Quadric Error Metrics", 1997) plus a
term that keeps edges from growing where the surface is flat. Left and right collapse
together.
"""

import heapq

import numpy as np

# The fourth power of the edge's length enters the cost (metres⁴) with this factor.
_EDGE_LENGTH_WEIGHT = 0.02
_LARGEST_VALENCE = 9
# A face may turn by less than about 78 degrees in one collapse.
_SMALLEST_COSINE = 0.2
# Twice the area over the square of the longest edge; 0.87 for an equilateral triangle.
_SMALLEST_ASPECT = 0.12


class Decimation:
    """A mesh that is being coarsened."""

    def __init__(
        self,
        vertices: np.ndarray,
        faces: np.ndarray,
        mirror: np.ndarray,
        importance: np.ndarray,
    ):
        """Starts from a closed mesh.

        Args:
          vertices: (V, 3) metres.
          faces: (F, 3).
          mirror: (V,) partner of each vertex on the other side.
          importance: (V,) factor of the cost of removing a vertex; infinite keeps it.
        """
        self._points = vertices
        self._mirror = mirror
        self._importance = importance
        self._faces: list[tuple[int, int, int] | None] = [
            (int(a), int(b), int(c)) for a, b, c in faces
        ]
        self._faces_of: list[set[int]] = [set() for _ in vertices]
        for index, face in enumerate(faces):
            for vertex in face:
                self._faces_of[vertex].add(index)
        self._alive = np.array([bool(near) for near in self._faces_of])
        self._quadrics = _quadrics(vertices, faces)
        self._version = np.zeros(len(vertices), np.int64)
        self._queue: list[tuple[float, int, int, int, int]] = []

    def run(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Collapses until at most `count` vertices are left.

        Returns:
          The vertices kept (K,), ascending, and the faces (F, 3) that index them.
        """
        for vertex in np.nonzero(self._alive)[0]:
            self._push_collapses_of(int(vertex))
        left = int(self._alive.sum())
        while left > count and self._queue:
            _, removed, kept, *versions = heapq.heappop(self._queue)
            current = [self._version[removed], self._version[kept]]
            if versions == current:
                left -= self._collapse_pair(removed, kept)
        ids = np.nonzero(self._alive)[0]
        faces = np.array([face for face in self._faces if face is not None])
        return ids, np.searchsorted(ids, faces)

    def _collapse_pair(self, removed: int, kept: int) -> int:
        """Collapses an edge and its mirror image, or neither; how many went."""
        pairs = [(removed, kept)]
        mirrored = int(self._mirror[removed]), int(self._mirror[kept])
        if mirrored != pairs[0]:
            pairs.append(mirrored)
        undo: list[tuple[int, tuple[int, int, int] | None]] = []
        touched: set[int] = set()
        for pair in pairs:
            if not self._allowed(*pair):
                self._restore(undo)
                return 0
            touched |= self._neighbours(pair[0])
            undo += self._collapse(*pair)
        for gone, into in pairs:
            self._alive[gone] = False
            self._quadrics[into] += self._quadrics[gone]
            self._version[gone] += 1
        self._refresh(touched - {gone for gone, _ in pairs})
        return len(pairs)

    def _allowed(self, removed: int, kept: int) -> bool:
        """Whether the surface stays a manifold with faces of decent shape."""
        near, around = self._neighbours(removed), self._neighbours(kept)
        shared = near & around
        return (
            kept in near
            and len(shared) == 2
            and len(near) >= 4
            and len(near) + len(around) - 4 <= _LARGEST_VALENCE
            and all(len(self._faces_of[vertex]) > 3 for vertex in shared)
            and all(
                self._keeps_its_shape(self._faces[face], removed, kept)
                for face in self._faces_of[removed] - self._faces_of[kept]
            )
        )

    def _keeps_its_shape(
        self, face: tuple[int, int, int] | None, removed: int, kept: int
    ) -> bool:
        assert face is not None
        moved = [kept if vertex == removed else vertex for vertex in face]
        before, after = self._points[list(face)], self._points[moved]
        old = _cross(before[1] - before[0], before[2] - before[0])
        new = _cross(after[1] - after[0], after[2] - after[0])
        area, turned = np.sqrt(new @ new), old @ new
        longest = max(((after[i] - after[i - 1]) ** 2).sum() for i in range(3))
        return bool(
            turned > _SMALLEST_COSINE * area * np.sqrt(old @ old)
            and area > _SMALLEST_ASPECT * longest
        )

    def _collapse(
        self, removed: int, kept: int
    ) -> list[tuple[int, tuple[int, int, int] | None]]:
        """Replaces one vertex by another; returns the faces as they were."""
        before = [(index, self._faces[index]) for index in self._faces_of[removed]]
        for index, face in before:
            assert face is not None
            a, b, c = (kept if vertex == removed else vertex for vertex in face)
            self._put(index, None if kept in face else (a, b, c))
        return before

    def _restore(self, undo: list[tuple[int, tuple[int, int, int] | None]]) -> None:
        for index, face in reversed(undo):
            self._put(index, face)

    def _put(self, index: int, face: tuple[int, int, int] | None) -> None:
        for vertex in self._faces[index] or ():
            self._faces_of[vertex].discard(index)
        for vertex in face or ():
            self._faces_of[vertex].add(index)
        self._faces[index] = face

    def _neighbours(self, vertex: int) -> set[int]:
        faces = (self._faces[index] or () for index in self._faces_of[vertex])
        return {other for face in faces for other in face} - {vertex}

    def _refresh(self, touched: set[int]) -> None:
        """Forgets the queued collapses of changed vertices and queues new ones."""
        for vertex in touched:
            self._version[vertex] += 1
        for vertex in sorted(touched):
            self._push_collapses_of(vertex)
            for other in sorted(self._neighbours(vertex) - touched):
                self._push(other, vertex)

    def _push_collapses_of(self, vertex: int) -> None:
        for kept in sorted(self._neighbours(vertex)):
            self._push(vertex, kept)

    def _push(self, removed: int, kept: int) -> None:
        on_midline = self._mirror[removed] == removed
        leaves_midline = on_midline and self._mirror[kept] != kept
        crosses = self._mirror[removed] == kept
        if leaves_midline or crosses or np.isinf(self._importance[removed]):
            return
        cost = self._cost(removed, kept)
        versions = int(self._version[removed]), int(self._version[kept])
        heapq.heappush(self._queue, (cost, removed, kept, *versions))

    def _cost(self, removed: int, kept: int) -> float:
        point = np.append(self._points[kept], 1)
        quadric = self._quadrics[removed] + self._quadrics[kept]
        squared = ((self._points[removed] - self._points[kept]) ** 2).sum()
        flat = _EDGE_LENGTH_WEIGHT * squared**2
        return float(self._importance[removed] * (point @ quadric @ point + flat))


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """`np.cross` of two vectors, without its overhead."""
    return np.array(
        [
            a[1] * b[2] - a[2] * b[1],
            a[2] * b[0] - a[0] * b[2],
            a[0] * b[1] - a[1] * b[0],
        ]
    )


def _quadrics(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """(V, 4, 4): squared distance to the planes of a vertex's faces, times area."""
    corners = vertices[faces]
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    doubled = np.linalg.norm(normal, axis=1, keepdims=True)
    normal = normal / np.where(doubled > 0, doubled, 1)
    offset = -(normal * corners[:, 0]).sum(1, keepdims=True)
    plane = np.concatenate([normal, offset], 1)
    each = doubled[..., None] / 2 * plane[:, :, None] * plane[:, None, :]
    quadrics = np.zeros((len(vertices), 4, 4))
    for corner in range(3):
        np.add.at(quadrics, faces[:, corner], each)
    return quadrics
