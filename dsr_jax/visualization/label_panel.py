"""What cleaning did to a label map, as pictures with the reasons in words."""

from collections.abc import Sequence

import cv2
import jax
import jax.numpy as jnp
import numpy as np

from dsr_jax.arrays import Array, Bool, Float, UInt8
from dsr_jax.semantics import (
    distance_field,
    minimal_clothing_mask,
    minimal_clothing_validity,
)
from dsr_jax.visualization.annotations import draw_keypoints, overlay_labels
from dsr_jax.visualization.panel import panel

# RGB of what each step changed.
STEP_COLOURS = {"others": (220, 40, 40), "specks": (255, 200, 0)}
_INK, _LINE_HEIGHT = (40, 40, 40), 18


def label_panel(
    crop: UInt8[np.ndarray, "R R 3"],
    keypoints_ndc: Float[np.ndarray, "49 3"],
    before: UInt8[np.ndarray, "R R"],
    after: UInt8[np.ndarray, "R R"],
    changed: dict[str, Bool[np.ndarray, "R R"]],
    notes: Sequence[str] = (),
) -> UInt8[np.ndarray, "H W 3"]:
    """Six pictures in a row above lines of text.

    The photo with its keypoints; the labels before and after; what each step changed,
    in `STEP_COLOURS`; the mask of DSR-MC; its distance field, white where farthest.

    Args:
      crop: RGB.
      keypoints_ndc: of the crop.
      before: labels as they were read, cut like the photo.
      after: clean labels.
      changed: for each step, where it changed a label.
      notes: what is to be said below, letters of ASCII.
    """
    removed = crop // 2 + 64
    for step, where in changed.items():
        removed[where] = STEP_COLOURS[step]
    mask, distance = (
        np.asarray(part) for part in _minimal_clothing(jnp.asarray(after))
    )
    pictures = {
        "photo": draw_keypoints(crop, keypoints_ndc),
        "labels before": overlay_labels(crop, before),
        "labels after": overlay_labels(crop, after),
        "removed": removed,
        "minimal clothing": _grey(mask),
        "its distance": _grey(distance / max(1.0, float(distance.max()))),
    }
    sheet = panel(list(pictures.values()), list(pictures), gap=4)
    return np.concatenate([sheet, written(notes, sheet.shape[1])])


@jax.jit
def _minimal_clothing(
    labels: UInt8[Array, "R R"],
) -> tuple[Float[Array, "R R"], Float[Array, "R R"]]:
    mask = minimal_clothing_mask(labels, minimal_clothing_validity(labels))
    return mask, distance_field(mask)


def _grey(values: Float[np.ndarray, "R R"]) -> UInt8[np.ndarray, "R R 3"]:
    return np.repeat(np.rint(255 * values).astype(np.uint8)[..., None], 3, -1)


def written(lines: Sequence[str], width: int) -> UInt8[np.ndarray, "H W 3"]:
    """A white strip with lines of text, letters of ASCII."""
    height = _LINE_HEIGHT * len(lines) + (6 if lines else 0)
    strip = np.full((height, width, 3), 255, np.uint8)
    for number, line in enumerate(lines, start=1):
        place = (6, _LINE_HEIGHT * number - 4)
        font = cv2.FONT_HERSHEY_SIMPLEX
        cv2.putText(strip, line, place, font, 0.45, _INK, 1, cv2.LINE_AA)
    return strip
