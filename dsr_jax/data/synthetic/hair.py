"""Hair as a sheet of its own: medium and long hair that hangs from the crown.

The sheet is MakeHuman's hair helper, sewn together by tools/bake_hair.py: rows from the
crown to the tips, columns from the left temple around the back to the right one. It is
given in head coordinates (see `head_coordinates`), so that any body with SMPL's
skeleton wears it. It turns with the head, below the chin more and more with the chest.

MakeHuman's skirt helper is not used: one cone to the ankles of a standing person, it
would have to be cut to every length and skinned to legs that part, while the hull that
a tube of `hanging` lies on follows the posed legs by construction.
"""

import dataclasses
import functools
import pathlib
import typing

import jax
import jax.numpy as jnp
import numpy as np

from dsr_jax.arrays import Array, Float
from dsr_jax.body import JOINT_NAMES
from dsr_jax.data.synthetic.outfits import Outfit
from dsr_jax.data.synthetic.pieces import Piece, grid_faces, grid_normals
from dsr_jax.data.synthetic.sampling import Draws
from dsr_jax.data.synthetic.settings import SyntheticSettings
from dsr_jax.data.synthetic.surface import Landmarks, Points
from dsr_jax.numerics import geometry_einsum

_FILE = pathlib.Path(__file__).parent / "assets" / "hair.npz"
# Heights above the chin, in heads, where hair follows only the head, or only the chest.
_HEAD_ONLY, _CHEST_ONLY = 0.1, -0.9
# The middle of the head, up and forward in heads: hair is widened around it.
_MIDDLE = (0.5, -0.08)
# Beneath a hat hair lies this much closer to that middle, inside the head.
_UNDER_HAT = 0.6


@typing.no_type_check
@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Strands:
    """How one person's hair hangs; its length and volume are in the `Outfit`."""

    is_there: Array
    width: Array
    """Factor on its distance from the middle of the head."""
    wave: Array
    """Amplitude of its waves, in heights of the head."""
    wave_length: Array
    phase: Array


def sample_strands(draws: Draws, settings: SyntheticSettings) -> Strands:
    """Draws how hair hangs. Takes 6 numbers."""
    return Strands(
        is_there=draws.chance(settings.hair_sheet_probability),
        width=draws.uniform((1.0, 1.14)),
        wave=draws.chance(0.5) * draws.uniform((0.01, 0.04)),
        wave_length=draws.uniform((0.25, 0.5)),
        phase=draws.uniform((0, 2 * np.pi)),
    )


@functools.cache
def _sheet() -> Float[np.ndarray, "R K 3"]:
    with np.load(_FILE) as arrays:
        return arrays["sheet"]


def hair_faces(first_vertex: int) -> np.ndarray:
    """The triangles of the sheet, its vertices numbered from `first_vertex`."""
    rows, columns, _ = _sheet().shape
    return grid_faces(rows, columns, first_vertex)


def hang_hair(
    strands: Strands,
    outfit: Outfit,
    marks: Landmarks,
    rest_joints: Float[Array, "24 3"],
    joints: Float[Array, "24 3"],
    rotations: Float[Array, "24 3 3"],
) -> Piece:
    """Puts the hair on a posed head.

    Args:
      strands: how it hangs.
      outfit: how long it is, and the hat.
      marks: of the rest pose.
      rest_joints: of the mean body, metres.
      joints: of the posed body, metres, camera axes.
      rotations: world rotation of each joint.
    """
    local = _beneath_hat(_styled(strands, outfit, marks), outfit)
    chin = jnp.stack([jnp.zeros_like(marks.chin_y), marks.chin_y, marks.head_z])
    rest = marks.head_height * local + chin[None, None]
    up = local[..., 1]
    follows = jnp.clip((up - _CHEST_ONLY) / (_HEAD_ONLY - _CHEST_ONLY), 0, 1)
    posed = jnp.zeros_like(rest)
    for name, weight in (("head", follows), ("spine3", 1 - follows)):
        joint = JOINT_NAMES.index(name)
        away = rest - rest_joints[joint][None, None]
        turned = geometry_einsum("ij,rkj->rki", rotations[joint], away)
        posed += weight[..., None] * (joints[joint][None, None] + turned)
    head = joints[JOINT_NAMES.index("head")][None, None]
    worn = (strands.is_there > 0) & (outfit.has_hair > 0) & (outfit.hair_length > -0.05)
    vertices = jnp.where(worn, posed, head)
    normals = grid_normals(vertices, vertices - head)
    flat = rest.reshape(-1, 3)
    nowhere = jnp.full_like(flat[:, 0], -1)
    return Piece(
        vertices=vertices.reshape(-1, 3),
        normals=normals.reshape(-1, 3),
        points=Points(flat[:, 0], flat[:, 1], flat[:, 2], nowhere, 1 - nowhere),
    )


def _styled(strands: Strands, outfit: Outfit, marks: Landmarks) -> Array:
    """The sheet in head coordinates, cut to length, widened and waved."""
    sheet = jnp.asarray(_sheet())
    rows = sheet.shape[0]
    # Every column is cut where the back, its middle one, reaches the length.
    back = sheet[::-1, sheet.shape[1] // 2, 1]
    tip = -outfit.hair_length / marks.head_height
    last = jnp.interp(tip, back, jnp.arange(rows - 1.0, -1, -1))
    index = jnp.linspace(0, 1, rows) * last
    lower = jnp.clip(jnp.floor(index).astype(jnp.int32), 0, rows - 2)
    fraction = (index - lower)[:, None, None]
    sheet = (1 - fraction) * sheet[lower] + fraction * sheet[lower + 1]
    x, up, forward = jnp.moveaxis(sheet, -1, 0)
    falls = jnp.clip(0.8 - up, 0, 1)
    waves = jnp.sin(2 * jnp.pi * up / strands.wave_length + strands.phase)
    factor = strands.width + falls * strands.wave * waves / 0.4
    middle_up, middle_forward = _MIDDLE
    up = jnp.where(up > middle_up, middle_up + (up - middle_up) * strands.width, up)
    forward = middle_forward + (forward - middle_forward) * factor
    return jnp.stack([x * factor, up, forward], axis=-1)


def _beneath_hat(sheet: Array, outfit: Outfit) -> Array:
    _, up, forward = jnp.moveaxis(sheet, -1, 0)
    is_beneath = up > outfit.hat_line + 0.15 * forward - 0.05
    middle = jnp.array([[[0.0, *_MIDDLE]]])
    inside = middle + _UNDER_HAT * (sheet - middle)
    hidden = is_beneath & (outfit.has_hat > 0)
    return jnp.where(hidden[..., None], inside, sheet)
