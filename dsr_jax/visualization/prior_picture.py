"""Pictures of a semantic prior on its body, as the paper's Fig. 2 shows it.

The body stands with its arms half down and is turned about the vertical. Every sample
takes the probabilities of its place on the surface: interpolated between the corners of
its face, or those of the face.
"""

import dataclasses

import cv2
import jax.numpy as jnp
import numpy as np

from dsr_jax.arrays import Float, Int, UInt8
from dsr_jax.body import JOINT_NAMES, BodyModel, BodyParams, pose_body
from dsr_jax.camera import project_weak_to_ndc
from dsr_jax.rasterizer import visible_faces
from dsr_jax.rotations import axis_angle_to_matrix
from dsr_jax.semantics import CIHP, NUM_LABELS, SemanticPrior
from dsr_jax.visualization.shading import lambert, vertex_normals
from dsr_jax.visualization.side_view import turn_about_vertical

_ARMS_DOWN = np.deg2rad(50)
_MARGIN = 0.96
_SAMPLES = 2
_UNKNOWN = (200, 200, 200)
# How much of the shading heat maps keep: enough to see the shape, and to read colours.
_HEAT_SHADING = 0.35
_BAR_WIDTH = 56
_INK = (40, 40, 40)
_FONT = cv2.FONT_HERSHEY_SIMPLEX


@dataclasses.dataclass(frozen=True)
class PriorView:
    """What each of n samples of an R × R picture of the body shows."""

    covered: np.ndarray
    """(R, R) bool: the samples that show the body, n of them."""
    probabilities: Float[np.ndarray, "n 20"]
    brightness: Float[np.ndarray, "n"]
    side: int
    """Pixels of the picture; R is twice as many."""


def standing_vertices(model: BodyModel) -> Float[np.ndarray, "V 3"]:
    """The mean person facing the camera, centred; camera axes, metres."""
    turns = np.zeros((24, 3), np.float32)
    turns[0, 0] = np.pi  # from y up, z forward to y down, z away
    turns[JOINT_NAMES.index("left_shoulder"), 2] = -_ARMS_DOWN
    turns[JOINT_NAMES.index("right_shoulder"), 2] = _ARMS_DOWN
    pose = axis_angle_to_matrix(jnp.asarray(turns))
    betas = jnp.zeros(model.shape_directions.shape[-1])
    vertices = np.asarray(pose_body(model, BodyParams(pose, betas)).vertices)
    return vertices - (vertices.min(0) + vertices.max(0)) / 2


def view_prior(
    prior: SemanticPrior,
    vertices: Float[np.ndarray, "V 3"],
    faces: Int[np.ndarray, "F 3"],
    side: int,
    radians: float = 0.0,
) -> PriorView:
    """Looks at a body that is turned about the vertical.

    Args:
      prior: of this mesh.
      vertices: from `standing_vertices`; the body fits at every angle.
      faces: corners.
      side: pixels of the square picture.
      radians: 0 shows the front, π/2 the person's left side, π the back.

    Raises:
      UserError: the prior is of another mesh.
    """
    prior.check_body(len(vertices), len(faces))
    turned = turn_about_vertical(vertices, np.zeros(3, np.float32), radians)
    extent = max(np.hypot(*vertices[:, [0, 2]].T).max(), np.abs(vertices[:, 1]).max())
    camera = jnp.array([_MARGIN / extent, 0.0, 0.0])
    points = project_weak_to_ndc(jnp.asarray(turned), camera)
    size = (_SAMPLES * side, _SAMPLES * side)
    hit = visible_faces(points, jnp.asarray(faces), size)
    face = np.asarray(hit.face)
    covered = face >= 0
    face, weights = face[covered], np.asarray(hit.barycentric)[covered]
    normals = vertex_normals(turned, faces)[faces[face]]
    table = np.asarray(prior.probabilities)
    if prior.per == "vertex":
        probabilities = np.einsum("nk,nkl->nl", weights, table[faces[face]])
    else:
        probabilities = table[face]
    brightness = lambert(np.einsum("nk,nkc->nc", weights, normals))
    return PriorView(covered, probabilities, brightness, side)


def likeliest_picture(view: PriorView) -> UInt8[np.ndarray, "S S 3"]:
    """The most likely label in CIHP's colours, grey where nothing is known; on white.

    Background is no label of a body, and left out.
    """
    label = 1 + view.probabilities[:, 1:].argmax(1)
    known = view.probabilities.sum(1, keepdims=True) > 0
    colours = np.where(known, CIHP.palette[label], _UNKNOWN)
    return _picture(view, colours * view.brightness[:, None])


def probability_picture(
    view: PriorView, label: int, largest: float
) -> UInt8[np.ndarray, "S S 3"]:
    """A heat map of one label, from dark (0) to light (`largest`); on white."""
    values = view.probabilities[:, label] / max(largest, np.finfo(np.float32).tiny)
    known = view.probabilities.sum(1, keepdims=True) > 0
    colours = np.where(known, _heat(values), _UNKNOWN)
    shading = 1 - _HEAT_SHADING * (1 - np.clip(view.brightness, 0, 1))
    return _picture(view, colours * shading[:, None])


def colour_bar(height: int, largest: float) -> UInt8[np.ndarray, "H W 3"]:
    """The scale of `probability_picture`, with numbers at its ends and its middle."""
    bar = np.full((height, _BAR_WIDTH, 3), 255, np.uint8)
    letters = 12
    inner = height - 2 * letters
    ramp = np.linspace(1, 0, inner)
    bar[letters:-letters, :14] = _heat(ramp)[:, None]
    for share in (0.0, 0.5, 1.0):
        place = (18, int(letters + (1 - share) * (inner - 1)) + 4)
        text = f"{share * largest:.2g}"
        cv2.putText(bar, text, place, _FONT, 0.36, _INK, 1, cv2.LINE_AA)
    return bar


def label_legend(width: int) -> UInt8[np.ndarray, "H W 3"]:
    """The colour and the name of every label but background."""
    cell, row = 130, 20
    columns = max(width // cell, 1)
    rows = -(-(NUM_LABELS - 1) // columns)
    legend = np.full((rows * row, width, 3), 255, np.uint8)
    for place in range(NUM_LABELS - 1):
        top, left = place // columns * row, place % columns * cell
        colour = CIHP.palette[place + 1]
        legend[top + 4 : top + 16, left + 4 : left + 22] = colour
        corner = (left + 27, top + 14)
        name = CIHP.names[place + 1]
        cv2.putText(legend, name, corner, _FONT, 0.38, _INK, 1, cv2.LINE_AA)
    return legend


def _heat(values: np.ndarray) -> np.ndarray:
    """RGB of values in [0, 1]."""
    levels = np.clip(np.rint(255 * values), 0, 255).astype(np.uint8)
    colours = cv2.applyColorMap(levels.reshape(-1, 1), cv2.COLORMAP_VIRIDIS)
    return colours[:, 0, ::-1]


def _picture(view: PriorView, colours: np.ndarray) -> np.ndarray:
    """Samples averaged to pixels."""
    canvas = np.full((*view.covered.shape, 3), 255, np.float32)
    canvas[view.covered] = np.clip(colours, 0, 255)
    size = (view.side, view.side)
    return np.rint(cv2.resize(canvas, size, interpolation=cv2.INTER_AREA)).astype(
        np.uint8
    )
