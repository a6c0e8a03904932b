r"""Draws a semantic prior on its body: a turntable, and a heat map of each label.

    python tools/show_prior.py --prior free --body free --output pictures

writes `turntable.png` (eight views of the most likely label, with a legend),
`turntable.gif`, and `00-background.png` to `19-right-shoe.png` (front and back, with
the scale). `--sheet FILE` writes one page of it all instead:

    python tools/show_prior.py --prior free --body free --size 200 \
        --sheet docs/prior.png
"""

from pathlib import Path

import numpy as np

from dsr_jax.body import load_body
from dsr_jax.data import make_folder, write_image
from dsr_jax.errors import UserError, one_line_errors
from dsr_jax.semantics import CIHP, NUM_LABELS, SemanticPrior, load_prior
from dsr_jax.training.command_line import OneLineParser
from dsr_jax.visualization import (
    PriorView,
    colour_bar,
    label_legend,
    likeliest_picture,
    panel,
    probability_picture,
    standing_vertices,
    view_prior,
    write_animation,
)

_VIEWS = 8
_FRAMES = 24
# Smaller, the scale of a heat map has no room; larger, a sheet does not fit in memory.
_SIZES = (40, 2048)
_FRAME_MILLISECONDS = 100
# The body is about 0.76 as wide as it is high, so that the sides are empty.
_SIDE_CUT = 0.11
_SHEET_LABELS = (
    *("hair", "face", "torso-skin", "upper-clothes", "coat"),
    *("pants", "skirt", "left-arm", "right-leg", "left-shoe"),
)
_SHEET_HEAT_SCALE = 0.7


def main() -> None:
    """Reads the command line and draws."""
    parser = OneLineParser(description=__doc__.splitlines()[0])
    parser.add_argument("--prior", default="free", help="free, free-lite or a file")
    parser.add_argument("--body", default="free", help="free, free-lite or a file")
    parser.add_argument("--size", type=int, default=320, help="pixels of the body")
    parser.add_argument("--output", type=Path, help="folder")
    parser.add_argument("--sheet", type=Path, help="one .png of all, instead")
    arguments = parser.parse_args()
    with one_line_errors():
        if (arguments.output is None) == (arguments.sheet is None):
            raise UserError("command line: give either --output or --sheet")
        if not _SIZES[0] <= arguments.size <= _SIZES[1]:
            raise UserError(
                f"--size is {arguments.size}: give {_SIZES[0]} to {_SIZES[1]}"
            )
        turntable = Turntable(arguments.prior, arguments.body, arguments.size)
        if arguments.sheet is not None:
            write_image(arguments.sheet, draw_sheet(turntable))
            print(f"wrote {arguments.sheet}")
        else:
            write_pictures(turntable, make_folder(arguments.output))
            print(f"wrote {NUM_LABELS} heat maps and a turntable to {arguments.output}")


class Turntable:
    """A prior on its body, seen from any side."""

    def __init__(self, prior: str, body: str, side: int):
        """Loads both.

        Raises:
          UserError: no such file, or a prior of another body.
        """
        model = load_body(body)
        self.prior: SemanticPrior = load_prior(prior)
        self._faces, self._side = np.asarray(model.faces), side
        self.prior.check_body(len(model.template), len(self._faces))
        self._vertices = standing_vertices(model)

    def at(self, turn: float, scale: float = 1.0) -> PriorView:
        """The view after `turn` of a full turn: 0 front, 0.25 left side, 0.5 back."""
        radians, side = 2 * np.pi * turn, round(scale * self._side)
        return view_prior(self.prior, self._vertices, self._faces, side, radians)

    def largest(self, label: int) -> float:
        """The largest probability of a label anywhere."""
        return float(np.asarray(self.prior.probabilities)[:, label].max())


def write_pictures(turntable: Turntable, folder: Path) -> None:
    """All files of the module's docstring."""
    write_image(folder / "turntable.png", _turntable_row(turntable))
    frames = [likeliest_picture(turntable.at(i / _FRAMES)) for i in range(_FRAMES)]
    write_animation(folder / "turntable.gif", frames, _FRAME_MILLISECONDS)
    front, back = turntable.at(0), turntable.at(0.5)
    for label, name in enumerate(CIHP.names):
        picture = _heat_map([front, back], label, turntable.largest(label))
        write_image(folder / f"{label:02d}-{name}.png", panel([picture], [name]))


def draw_sheet(turntable: Turntable) -> np.ndarray:
    """The turntable above heat maps of the labels that tell most."""
    top = _turntable_row(turntable)
    front, back = (turntable.at(turn, _SHEET_HEAT_SCALE) for turn in (0, 0.5))
    maps = []
    for name in _SHEET_LABELS:
        label = CIHP.index(name)
        maps.append(_heat_map([front, back], label, turntable.largest(label)))
    bottom = panel(maps, _SHEET_LABELS, columns=len(maps) // 2)
    width = max(top.shape[1], bottom.shape[1])
    return np.concatenate([_widened(top, width), _widened(bottom, width)])


def _turntable_row(turntable: Turntable) -> np.ndarray:
    pictures = [
        _cut(likeliest_picture(turntable.at(i / _VIEWS))) for i in range(_VIEWS)
    ]
    row = panel(pictures)
    return np.concatenate([row, label_legend(row.shape[1])])


def _heat_map(views: list[PriorView], label: int, largest: float) -> np.ndarray:
    pictures = [_cut(probability_picture(view, label, largest)) for view in views]
    return np.concatenate([*pictures, colour_bar(len(pictures[0]), largest)], axis=1)


def _cut(picture: np.ndarray) -> np.ndarray:
    margin = int(_SIDE_CUT * picture.shape[1])
    return picture[:, margin : picture.shape[1] - margin]


def _widened(picture: np.ndarray, width: int) -> np.ndarray:
    before = (width - picture.shape[1]) // 2
    after = width - picture.shape[1] - before
    return np.pad(picture, ((0, 0), (before, after), (0, 0)), constant_values=255)


if __name__ == "__main__":
    main()
