"""What a fit did: overlap with the person's silhouette, and pictures."""

import cv2
import jax
import jax.numpy as jnp
import numpy as np

from dsr_jax.arrays import Array, Float, UInt8
from dsr_jax.body import BodyModel
from dsr_jax.data import Batch
from dsr_jax.pipeline import Screen, project
from dsr_jax.rasterizer import visible_faces
from dsr_jax.regressor import Prediction
from dsr_jax.visualization import overlay_body, overlay_labels, panel, side_view

# Pictures are enlarged to at least this side; of an animation, only the smallest.
_SMALLEST_SIDE = 256
_SMALLEST_FRAME = 128


@jax.jit
def silhouette_overlap(
    body: BodyModel, bodies: Prediction, labels: UInt8[Array, "B H W"]
) -> Float[Array, "B"]:
    """Intersection over union of the drawn body and the labelled person, hard edges.

    Clothes are larger than the body: 1 is neither reached nor wanted.
    """
    screen = project(body, bodies)
    size = (labels.shape[1], labels.shape[2])
    drawn = visible_faces(screen.vertices_ndc, body.faces, size).face >= 0
    person = labels > 0
    both = jnp.sum(drawn & person, (1, 2))
    either = jnp.sum(drawn | person, (1, 2))
    return both / jnp.maximum(either, 1)


def before_and_after(
    body: BodyModel, people: Batch, index: int, before: Prediction, after: Prediction
) -> UInt8[np.ndarray, "H W 3"]:
    """Photo and labels, then overlay and side view of the two bodies of a person."""
    image = np.asarray(people.image)[index]
    photo = enlarged(image)
    labels = overlay_labels(image, np.asarray(people.labels)[index], 0.7)
    pictures = [photo, enlarged(labels)]
    captions = ["photo", "labels"]
    for bodies, when in ((before, "before"), (after, "after")):
        screen = _screen(body, bodies, index)
        mesh = screen.mesh
        side = side_view(
            mesh.vertices[0],
            body.faces,
            mesh.joints[0, 0],
            bodies.camera[index],
            (photo.shape[0], photo.shape[1]),
        )
        pictures += [overlay_body(photo, screen.vertices_ndc[0], body.faces), side]
        captions += [when, f"{when}, side"]
    return panel(pictures, captions)


def frame(
    body: BodyModel, people: Batch, index: int, bodies: Prediction
) -> UInt8[np.ndarray, "H W 3"]:
    """One picture of an animation."""
    vertices = _screen(body, bodies, index).vertices_ndc[0]
    photo = np.asarray(people.image)[index]
    if min(photo.shape[:2]) < _SMALLEST_FRAME:
        photo = enlarged(photo)
    return overlay_body(photo, vertices, body.faces)


def enlarged(image: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "H W 3"]:
    """A small crop, large enough that the drawn body is crisp."""
    factor = max(1, -(-_SMALLEST_SIDE // min(image.shape[:2])))
    size = (image.shape[1] * factor, image.shape[0] * factor)
    return cv2.resize(image, size, interpolation=cv2.INTER_CUBIC)


_project = jax.jit(project)


def _screen(body: BodyModel, bodies: Prediction, index: int) -> Screen:
    return _project(body, jax.tree.map(lambda x: x[index : index + 1], bodies))
