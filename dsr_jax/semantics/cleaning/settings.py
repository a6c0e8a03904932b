"""The settings of the cleaning chain, and where each value comes from.

[R] is the authors' released code. What is marked "ours" has no counterpart there;
docs/semantics.md gives the measurements that chose it.
"""

import dataclasses

from dsr_jax.errors import nearest
from dsr_jax.semantics.cleaning.keypoint_box import (
    KEYPOINT_CONFIDENCE,
    KEYPOINT_MARGIN_PX,
)

NONE, KEYPOINT_BOX, COMPONENTS = "none", "keypoint_box", "components"
OTHERS = (NONE, KEYPOINT_BOX, COMPONENTS)


@dataclasses.dataclass(frozen=True)
class CleaningSettings:
    """How a label map is cleaned before it is cropped.

    "Crop px" are pixels of a 224 × 224 crop of the person's box: in a photo they grow
    with the box, so that near and far people are treated alike.
    """

    others: str = COMPONENTS
    """How other people's labels go: "none" (they stay), "keypoint_box" [R], or
    "components" (ours), see `keep_person`."""
    keypoint_confidence: float = KEYPOINT_CONFIDENCE
    """Keypoints count if their confidence is greater than this. [R]"""
    box_margin_px: float = KEYPOINT_MARGIN_PX
    """How far the box of the keypoints that count is grown on every side. [R]: pixels
    of the label map; with "components" they are crop px."""
    reach: float = 0.6
    """"components": labels farther from the person's skeleton than this many lengths
    of its longest limb are not the person's. Ours."""
    split_touching: bool = True
    """"components": labels nearer to the skeleton of another person of the photo go,
    where the data set knows one. Ours."""
    near_px: float = 8.0
    """Crop px within which a keypoint counts as lying on a label. Ours."""
    speck_px: float = 8.0
    """Connected regions of one label with fewer crop px than this (an area) go to the
    labels around them; 0 keeps all. Ours."""
    refuse: bool = True
    """Whether implausible label maps are refused. Ours."""
    keypoints_on_person: float = 0.5
    """Refused if fewer of the keypoints that count lie near the foreground. Ours."""
    smallest_share: float = 0.01
    """Refused if the foreground covers less of the person's box. Ours."""
    largest_share: float = 0.9
    """Refused if the foreground covers more of the person's box. Ours."""
    refuse_swapped_sides: bool = True
    """Refused if left and right contradict the keypoints, see `sides_are_swapped`.
    Ours."""

    def __post_init__(self) -> None:
        if self.others not in OTHERS:
            raise ValueError(f"others '{self.others}': {nearest(self.others, OTHERS)}")
        for name in ("box_margin_px", "reach", "near_px", "speck_px"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} is {getattr(self, name)}: give 0 or more")
        names = ("keypoint_confidence", "keypoints_on_person", "smallest_share")
        for name in (*names, "largest_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)}: give 0 to 1")


UNCLEANED = CleaningSettings(others=NONE, speck_px=0.0, refuse=False)
RELEASED_CLEANING = CleaningSettings(others=KEYPOINT_BOX, speck_px=0.0, refuse=False)
