"""Body models with SMPL's interface: the free body, SMPL files, posing, joint sets."""

from dsr_jax.body.keypoints import (
    KEYPOINT_FLIP_49,
    KEYPOINT_NAMES_49,
    body_joints,
    joint_set_of,
)
from dsr_jax.body.loading import load_body
from dsr_jax.body.model import BodyMesh, BodyModel, BodyParams, JointSet
from dsr_jax.body.posing import pose_body
from dsr_jax.body.skeleton import (
    JOINT_FLIP,
    JOINT_NAMES,
    PARENTS,
    mean_pose,
    mirror_pose,
)

__all__ = [
    "JOINT_FLIP",
    "JOINT_NAMES",
    "KEYPOINT_FLIP_49",
    "KEYPOINT_NAMES_49",
    "PARENTS",
    "BodyMesh",
    "BodyModel",
    "BodyParams",
    "JointSet",
    "body_joints",
    "joint_set_of",
    "load_body",
    "mean_pose",
    "mirror_pose",
    "pose_body",
]
