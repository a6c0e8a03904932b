"""The joints of the data sets by name, and where they stand among the 49 keypoints.

Names are those of `dsr_jax.body.keypoints`; what has no place there keeps its own. The
choice of joints for Human3.6M and MPI-INF-3DHP is that of SPIN's preprocessing, as the
evaluation's regressors are made for it: Human3.6M's neck lies between the shoulders,
MPI-INF-3DHP's "head" is the H36M jaw.
"""

from collections.abc import Iterable

import numpy as np

from dsr_jax.body.keypoints import GROUND_TRUTH_NAMES_24, OPENPOSE_NAMES_25

# COCO's person_keypoints, in its order.
COCO_NAMES_17 = (
    *("nose", "left_eye", "right_eye", "left_ear", "right_ear"),
    *("left_shoulder", "right_shoulder", "left_elbow", "right_elbow"),
    *("left_wrist", "right_wrist", "left_hip", "right_hip"),
    *("left_knee", "right_knee", "left_ankle", "right_ankle"),
)

# OpenPose's model of COCO, the order of 3DPW's `poses2d`.
OPENPOSE_NAMES_18 = (
    *("nose", "neck", "right_shoulder", "right_elbow", "right_wrist"),
    *("left_shoulder", "left_elbow", "left_wrist"),
    *("right_hip", "right_knee", "right_ankle"),
    *("left_hip", "left_knee", "left_ankle"),
    *("right_eye", "left_eye", "right_ear", "left_ear"),
)

LIMBS_12 = tuple(
    f"{side}_{joint}"
    for joint in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
    for side in ("left", "right")
)

# Human3.6M's 32 joints: column of each that is used.
H36M_COLUMNS = {
    "pelvis_mpii": 11,
    **{"left_hip": 6, "left_knee": 7, "left_ankle": 8},
    **{"right_hip": 1, "right_knee": 2, "right_ankle": 3},
    **{"spine_h36m": 12, "neck_lsp": 24, "jaw_h36m": 14, "head_h36m": 15},
    **{"left_shoulder": 17, "left_elbow": 18, "left_wrist": 19},
    **{"right_shoulder": 25, "right_elbow": 26, "right_wrist": 27},
}

# MPI-INF-3DHP's 28 training joints: spine3, spine4, spine2, spine, pelvis, neck, head,
# head_top, left clavicle to hand, right clavicle to hand, left hip to toe, right ones.
MPI_TRAIN_COLUMNS = {
    **{"pelvis_mpii": 4, "spine_h36m": 3, "neck_lsp": 5, "jaw_h36m": 6, "head_h36m": 7},
    **{"left_shoulder": 9, "left_elbow": 10, "left_wrist": 11},
    **{"right_shoulder": 14, "right_elbow": 15, "right_wrist": 16},
    **{"left_hip": 18, "left_knee": 19, "left_ankle": 20},
    **{"right_hip": 23, "right_knee": 24, "right_ankle": 25},
}

# And the 17 joints of its test set.
MPI_TEST_COLUMNS = {
    **{"head_h36m": 0, "neck_lsp": 1, "pelvis_mpii": 14},
    **{"spine_h36m": 15, "jaw_h36m": 16},
    **{"right_shoulder": 2, "right_elbow": 3, "right_wrist": 4},
    **{"left_shoulder": 5, "left_elbow": 6, "left_wrist": 7},
    **{"right_hip": 8, "right_knee": 9, "right_ankle": 10},
    **{"left_hip": 11, "left_knee": 12, "left_ankle": 13},
}


def rows_of_24(names: Iterable[str]) -> np.ndarray:
    """Where the named joints stand among the 24 ground-truth joints."""
    return np.array([GROUND_TRUTH_NAMES_24.index(name) for name in names])


def rows_of_49(names: Iterable[str]) -> np.ndarray:
    """Where they stand among the 49 keypoints, as ground-truth joints."""
    return len(OPENPOSE_NAMES_25) + rows_of_24(names)


def openpose_rows_of_49(names: Iterable[str]) -> np.ndarray:
    """Where they stand among the 49 keypoints, as OpenPose's."""
    return np.array([OPENPOSE_NAMES_25.index(name) for name in names])
