"""Meshes written for other programs, read back by trimesh."""

import numpy as np
import pytest
import trimesh

from dsr_jax.errors import UserError
from dsr_jax.visualization import MESH_SUFFIXES, export_mesh

# A tetrahedron whose first vertex is the top: smallest y in camera axes.
VERTICES = np.array(
    [[0, -1, 0], [-1, 1, 0.25], [1, 1, 0.25], [0, 1, 2]], dtype=np.float32
)
FACES = np.array([[0, 2, 1], [0, 3, 2], [0, 1, 3], [1, 2, 3]], np.int32)


@pytest.mark.parametrize("suffix", MESH_SUFFIXES)
def test_meshes_come_back_upright_in_order_and_coloured(tmp_path, suffix):
    path = tmp_path / f"body{suffix}"
    export_mesh(path, VERTICES, FACES, colour=(10, 120, 250))
    mesh = trimesh.load(path, process=False, force="mesh", maintain_order=True)
    np.testing.assert_allclose(mesh.vertices, VERTICES * [1, -1, -1], atol=1e-6)
    np.testing.assert_array_equal(mesh.faces, FACES)
    assert mesh.vertices[:, 1].argmax() == 0
    np.testing.assert_array_equal(mesh.visual.vertex_colors[0, :3], [10, 120, 250])
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_other_formats_and_missing_folders_are_refused(tmp_path):
    with pytest.raises(UserError, match=r"cannot write '\.stl' meshes"):
        export_mesh(tmp_path / "body.stl", VERTICES, FACES)
    with pytest.raises(UserError, match=r"body\.glb: cannot write"):
        export_mesh(tmp_path / "missing" / "body.glb", VERTICES, FACES)
