"""Surface normals of a mesh and their brightness under fixed lights.

Camera axes: x right, y down, z away from the camera.
"""

import numpy as np

from dsr_jax.arrays import Float, Int

# Light that comes from everywhere, and two distant lamps: the brighter one from above
# left of the camera, a weak one from the right, so that no side is flat.
_AMBIENT = 0.30
_LAMPS = (
    (0.70, np.array([-0.45, -0.65, -0.75])),
    (0.18, np.array([0.85, -0.10, -0.45])),
)


def vertex_normals(
    vertices: Float[np.ndarray, "V 3"], faces: Int[np.ndarray, "F 3"]
) -> Float[np.ndarray, "V 3"]:
    """Unit normals, faces weighted by area; outwards for counter-clockwise faces.

    A vertex without a face of positive area gets the zero vector.
    """
    a, b, c = (vertices[faces[:, i]].astype(np.float64) for i in range(3))
    doubled_areas = np.cross(b - a, c - a)
    sums = np.zeros((len(vertices), 3))
    for corner in range(3):
        np.add.at(sums, faces[:, corner], doubled_areas)
    return _unit(sums).astype(np.float32)


def lambert(normals: Float[np.ndarray, "N 3"]) -> Float[np.ndarray, "N"]:
    """Brightness of a matt surface with these normals, 0.3 to about 1.1."""
    unit = _unit(normals)
    brightness = np.full(len(normals), _AMBIENT)
    for strength, direction in _LAMPS:
        brightness += strength * np.maximum(unit @ _unit(direction), 0)
    return brightness


def _unit(vectors: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.divide(vectors, lengths, where=lengths > 0, out=np.zeros_like(vectors))
