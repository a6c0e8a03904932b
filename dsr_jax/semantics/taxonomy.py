"""The clothing labels: CIHP's twenty, and other parsers' labels mapped by name.

CIHP (Gong et al., "Instance-level Human Parsing via Part Grouping Network", ECCV 2018)
is the order in which Graphonomy's universal model numbers its output. Left and right
are the person's own.
"""

import dataclasses
import functools
from collections.abc import Mapping, Sequence

import numpy as np

from dsr_jax.arrays import Int, UInt8
from dsr_jax.errors import UserError, nearest

_OTHER_SIDE = {"left": "right", "right": "left"}


@dataclasses.dataclass(frozen=True, eq=False)
class Taxonomy:
    """L labels: label number i has the name `names[i]` and the colour `palette[i]`."""

    name: str
    names: tuple[str, ...]
    palette: UInt8[np.ndarray, "L 3"]
    """RGB."""

    @functools.cached_property
    def flip(self) -> Int[np.ndarray, "L"]:
        """What each label becomes in a mirrored image: the sides change their names."""
        return np.array([self.names.index(_mirrored(name)) for name in self.names])

    def index(self, name: str) -> int:
        """The number of a label.

        Raises:
          UserError: the taxonomy has no such label.
        """
        if name not in self.names:
            raise UserError(
                f"label '{name}' is not in {self.name}: {nearest(name, self.names)}"
            )
        return self.names.index(name)


def _mirrored(name: str) -> str:
    side, dash, part = name.partition("-")
    return f"{_OTHER_SIDE[side]}{dash}{part}" if side in _OTHER_SIDE else name


CIHP = Taxonomy(
    name="CIHP",
    names=(
        "background",
        "hat",
        "hair",
        "glove",
        "sunglasses",
        "upper-clothes",
        "dress",
        "coat",
        "socks",
        "pants",
        "torso-skin",
        "scarf",
        "skirt",
        "face",
        "left-arm",
        "right-arm",
        "left-leg",
        "right-leg",
        "left-shoe",
        "right-shoe",
    ),
    # The colours of Graphonomy's colour-coded output.
    palette=np.array(
        [
            (0, 0, 0),
            (128, 0, 0),
            (255, 0, 0),
            (0, 85, 0),
            (170, 0, 51),
            (255, 85, 0),
            (0, 0, 85),
            (0, 119, 221),
            (85, 85, 0),
            (0, 85, 85),
            (85, 51, 0),
            (52, 86, 128),
            (0, 128, 0),
            (0, 0, 255),
            (51, 170, 221),
            (0, 255, 255),
            (85, 255, 170),
            (170, 255, 85),
            (255, 255, 0),
            (255, 170, 0),
        ],
        np.uint8,
    ),
)

NUM_LABELS = len(CIHP.names)


def lookup_by_name(
    names: Sequence[str],
    renamed: Mapping[str, str] | None = None,
    target: Taxonomy = CIHP,
) -> Int[np.ndarray, "K"]:
    """The table from another parser's label numbers to those of `target`, by name.

    Args:
      names: the other parser's label names, in its order.
      renamed: what a name that `target` lacks stands for, such as LIP's
        `{"jumpsuits": "upper-clothes"}`.
      target: the taxonomy to map to.

    Returns:
      The table t, so that `t[labels]` are labels of `target`.

    Raises:
      UserError: a name that neither `target` nor `renamed` knows.
    """
    known = renamed or {}
    return np.array([target.index(known.get(name, name)) for name in names])
