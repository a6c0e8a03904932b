"""What exactly is measured: numbers of different protocols must not be compared."""

import dataclasses

from dsr_jax.errors import UserError, nearest


@dataclasses.dataclass(frozen=True)
class Protocol:
    """One way of measuring, printed beside every number it gives."""

    name: str
    dataset: str
    split: str
    examples: str
    """Which images of the split, and how the person is cropped."""
    joint_set: str
    """One of the body's joint sets, regressed from the mesh."""
    joints: tuple[int, ...]
    """Which of them are measured, in this order."""
    root: tuple[int, ...]
    """Joints of the set whose mean is moved to the origin before MPJPE."""
    ground_truth: str
    """Where the truth comes from, the gender of its body included."""
    annotated_joints: tuple[int, ...] = ()
    """Rows of `Batch.joints` ("gt24") that are the truth, one for each of `joints`;
    empty where the truth is a body, measured like the prediction."""
    annotated_root: tuple[int, ...] = ()
    """Rows of `Batch.joints` whose mean is moved to the origin."""
    keypoint_scores: bool = False
    """Whether PCK at 150 mm and AUC from 0 to 150 mm are reported."""

    def __post_init__(self) -> None:
        if self.annotated_joints and len(self.annotated_joints) != len(self.joints):
            raise ValueError(
                f"{self.name}: joints and annotated_joints differ in number"
            )
        if bool(self.annotated_joints) != bool(self.annotated_root):
            raise ValueError(f"{self.name}: annotated_joints need an annotated_root")

    @property
    def true_body(self) -> bool:
        """Whether the truth is a body, so that vertices can be compared."""
        return not self.annotated_joints

    def lines(self) -> list[str]:
        """The protocol in words, for tables."""
        root = "+".join(str(index) for index in self.root)
        return [
            f"protocol      {self.name}: {self.dataset}, {self.split}",
            f"examples      {self.examples}",
            f"joints        {len(self.joints)} of {self.joint_set}, aligned on {root}",
            f"ground truth  {self.ground_truth}",
            "PA-MPJPE      similarity Procrustes for each image by itself",
            "means         over the joints of an image, then over images; millimetres",
        ]


# LSP's 14 joints, then the pelvis, spine and jaw that make MPI-INF-3DHP's 17: rows of
# the Human3.6M regressor's joints, and of the 24 annotated ones. SPIN's evaluation.
_H36M_TO_14 = (6, 5, 4, 1, 2, 3, 16, 15, 14, 11, 12, 13, 8, 10)
_H36M_TO_17 = (*_H36M_TO_14, 0, 7, 9)
_ANNOTATED_TO_14 = (*range(13), 18)
_ANNOTATED_TO_17 = (*_ANNOTATED_TO_14, 14, 16, 17)
# The pelvis, in either.
_H36M_PELVIS = (0,)
_ANNOTATED_PELVIS = (14,)

_ALL = (
    Protocol(
        name="synthetic",
        dataset="synthetic clothed people of dsr-jax",
        split="test",
        examples="all of the split, cropped as they were made",
        joint_set="h36m17",
        joints=_H36M_TO_14,
        root=_H36M_PELVIS,
        ground_truth="the generator's parameters on the same neutral body",
    ),
    Protocol(
        name="folder",
        dataset="a folder of the user's in SPIN's layout",
        split="as given",
        examples="all with pose and shape, in the boxes of the file",
        joint_set="h36m17",
        joints=_H36M_TO_14,
        root=_H36M_PELVIS,
        ground_truth="pose and shape of the file on the same neutral body",
    ),
    Protocol(
        name="3dpw",
        dataset="3DPW",
        split="test",
        examples="valid camera poses only; box of the given 2D joints × 1.2",
        joint_set="h36m17",
        joints=_H36M_TO_14,
        root=_H36M_PELVIS,
        ground_truth="SMPL of the person's gender, first 10 betas; predictions neutral",
    ),
    Protocol(
        name="h36m-p1",
        dataset="Human3.6M protocol 1",
        split="S9 and S11",
        examples="every 5th frame, all four cameras",
        joint_set="h36m17",
        joints=_H36M_TO_14,
        root=_H36M_PELVIS,
        ground_truth="joints of the motion capture; predictions neutral",
        annotated_joints=_ANNOTATED_TO_14,
        annotated_root=_ANNOTATED_PELVIS,
    ),
    Protocol(
        name="h36m-p2",
        dataset="Human3.6M protocol 2",
        split="S9 and S11",
        examples="every 5th frame, the frontal camera 60457274",
        joint_set="h36m17",
        joints=_H36M_TO_14,
        root=_H36M_PELVIS,
        ground_truth="joints of the motion capture; predictions neutral",
        annotated_joints=_ANNOTATED_TO_14,
        annotated_root=_ANNOTATED_PELVIS,
    ),
    Protocol(
        name="mpi-inf-3dhp",
        dataset="MPI-INF-3DHP",
        split="TS1 to TS6",
        examples="valid frames",
        joint_set="h36m17",
        joints=_H36M_TO_17,
        root=_H36M_PELVIS,
        ground_truth="universal joint annotations; predictions neutral",
        annotated_joints=_ANNOTATED_TO_17,
        annotated_root=_ANNOTATED_PELVIS,
        keypoint_scores=True,
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
