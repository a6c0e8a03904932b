"""The table of protocols: the field's, by name."""

import dataclasses

from dsr_jax.errors import UserError, nearest
from dsr_jax.evaluation.protocol import (
    ANNOTATION,
    BY_ACTION,
    BY_SEQUENCE,
    SMPL24,
    Chosen,
    Protocol,
)

# LSP's 14 joints, then the pelvis, spine and jaw that make MPI-INF-3DHP's 17: rows of
# the Human3.6M regressor's joints, and of the 24 annotated ones. SPIN's evaluation.
_H36M_TO_14 = (6, 5, 4, 1, 2, 3, 16, 15, 14, 11, 12, 13, 8, 10)
_H36M_TO_17 = (*_H36M_TO_14, 0, 7, 9)
_ANNOTATED_TO_14 = (*range(13), 18)
_ANNOTATED_TO_17 = (*_ANNOTATED_TO_14, 14, 16, 17)
# The pelvis, in either.
_H36M_PELVIS = (0,)
_ANNOTATED_PELVIS = (14,)
_SMPL_HIPS = (1, 2)

_ANY = Chosen(only_valid=False)
_BOXES_OF_FILE = "boxes of the data set"

_SYNTHETIC = Protocol(
    name="synthetic",
    dataset="synthetic clothed people of dsr-jax",
    split="test",
    chosen=_ANY,
    crop="as they were made",
    joint_set="h36m17",
    joints=_H36M_TO_14,
    root=_H36M_PELVIS,
    ground_truth="the generator's parameters",
)

_FOLDER = dataclasses.replace(
    _SYNTHETIC,
    name="folder",
    dataset="a data set of the user's",
    split="as given",
    crop=_BOXES_OF_FILE,
    ground_truth="pose and shape of the data set",
    group_by=BY_SEQUENCE,
)

_3DPW = Protocol(
    name="3dpw",
    dataset="3DPW",
    split="test",
    chosen=Chosen(only_valid=True),
    crop="box of the given 2D joints × 1.2",
    joint_set="h36m17",
    joints=_H36M_TO_14,
    root=_H36M_PELVIS,
    ground_truth="SMPL, first 10 betas, turned by the camera's extrinsics",
    gender=ANNOTATION,
    group_by=BY_SEQUENCE,
)

_H36M_P1 = Protocol(
    name="h36m-p1",
    dataset="Human3.6M protocol 1",
    split="test",
    chosen=Chosen(subjects=("S9", "S11"), every=5),
    crop=_BOXES_OF_FILE,
    joint_set="h36m17",
    joints=_H36M_TO_14,
    root=_H36M_PELVIS,
    ground_truth="joints of the motion capture",
    annotated_joints=_ANNOTATED_TO_14,
    annotated_root=_ANNOTATED_PELVIS,
    group_by=BY_ACTION,
)

_MPI_INF_3DHP = Protocol(
    name="mpi-inf-3dhp",
    dataset="MPI-INF-3DHP",
    split="test, TS1 to TS6",
    chosen=Chosen(only_valid=True),
    crop=_BOXES_OF_FILE,
    joint_set="h36m17",
    joints=_H36M_TO_17,
    root=_H36M_PELVIS,
    ground_truth="universal joint annotations",
    annotated_joints=_ANNOTATED_TO_17,
    annotated_root=_ANNOTATED_PELVIS,
    keypoint_scores=True,
    group_by=BY_SEQUENCE,
)

# The arithmetic of these benchmarks, not their server: the joints of the skeleton,
# everything aligned on the midpoint of the hips.
_EMDB_LIKE = dataclasses.replace(
    _3DPW,
    name="emdb-like",
    dataset="EMDB or a data set like it",
    split="as given",
    crop=_BOXES_OF_FILE,
    joint_set=SMPL24,
    joints=tuple(range(24)),
    root=_SMPL_HIPS,
    ground_truth="SMPL, first 10 betas, in the camera's axes",
)

_ALL = (
    _SYNTHETIC,
    _FOLDER,
    _3DPW,
    dataclasses.replace(_3DPW, name="3dpw-all", chosen=_ANY),
    _H36M_P1,
    dataclasses.replace(
        _H36M_P1,
        name="h36m-p2",
        dataset="Human3.6M protocol 2",
        chosen=dataclasses.replace(_H36M_P1.chosen, cameras=("60457274",)),
    ),
    _MPI_INF_3DHP,
    _EMDB_LIKE,
    dataclasses.replace(
        _EMDB_LIKE,
        name="agora-like",
        dataset="AGORA or a data set like it",
    ),
)

PROTOCOLS = {protocol.name: protocol for protocol in _ALL}


def protocol_by_name(name: str) -> Protocol:
    """Looks a protocol up.

    Raises:
      UserError: there is none of this name.
    """
    if name not in PROTOCOLS:
        raise UserError(f"protocol '{name}' is unknown: {nearest(name, PROTOCOLS)}")
    return PROTOCOLS[name]
