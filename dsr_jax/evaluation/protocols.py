"""What exactly is measured: numbers of different protocols must not be compared."""

import dataclasses

from dsr_jax.errors import UserError, nearest


@dataclasses.dataclass(frozen=True)
class Protocol:
    """One way of measuring, printed beside every number it gives."""

    name: str
    dataset: str
    split: str
    joint_set: str
    """One of the body's joint sets, regressed from the mesh."""
    joints: tuple[int, ...]
    """Which of them are measured, in this order."""
    root: tuple[int, ...]
    """Joints of the set whose mean both bodies are moved to before MPJPE."""
    ground_truth: str
    """Where the true body comes from, its gender included."""

    def lines(self) -> list[str]:
        """The protocol in words, for tables."""
        root = "+".join(str(index) for index in self.root)
        return [
            f"protocol      {self.name}: {self.dataset}, {self.split}",
            f"joints        {len(self.joints)} of {self.joint_set}, aligned on {root}",
            f"ground truth  {self.ground_truth}",
            "PA-MPJPE      similarity Procrustes for each image by itself",
            "means         over the joints of an image, then over images; millimetres",
        ]


# The H36M joints that LSP's 14 are, in LSP's order.
_H36M_TO_14 = (6, 5, 4, 1, 2, 3, 16, 15, 14, 11, 12, 13, 8, 10)

PROTOCOLS = {
    protocol.name: protocol
    for protocol in (
        Protocol(
            name="synthetic",
            dataset="synthetic clothed people of dsr-jax",
            split="test",
            joint_set="h36m17",
            joints=_H36M_TO_14,
            root=(0,),
            ground_truth="the generator's parameters on the same neutral body",
        ),
        Protocol(
            name="folder",
            dataset="a folder of the user's in SPIN's layout",
            split="as given",
            joint_set="h36m17",
            joints=_H36M_TO_14,
            root=(0,),
            ground_truth="pose and shape of the file on the same neutral body",
        ),
    )
}


def protocol_by_name(name: str) -> Protocol:
    """Looks a protocol up.

    Raises:
      UserError: there is none of this name.
    """
    if name not in PROTOCOLS:
        raise UserError(f"protocol '{name}' is unknown: {nearest(name, PROTOCOLS)}")
    return PROTOCOLS[name]
