"""The labels of human parsers, and how those of others become CIHP's: by name.

CIHP (Gong et al., "Instance-level Human Parsing via Part Grouping Network", ECCV 2018)
is the order in which Graphonomy's universal model numbers its output, and what all else
here works with. Left and right are the person's own.

A pixel of value `VOID` belongs to a person, but nobody knows as what: a handbag before
the body, or a label that has no counterpart. No loss compares its class.
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

# Above every label of every taxonomy; what many data sets write for "ignore".
VOID = 255
VOID_NAME = "void"


def voc_palette(count: int) -> UInt8[np.ndarray, "count 3"]:
    """The bit-reversed colours of PASCAL VOC, which SCHP writes its maps in."""
    bits = np.arange(count)[:, None] >> np.array([0, 1, 2])
    colours = np.zeros((count, 3), np.int64)
    for place in range(3):
        colours |= ((bits >> (3 * place)) & 1) << (7 - place)
    return colours.astype(np.uint8)


# Look into Person (Gong et al., CVPR 2017): CIHP's order but for label 10.
LIP = Taxonomy(
    name="LIP",
    names=tuple("jumpsuits" if n == "torso-skin" else n for n in CIHP.names),
    palette=CIHP.palette,
)

# Liang et al., "Deep Human Parsing with Active Template Regression", PAMI 2015; also
# what SCHP's "atr" model and the SegFormer "clothes" models put out.
ATR = Taxonomy(
    name="ATR",
    names=(
        *("background", "hat", "hair", "sunglasses", "upper-clothes", "skirt"),
        *("pants", "dress", "belt", "left-shoe", "right-shoe", "face"),
        *("left-leg", "right-leg", "left-arm", "right-arm", "bag", "scarf"),
    ),
    palette=voc_palette(18),
)

# Chen et al., "Detect What You Can", CVPR 2014, in the seven classes of Xia et al.
PASCAL = Taxonomy(
    name="Pascal",
    names=(
        *("background", "head", "torso", "upper-arms", "lower-arms"),
        *("upper-legs", "lower-legs"),
    ),
    palette=voc_palette(7),
)

TAXONOMIES = {t.name.lower(): t for t in (CIHP, LIP, ATR, PASCAL)}

# What stands for a name that the other taxonomy lacks; (from, to): {name: name}.
_STAND_INS: dict[tuple[str, str], dict[str, str]] = {
    # One piece of cloth over trunk and legs, as a dress is.
    ("LIP", "CIHP"): {"jumpsuits": "dress"},
    ("CIHP", "LIP"): {"torso-skin": VOID_NAME},
    # A belt lies on either of two garments; a bag may hide any part of the body.
    ("ATR", "CIHP"): {"belt": VOID_NAME, "bag": VOID_NAME},
    ("CIHP", "ATR"): {
        **{"glove": VOID_NAME, "socks": VOID_NAME, "torso-skin": VOID_NAME},
        "coat": "upper-clothes",
    },
    # Body parts say nothing of sleeves; hair is minimal clothing, and no label of
    # DSR-MC, whose face a whole head must not become.
    ("Pascal", "CIHP"): {
        **{"head": "hair", "torso": "upper-clothes"},
        **{
            f"{end}-{limb}": VOID_NAME
            for end in ("upper", "lower")
            for limb in ("arms", "legs")
        },
    },
    ("CIHP", "Pascal"): {
        **{name: "head" for name in ("hat", "hair", "sunglasses", "face")},
        **{name: "torso" for name in ("upper-clothes", "coat", "torso-skin", "scarf")},
        **{f"{side}-shoe": "lower-legs" for side in ("left", "right")},
        **{"socks": "lower-legs", "glove": "lower-arms"},
        **{name: VOID_NAME for name in ("dress", "pants", "skirt")},
        **{
            f"{side}-{limb}": VOID_NAME
            for side in ("left", "right")
            for limb in ("arm", "leg")
        },
    },
}


def taxonomy_by_name(name: str) -> Taxonomy:
    """One of `TAXONOMIES`, whatever the case of the letters.

    Raises:
      UserError: there is none of that name.
    """
    if name.lower() not in TAXONOMIES:
        raise UserError(
            f"taxonomy '{name}' is unknown: {nearest(name.lower(), TAXONOMIES)}"
        )
    return TAXONOMIES[name.lower()]


def label_lookup(source: Taxonomy, target: Taxonomy = CIHP) -> UInt8[np.ndarray, "256"]:
    """The table t that makes labels of `target` of those of `source`: `t[labels]`.

    Labels of the same name become each other; for the rest there are documented
    stand-ins, and `VOID` where no label fits. `VOID` stays `VOID`, and so does whatever
    `source` does not have.

    Raises:
      UserError: the two taxonomies have names with neither.
    """
    stand_ins = _STAND_INS.get((source.name, target.name), {})
    table = np.full(256, VOID, np.uint8)
    for number, name in enumerate(source.names):
        name = name if name in target.names else stand_ins.get(name, name)
        if name != VOID_NAME:
            table[number] = target.index(name)
    return table


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
