"""What exactly is measured: numbers of different protocols must not be compared."""

import dataclasses

from dsr_jax.data import Person

ANNOTATION, NEUTRAL_BODY = "annotation", "neutral"
BY_ACTION, BY_SEQUENCE = "action", "sequence"
# The 24 joints of the skeleton itself, which every body has; not read off its surface.
SMPL24 = "smpl24"
# The two hip joints of each set, and of the annotated "gt24".
_HIPS = {"h36m17": (1, 4), SMPL24: (1, 2)}
_ANNOTATED_HIPS = (2, 3)


@dataclasses.dataclass(frozen=True)
class Chosen:
    """Which people of a data set are measured; () and the defaults mean all.

    What a data set does not say about a person cannot leave that person out: an
    annotation file that was made for the protocol names neither cameras nor frames. It
    is counted as unchecked, and reported.
    """

    subjects: tuple[str, ...] = ()
    sequences: tuple[str, ...] = ()
    cameras: tuple[str, ...] = ()
    every: int = 1
    """Frames whose number is a multiple of this."""
    only_valid: bool = True
    """Leave out those that the data set marks as unreliable."""

    def why_not(self, person: Person) -> str | None:
        """The reason that leaves a person out; None if it is measured."""
        if self.only_valid and not person.valid:
            return "not valid"
        for what, said, allowed in self._names(person):
            if allowed and said and said not in allowed:
                return f"another {what}"
        if person.frame > 0 and person.frame % self.every:
            return "another frame"
        return None

    def unchecked(self, person: Person) -> list[str]:
        """What this asks for and the data set does not say."""
        silent = [
            what for what, said, allowed in self._names(person) if allowed and not said
        ]
        return silent + ["frame"] * (self.every > 1 and person.frame < 0)

    def words(self) -> str:
        """For tables."""
        parts = ["valid frames" if self.only_valid else "all frames, valid or not"]
        for name in ("subjects", "sequences", "cameras"):
            allowed = getattr(self, name)
            if allowed:
                parts.append(f"{name} {', '.join(allowed)}")
        if self.every > 1:
            parts.append(f"every {self.every}th frame")
        return "; ".join(parts)

    def _names(self, person: Person) -> list[tuple[str, str, tuple[str, ...]]]:
        """What, as the data set says it, and what is wanted."""
        return [
            ("subject", person.subject, self.subjects),
            ("sequence", person.sequence, self.sequences),
            ("camera", person.camera, self.cameras),
        ]


@dataclasses.dataclass(frozen=True)
class Protocol:
    """One way of measuring, printed beside every number it gives."""

    name: str
    dataset: str
    split: str
    chosen: Chosen
    """Which people of the split."""
    crop: str
    """Where the person's box comes from, in words."""
    joint_set: str
    """One of the body's joint sets, regressed from the mesh, or `SMPL24`."""
    joints: tuple[int, ...]
    """Which of them are measured, in this order."""
    root: tuple[int, ...]
    """Joints of the set whose mean is moved to the origin before MPJPE."""
    ground_truth: str
    """Where the truth comes from, in words."""
    gender: str = NEUTRAL_BODY
    """The true body: "annotation" is the body of each person's annotated gender,
    "neutral" the body of the predictions."""
    annotated_joints: tuple[int, ...] = ()
    """Rows of `Batch.joints` ("gt24") that are the truth, one for each of `joints`;
    empty where the truth is a body, measured like the prediction."""
    annotated_root: tuple[int, ...] = ()
    """Rows of `Batch.joints` whose mean is moved to the origin."""
    keypoint_scores: bool = False
    """Whether PCK at 150 mm and AUC from 0 to 150 mm are reported."""
    group_by: str = ""
    """"action" or "sequence": a table by it is part of the report; "" for none."""

    def __post_init__(self) -> None:
        if self.annotated_joints and len(self.annotated_joints) != len(self.joints):
            raise ValueError(
                f"{self.name}: joints and annotated_joints differ in number"
            )
        if bool(self.annotated_joints) != bool(self.annotated_root):
            raise ValueError(f"{self.name}: annotated_joints need an annotated_root")
        if self.gender not in (ANNOTATION, NEUTRAL_BODY):
            raise ValueError(f"{self.name}: gender is {self.gender!r}")
        if self.group_by not in ("", BY_ACTION, BY_SEQUENCE):
            raise ValueError(f"{self.name}: group_by is {self.group_by!r}")

    @property
    def true_body(self) -> bool:
        """Whether the truth is a body, so that vertices can be compared."""
        return not self.annotated_joints

    def why_not(self, person: Person) -> str | None:
        """The reason that leaves a person out; None if it is measured."""
        if reason := self.chosen.why_not(person):
            return reason
        if self.true_body:
            return None if person.has_body else "no true body"
        needed = [*self.annotated_joints, *self.annotated_root]
        return None if (person.joints[needed, 3] > 0).all() else "no true joints"

    def on_hips(self) -> "Protocol":
        """The same with both aligned on the midpoint of the hips, under its own name.

        Raises:
          ValueError: a joint set whose hips are not known.
        """
        if self.joint_set not in _HIPS:
            raise ValueError(f"{self.name}: where are the hips of {self.joint_set}?")
        return dataclasses.replace(
            self,
            name=f"{self.name}-hips",
            root=_HIPS[self.joint_set],
            annotated_root=_ANNOTATED_HIPS if self.annotated_joints else (),
        )

    def lines(self) -> list[str]:
        """The protocol in words, for tables."""
        hips = self.root == _HIPS.get(self.joint_set)
        root = "hips' midpoint" if hips else "pelvis"
        rows = "+".join(str(index) for index in self.root)
        predictions = "predictions neutral"
        bodies = {
            ANNOTATION: f"body of the annotated gender; {predictions}",
            NEUTRAL_BODY: f"neutral body; {predictions}",
        }
        truth = bodies[self.gender] if self.true_body else predictions
        return [
            f"protocol      {self.name}: {self.dataset}, {self.split}",
            f"people        {self.chosen.words()}",
            f"crops         {self.crop}",
            f"joints        {len(self.joints)} of {self.joint_set}, both aligned on "
            f"their own {root} ({rows})",
            f"ground truth  {self.ground_truth}; {truth}",
            "PA-MPJPE      similarity Procrustes for each image by itself",
            "means         over the joints of an image, then over images; millimetres",
        ]
