"""Panels of a run: image, labels, rendered semantics, overlay and side view."""

from collections.abc import Callable

import cv2
import jax
import jax.numpy as jnp
import numpy as np

from dsr_jax.arrays import Array, Float, UInt8
from dsr_jax.data import Batch
from dsr_jax.data.loader import Dataset
from dsr_jax.pipeline import (
    PipelineSettings,
    Scene,
    Screen,
    predict,
    project,
    render_semantics,
)
from dsr_jax.semantics import (
    CIHP,
    colour_label_map,
    grouping_by_name,
    minimal_clothing_validity,
)
from dsr_jax.training.devices import device_mesh
from dsr_jax.training.local_copy import for_prediction, local_copy
from dsr_jax.training.state import Network, TrainState
from dsr_jax.visualization import overlay_body, panel, side_view

_CAPTIONS = ("image", "labels", "rendered semantics", "overlay", "side view")
# Small crops are enlarged so that the drawn body is crisp.
_SMALLEST_SIDE = 192


def build_panel(
    network: Network, scene: Scene, people: Batch, settings: PipelineSettings
) -> Callable[[TrainState], UInt8[np.ndarray, "H W 3"]]:
    """Makes `state → panel` for fixed people, one row a person.

    Drawn by one device from its own copy of the state: the first host may draw alone,
    unless the state is split over hosts (`local_copy`).

    Args:
      network: the regressor's static half.
      scene: body and prior.
      people: host arrays; few.
      settings: how semantics are rendered.
    """

    @jax.jit
    def look(state: TrainState, scene: Scene) -> tuple[Screen, Array, Array]:
        prediction = predict(network.for_evaluation(state), jnp.asarray(people.image))
        screen = project(scene.body, prediction)
        labels = jnp.asarray(people.labels)
        valid = minimal_clothing_validity(labels)
        raster = render_semantics(scene, screen.vertices_ndc, valid, settings, labels)
        return screen, prediction.camera, raster.attributes[..., 1:]

    device = device_mesh(jax.local_devices()[:1])
    scene = local_copy(scene, device)
    palette = class_colours(scene, settings.objective.grouping)
    faces = np.asarray(scene.body.faces)

    def draw(state: TrainState) -> UInt8[np.ndarray, "H W 3"]:
        own = local_copy(for_prediction(state), device)
        screen, camera, rendered = jax.device_get(look(own, scene))
        pictures = []
        for i, image in enumerate(people.image):
            photo = _enlarged(image, cv2.INTER_CUBIC)
            painted = np.rint(np.clip(rendered[i] @ palette, 0, 255)).astype(np.uint8)
            pictures += [
                photo,
                _enlarged(colour_label_map(people.labels[i]), cv2.INTER_NEAREST),
                _enlarged(painted, cv2.INTER_NEAREST),
                overlay_body(photo, screen.vertices_ndc[i], faces),
                side_view(
                    screen.mesh.vertices[i],
                    faces,
                    screen.mesh.joints[i, 0],
                    camera[i],
                    (photo.shape[0], photo.shape[1]),
                ),
            ]
        captions = [*_CAPTIONS, *[""] * (len(pictures) - len(_CAPTIONS))]
        return panel(pictures, captions, columns=len(_CAPTIONS))

    return draw


def class_colours(scene: Scene, grouping: str) -> Float[np.ndarray, "C 3"]:
    """Each class in the palette's colour of its commonest label on the body."""
    commonness = np.asarray(scene.prior.probabilities).sum(0)
    colours = []
    for members in grouping_by_name(grouping).members:
        labels = np.array([CIHP.index(name) for name in members])
        colours.append(CIHP.palette[labels[np.argmax(commonness[labels])]])
    return np.stack(colours).astype(np.float32)


def first_people(dataset: Dataset, count: int) -> Batch:
    """The first examples of a data set, as one batch on the host."""
    examples = [dataset.example(i) for i in range(min(count, len(dataset)))]
    return jax.tree.map(lambda *leaves: np.stack(leaves), *examples)


def _enlarged(
    image: UInt8[np.ndarray, "h w 3"], how: int
) -> UInt8[np.ndarray, "H W 3"]:
    factor = -(-_SMALLEST_SIDE // min(image.shape[:2]))
    size = (image.shape[1] * factor, image.shape[0] * factor)
    return cv2.resize(image, size, interpolation=how)
