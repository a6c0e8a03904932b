"""Meshes for other programs, through trimesh."""

from pathlib import Path
from typing import Any

import numpy as np

from dsr_jax.arrays import Array, Float, Int
from dsr_jax.errors import UserError
from dsr_jax.files import write_bytes
from dsr_jax.visualization.body_picture import BODY_COLOUR

MESH_SUFFIXES = (".glb", ".obj", ".ply")


def export_mesh(
    path: str | Path,
    vertices: Float[np.ndarray | Array, "V 3"],
    faces: Int[np.ndarray | Array, "F 3"],
    colour: tuple[int, int, int] = BODY_COLOUR,
) -> None:
    """Writes a mesh in the format of the suffix; the file appears whole.

    The file's axes are those of glTF: x right, y up, z towards the viewer. An upright
    person in camera axes stands upright in a viewer. Vertices keep their order.

    Args:
      path: ends in .glb, .obj or .ply.
      vertices: metres, camera axes (y down, z away).
      faces: corners.
      colour: RGB of the surface.

    Raises:
      UserError: another suffix, or a folder that is missing or cannot be written to.
    """
    # Half a second, which every start of a training would wait.
    import trimesh

    kind = Path(path).suffix.lower()
    if kind not in MESH_SUFFIXES:
        known = ", ".join(MESH_SUFFIXES)
        raise UserError(f"{path}: cannot write '{kind}' meshes; choose one of {known}")
    upright = np.asarray(vertices, np.float64) * np.array([1, -1, -1])
    colours = np.tile(np.array([*colour, 255], np.uint8), (len(upright), 1))
    mesh = trimesh.Trimesh(
        upright, np.asarray(faces), vertex_colors=colours, process=False
    )
    content: Any = mesh.export(file_type=kind[1:])
    write_bytes(path, content.encode() if isinstance(content, str) else content)
