"""Ten shape components from many people in the rest pose."""

import dataclasses

import numpy as np

COMPONENTS = 10


@dataclasses.dataclass(frozen=True)
class ShapeSpace:
    """The mean person and the principal components, scaled by standard deviation."""

    mean: np.ndarray
    """(V, 3) metres."""

    directions: np.ndarray
    """(V, 3, 10) metres per standard deviation."""

    explained: np.ndarray
    """(10,) share of the variance of each component."""

    def residual(self, people: np.ndarray) -> np.ndarray:
        """What ten components miss of people (N, V, 3), metres."""
        flat = self.directions.reshape(-1, COMPONENTS)
        offsets = (people - self.mean).reshape(len(people), -1)
        betas = np.linalg.lstsq(flat, offsets.T, rcond=None)[0]
        return (offsets - (flat @ betas).T).reshape(people.shape)


def fit_shape_space(people: np.ndarray, faces: np.ndarray) -> ShapeSpace:
    """Principal components of people (N, V, 3); a positive one adds volume."""
    mean = people.mean(0)
    offsets = (people - mean).reshape(len(people), -1)
    _, singular, components = np.linalg.svd(offsets, full_matrices=False)
    deviations = singular[:COMPONENTS] / np.sqrt(len(people) - 1)
    directions = components[:COMPONENTS].T * deviations
    directions = directions.reshape(*mean.shape, COMPONENTS)
    for component in range(COMPONENTS):
        grown = volume(mean + directions[..., component], faces)
        if grown < volume(mean, faces):
            directions[..., component] *= -1
    explained = singular[:COMPONENTS] ** 2 / (singular**2).sum()
    return ShapeSpace(mean, directions, explained)


def volume(vertices: np.ndarray, faces: np.ndarray) -> float:
    """Enclosed volume in m³, positive if faces are counter-clockwise from outside."""
    a, b, c = (vertices[faces[:, corner]] for corner in range(3))
    return float((a * np.cross(b, c)).sum() / 6)
