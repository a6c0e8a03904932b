"""Joint sets of SMPL bodies: from joints, surface vertices and users' regressors.

SMPL's 54 base joints are its 24 joints, 11 surface vertices, ten that are not used here
and the 9 rows of `J_regressor_extra.npy` (rows 45 to 53). The sources of the 49
keypoints among them are those of SPIN and EFT.
"""

import pathlib

import jax.numpy as jnp
import numpy as np

from dsr_jax.body.array_file import read_npy
from dsr_jax.body.keypoints import (
    GROUND_TRUTH_NAMES_24,
    H36M_NAMES_17,
    KEYPOINT_NAMES_49,
    LSP14_FROM_H36M17,
    LSP_NAMES_14,
    OPENPOSE_NAMES_25,
    rows_of,
)
from dsr_jax.body.model import BodyModel, JointSet
from dsr_jax.body.skeleton import JOINT_NAMES
from dsr_jax.errors import UserError

# Surface vertices of the published SMPL mesh; meaningless for any other mesh.
_SMPL_VERTEX_COUNT = 6890
_SURFACE_VERTICES = {
    "nose": 332,
    "right_eye": 6260,
    "left_eye": 2800,
    "right_ear": 4071,
    "left_ear": 583,
    "left_big_toe": 3216,
    "left_small_toe": 3226,
    "left_heel": 3387,
    "right_big_toe": 6617,
    "right_small_toe": 6624,
    "right_heel": 6787,
}
# Rows of J_regressor_extra.npy, base joints 45 to 53.
_EXTRA_ROWS = (
    *("right_hip", "left_hip", "neck_lsp", "head_top_lsp", "pelvis_mpii"),
    *("thorax_mpii", "spine_h36m", "jaw_h36m", "head_h36m"),
)


def smpl_joint_sets(
    model: BodyModel,
    extra_regressor: pathlib.Path | None,
    h36m_regressor: pathlib.Path | None,
) -> dict[str, JointSet]:
    """The joint sets that a body and the given regressor files allow.

    Args:
      model: an SMPL body; `openpose25` and `joints49` need its 6890 vertices.
      extra_regressor: npy of (9, V), adds `gt24` and `joints49`.
      h36m_regressor: npy of (17, V), adds `h36m17` and `lsp14`.

    Raises:
      UserError: a regressor that cannot be read or of another shape, or an extra
        regressor for a mesh that is not SMPL's.
    """
    joint_sets = {}
    if len(model.template) == _SMPL_VERTEX_COUNT:
        joint_sets["openpose25"] = _joint_set(OPENPOSE_NAMES_25, _SMPL_VERTEX_COUNT, {})
    if extra_regressor is not None:
        ground_truth = _ground_truth(model, extra_regressor)
        joint_sets["gt24"] = ground_truth
        joint_sets["joints49"] = _joined(joint_sets["openpose25"], ground_truth)
    if h36m_regressor is not None:
        h36m = _read_regressor(h36m_regressor, len(H36M_NAMES_17), len(model.template))
        rows = dict(zip(H36M_NAMES_17, h36m, strict=True))
        h36m17 = _joint_set(H36M_NAMES_17, len(model.template), rows)
        joint_sets["h36m17"] = h36m17
        joint_sets["lsp14"] = rows_of(h36m17, LSP14_FROM_H36M17, LSP_NAMES_14)
    return joint_sets


def _ground_truth(model: BodyModel, extra_regressor: pathlib.Path) -> JointSet:
    if len(model.template) != _SMPL_VERTEX_COUNT:
        raise UserError(
            f"{extra_regressor}: needs the {_SMPL_VERTEX_COUNT} vertices of SMPL, "
            f"but '{model.name}' has {len(model.template)}"
        )
    extra = _read_regressor(extra_regressor, len(_EXTRA_ROWS), _SMPL_VERTEX_COUNT)
    rows = dict(zip(_EXTRA_ROWS, extra, strict=True))
    return _joint_set(GROUND_TRUTH_NAMES_24, _SMPL_VERTEX_COUNT, rows)


def _joint_set(
    names: tuple[str, ...], count: int, regressors: dict[str, np.ndarray]
) -> JointSet:
    """Each point from its regressor, else its surface vertex, else its SMPL joint."""
    from_joints = np.zeros((len(names), len(JOINT_NAMES)), np.float32)
    from_vertices = np.zeros((len(names), count), np.float32)
    for row, name in enumerate(names):
        if name in regressors:
            from_vertices[row] = regressors[name]
        elif name in _SURFACE_VERTICES:
            from_vertices[row, _SURFACE_VERTICES[name]] = 1
        else:
            joint = "pelvis" if name == "mid_hip" else name
            from_joints[row, JOINT_NAMES.index(joint)] = 1
    return JointSet(jnp.asarray(from_joints), jnp.asarray(from_vertices), names)


def _joined(openpose: JointSet, ground_truth: JointSet) -> JointSet:
    return JointSet(
        jnp.concatenate([openpose.from_joints, ground_truth.from_joints]),
        jnp.concatenate([openpose.from_vertices, ground_truth.from_vertices]),
        KEYPOINT_NAMES_49,
    )


def _read_regressor(path: pathlib.Path, rows: int, count: int) -> np.ndarray:
    regressor = read_npy(path)
    if regressor.shape != (rows, count):
        raise UserError(
            f"{path}: has the shape {regressor.shape}, this body needs "
            f"({rows}, {count})"
        )
    if not np.all(np.isfinite(regressor)):
        raise UserError(f"{path}: holds values that are not finite")
    return regressor
