"""Other people in the frame: somebody else of the batch, moved and resized.

A parser without instances labels them as well: what they wear is in the label map.
"""

import dataclasses
import typing

import jax
import jax.numpy as jnp

from dsr_jax.arrays import Array, Bool, Float, Int
from dsr_jax.data.synthetic.sampling import Draws
from dsr_jax.data.synthetic.settings import SyntheticSettings

# How large they are beside the person, and how far to the side, in half-sides of the
# crop. In front they keep further away: half of the person should stay in view.
_SIZES = ((0.55, 1.0), (0.9, 1.35))
_SIDEWAYS = ((0.35, 1.0), (0.65, 1.2))
_UPWARDS = (-0.2, 0.2)


@typing.no_type_check
@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Bystander:
    """Where the other person is, if there is one."""

    is_there: Array
    is_in_front: Array
    size: Array
    """Factor on their size in their own crop."""
    shift: Float[Array, "2"]
    """From the middle of the crop, NDC, y up."""


@typing.no_type_check
@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Drawn:
    """Samples of a picture, and what they show."""

    colour: Float[Array, "*batch 3 D D"]
    labels: Int[Array, "*batch D D"]
    shows: Bool[Array, "*batch D D"]
    """Whether somebody is there."""


def sample_bystander(draws: Draws, settings: SyntheticSettings) -> Bystander:
    """Draws where the other person is. Takes 8 numbers."""
    there = draws.chance(settings.bystander_probability)
    front = draws.chance(settings.bystander_front_probability)
    sizes, sideways = (
        [draws.uniform(bounds) for bounds in both] for both in (_SIZES, _SIDEWAYS)
    )
    side = 2 * draws.chance(0.5) - 1
    across = side * jnp.where(front > 0, sideways[1], sideways[0])
    return Bystander(
        is_there=there,
        is_in_front=front,
        size=jnp.where(front > 0, sizes[1], sizes[0]),
        shift=jnp.stack([across, draws.uniform(_UPWARDS)]),
    )


def add_bystanders(
    drawn: Drawn, bystander: Bystander
) -> tuple[Drawn, Bool[Array, "B D D"]]:
    """Puts another person of the batch into each picture.

    Args:
      drawn: each of a batch of people; of a batch of one they are their own company.
      bystander: where, of each.

    Returns:
      The pictures with both people, and where the other hides the first.
    """
    count = len(drawn.labels)
    # Half a batch away: next to each other there may be two views of one person.
    step = max(1, count // 2)

    def one(index: Array) -> tuple[Drawn, Array]:
        own, where = jax.tree.map(lambda leaf: leaf[index], (drawn, bystander))
        other = jax.tree.map(lambda leaf: leaf[(index - step) % count], drawn)
        return _join(own, _place(other, where), where)

    # A loop, because what it is given is computed once, outside. Else the compiler
    # computes each sample's colour again wherever it is used: 2.3 times the time.
    return jax.lax.map(one, jnp.arange(count))


def _place(drawn: Drawn, bystander: Bystander) -> Drawn:
    """Moves and resizes a picture, nearest neighbour; nobody is beyond its border."""
    size = drawn.labels.shape[-1]
    line = (2 * jnp.arange(size, dtype=jnp.float32) + 1 - size) / size
    # Who is cut off by the crop's lower side must be so by the frame's.
    lowest = jnp.where(jnp.any(drawn.shows[-1]), bystander.size - 1, jnp.inf)
    shift = bystander.shift.at[1].min(lowest)
    sources = []
    # Rows run down.
    for axis, sign in ((1, -1), (0, 1)):
        ndc = (line - sign * shift[axis]) / bystander.size
        sources.append(jnp.round((ndc * size + size - 1) / 2).astype(jnp.int32))
    inside = [(s >= 0) & (s < size) for s in sources]
    rows, columns = (jnp.clip(s, 0, size - 1) for s in sources)

    def take(plane: Array) -> Array:
        return plane[..., rows, :][..., columns]

    there = inside[0][:, None] & inside[1][None, :] & (bystander.is_there > 0)
    moved: Drawn = jax.tree.map(take, drawn)
    return dataclasses.replace(moved, shows=moved.shows & there)


def _join(
    own: Drawn, other: Drawn, bystander: Bystander
) -> tuple[Drawn, Bool[Array, "D D"]]:
    in_front = bystander.is_in_front > 0
    takes = other.shows & (in_front | ~own.shows)
    joined = Drawn(
        colour=jnp.where(takes[None], other.colour, own.colour),
        labels=jnp.where(takes, other.labels, own.labels),
        shows=own.shows | other.shows,
    )
    return joined, other.shows & in_front


def shown_at(
    mask: Bool[Array, "B D D"], x: Float[Array, "B N"], y: Float[Array, "B N"]
) -> Bool[Array, "B N"]:
    """What a mask says at points in NDC, y up; outside, what the border says."""
    size = mask.shape[-1]
    column, row = (
        jnp.clip(jnp.floor((1 + v) * (size / 2)).astype(jnp.int32), 0, size - 1)
        for v in (x, -y)
    )
    return jax.vmap(lambda one, r, c: one[r, c])(mask, row, column)
