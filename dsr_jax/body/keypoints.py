"""Joint and keypoint conventions of datasets, and how to read them off a mesh.

`joints49`    25 OpenPose BODY_25 keypoints, then the 24 ground-truth joints
`openpose25`  the first 25 of them
`gt24`        the last 24: joints of LSP, MPII, Human3.6M and COCO, without duplicates
`h36m17`      the 17 joints of the Human3.6M evaluation regressor, in its own order
`lsp14`       14 of those in LSP order: the joints of the 3DPW protocol
"""

import numpy as np

from dsr_jax.arrays import Array, Float
from dsr_jax.body.model import BodyMesh, BodyModel, JointSet
from dsr_jax.body.skeleton import flip_by_name
from dsr_jax.errors import UserError, nearest
from dsr_jax.numerics import geometry_einsum

OPENPOSE_NAMES_25 = (
    *("nose", "neck", "right_shoulder", "right_elbow", "right_wrist"),
    *("left_shoulder", "left_elbow", "left_wrist", "mid_hip"),
    *("right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle"),
    *("right_eye", "left_eye", "right_ear", "left_ear"),
    *("left_big_toe", "left_small_toe", "left_heel"),
    *("right_big_toe", "right_small_toe", "right_heel"),
)

GROUND_TRUTH_NAMES_24 = (
    *("right_ankle", "right_knee", "right_hip", "left_hip", "left_knee", "left_ankle"),
    *("right_wrist", "right_elbow", "right_shoulder"),
    *("left_shoulder", "left_elbow", "left_wrist"),
    *("neck_lsp", "head_top_lsp", "pelvis_mpii", "thorax_mpii"),
    *("spine_h36m", "jaw_h36m", "head_h36m"),
    *("nose", "left_eye", "right_eye", "left_ear", "right_ear"),
)

KEYPOINT_NAMES_49 = (
    *(f"openpose_{name}" for name in OPENPOSE_NAMES_25),
    *GROUND_TRUTH_NAMES_24,
)

# Keypoint i of the mirrored person is keypoint KEYPOINT_FLIP_49[i] of the person.
KEYPOINT_FLIP_49 = np.array(flip_by_name(KEYPOINT_NAMES_49))

H36M_NAMES_17 = (
    *("pelvis", "left_hip", "left_knee", "left_ankle"),
    *("right_hip", "right_knee", "right_ankle"),
    *("spine", "neck", "jaw", "head_top"),
    *("left_shoulder", "left_elbow", "left_wrist"),
    *("right_shoulder", "right_elbow", "right_wrist"),
)

# The 14 joints of LSP among Human3.6M's 17, as SPIN's evaluation picks them.
LSP14_FROM_H36M17 = np.array([6, 5, 4, 1, 2, 3, 16, 15, 14, 11, 12, 13, 8, 10])
LSP_NAMES_14 = tuple(H36M_NAMES_17[i] for i in LSP14_FROM_H36M17)

# Every joint set, and what an SMPL body needs to have it.
JOINT_SETS = {
    "joints49": "the file of extra_regressor",
    "openpose25": "the mesh of SMPL with its 6890 vertices",
    "gt24": "the file of extra_regressor",
    "h36m17": "the file of h36m_regressor",
    "lsp14": "the file of h36m_regressor",
}


def body_joints(
    model: BodyModel, mesh: BodyMesh, joint_set: str
) -> Float[Array, "*batch J 3"]:
    """Reads a joint set off posed bodies.

    Args:
      model: the body that made the mesh.
      mesh: posed bodies, any leading batch shape.
      joint_set: one of `model.joint_sets`.

    Returns:
      (*batch, J, 3) metres, in the axes of the mesh; names are in
      `model.joint_sets[joint_set].names`.

    Raises:
      UserError: an unknown joint set, or one whose regressor file was not given.
    """
    chosen = joint_set_of(model, joint_set)
    return geometry_einsum(
        "ji,...ic->...jc", chosen.from_joints, mesh.joints
    ) + geometry_einsum("jv,...vc->...jc", chosen.from_vertices, mesh.vertices)


def joint_set_of(model: BodyModel, name: str) -> JointSet:
    """One of the body's joint sets.

    Raises:
      UserError: an unknown joint set, or one whose regressor file was not given.
    """
    if name not in model.joint_sets:
        raise UserError(_absent(model, name))
    return model.joint_sets[name]


def _absent(model: BodyModel, joint_set: str) -> str:
    if joint_set not in JOINT_SETS:
        return f"joint set '{joint_set}' is unknown: {nearest(joint_set, JOINT_SETS)}"
    return (
        f"body '{model.name}' has no joint set '{joint_set}': load_body needs "
        f"{JOINT_SETS[joint_set]}"
    )


def rows_of(joints: JointSet, rows: np.ndarray, names: tuple[str, ...]) -> JointSet:
    """Some rows of a joint set, under the names given."""
    return JointSet(joints.from_joints[rows], joints.from_vertices[rows], names)
