"""Merging the twenty labels into the few classes that the losses compare."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from dsr_jax.arrays import Array, Float, Int, Integer
from dsr_jax.errors import UserError, nearest
from dsr_jax.semantics.taxonomy import CIHP, Taxonomy


@dataclasses.dataclass(frozen=True)
class Grouping:
    """C classes; class number c, `names[c]`, unites the labels `members[c]`."""

    name: str
    names: tuple[str, ...]
    members: tuple[tuple[str, ...], ...]
    taxonomy: Taxonomy = CIHP

    def __post_init__(self):
        labels = [label for group in self.members for label in group]
        if sorted(labels) != sorted(self.taxonomy.names):
            raise ValueError(f"{self.name} must hold every label exactly once")
        if len(self.names) != len(self.members):
            raise ValueError(f"{self.name} needs one name a class")

    def lookup(self) -> Int[np.ndarray, "L"]:
        """The class of each label."""
        table = np.zeros(len(self.taxonomy.names), np.int32)
        for number, group in enumerate(self.members):
            table[[self.taxonomy.index(label) for label in group]] = number
        return table

    def matrix(self) -> Float[np.ndarray, "L C"]:
        """One-hot rows: probabilities of labels @ matrix = probabilities of classes."""
        return np.eye(len(self.names), dtype=np.float32)[self.lookup()]


# Skin, hair and what fits the body closely: hats and shoes change its outline little.
_HEAD_AND_LIMBS = (
    "hat",
    "hair",
    "glove",
    "sunglasses",
    "socks",
    "scarf",
    "face",
    "left-arm",
    "right-arm",
    "left-leg",
    "right-leg",
    "left-shoe",
    "right-shoe",
)
_CLASSES_4 = ("background", "minimal", "upper", "lower")

# DSR §3 "DSR - Clothing", with label 10 as what it is in CIHP: skin of the torso.
CLOTHING_4 = Grouping(
    "clothing_4",
    _CLASSES_4,
    (
        ("background",),
        (*_HEAD_AND_LIMBS, "torso-skin"),
        ("upper-clothes", "dress", "coat"),
        ("pants", "skirt"),
    ),
)

# The authors' released merge takes label 10 for LIP's "jumpsuits": for parity only.
CLOTHING_4_RELEASED = Grouping(
    "clothing_4_released",
    _CLASSES_4,
    (
        ("background",),
        _HEAD_AND_LIMBS,
        ("upper-clothes", "dress", "coat", "torso-skin"),
        ("pants", "skirt"),
    ),
)

# The merge of the authors' released configuration: by parts of the body.
CLOTHING_8 = Grouping(
    "clothing_8",
    (
        "background",
        "head",
        "upper",
        "lower",
        "left-arm",
        "right-arm",
        "left-leg",
        "right-leg",
    ),
    (
        ("background",),
        ("hat", "hair", "sunglasses", "scarf", "face"),
        ("glove", "upper-clothes", "dress", "coat", "torso-skin"),
        ("socks", "pants", "skirt"),
        ("left-arm",),
        ("right-arm",),
        ("left-leg", "left-shoe"),
        ("right-leg", "right-shoe"),
    ),
)

GROUPINGS = {
    grouping.name: grouping
    for grouping in (CLOTHING_4, CLOTHING_4_RELEASED, CLOTHING_8)
}


def grouping_by_name(name: str) -> Grouping:
    """One of `GROUPINGS`.

    Raises:
      UserError: there is no grouping of that name.
    """
    if name not in GROUPINGS:
        raise UserError(f"grouping '{name}' is unknown: {nearest(name, GROUPINGS)}")
    return GROUPINGS[name]


@jax.named_scope("group_labels")
def group_labels(
    labels: Integer[Array | np.ndarray, "*batch H W"], grouping: Grouping
) -> Int[Array, "*batch H W"]:
    """The class of each pixel, int32; −1, of which no loss takes notice, for `VOID`."""
    classes = np.full(256, -1, np.int32)
    classes[: len(grouping.taxonomy.names)] = grouping.lookup()
    return jnp.asarray(classes)[labels]
