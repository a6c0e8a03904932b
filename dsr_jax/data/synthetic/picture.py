"""From visible faces to a photograph and its label map."""

import dataclasses
import typing

import jax
import jax.numpy as jnp

from dsr_jax.arrays import Array, Float, Int, UInt8
from dsr_jax.data.synthetic.appearance import Appearance, paint
from dsr_jax.data.synthetic.backgrounds import draw_scene
from dsr_jax.data.synthetic.garments import (
    LAYER,
    layer_labels,
    margins,
    shoe_label,
    skin_label,
    visible_layer,
)
from dsr_jax.data.synthetic.holding import Held, object_colour
from dsr_jax.data.synthetic.lighting import Light, shade
from dsr_jax.data.synthetic.occluders import covered, draw_occluder
from dsr_jax.data.synthetic.outfits import Outfit
from dsr_jax.data.synthetic.photograph import average, expose, majority
from dsr_jax.data.synthetic.settings import SyntheticSettings
from dsr_jax.data.synthetic.surface import Landmarks, Points
from dsr_jax.data.synthetic.views import View

_BACKGROUND = 0


class Ends(typing.NamedTuple):
    """The number of the face behind the last of each piece; 0 of a piece left out."""

    body: int
    tube: int
    held: int = 0
    hair: int = 0


@typing.no_type_check
@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Seen:
    """What each sample of a picture meets."""

    points: Points
    normal: tuple[Array, Array, Array]
    """x, y and z in camera axes, of any length."""
    hangs: Array
    """Whether it is hanging cloth."""
    is_object: Array | None = None
    """Whether it is held in a hand."""
    is_hair: Array | None = None
    """Whether it is hair that hangs."""


def draw_person(
    seen: Seen,
    outfit: Outfit,
    appearance: Appearance,
    held: Held | None,
    light: Light,
    marks: Landmarks,
) -> tuple[Float[Array, "3 D D"], Int[Array, "D D"]]:
    """Colour and label of every sample that shows the person.

    Args:
      seen: what each sample meets.
      outfit: what is worn.
      appearance: its colours.
      held: what is in a hand, if anything can be.
      light: what falls on it.
      marks: of the body.
    """
    points, two_sided = seen.points, seen.hangs
    layer = visible_layer(margins(points, outfit, marks))
    layer = jnp.where(seen.hangs, _hanging_layer(outfit), layer)
    if seen.is_hair is not None:
        layer = jnp.where(seen.is_hair, LAYER["hair"], layer)
        two_sided |= seen.is_hair
    labels = layer_labels(outfit)[layer]
    labels = jnp.where(layer == LAYER["skin"], skin_label(points, marks), labels)
    labels = jnp.where(layer == LAYER["shoes"], shoe_label(points), labels)
    colour = paint(points, layer, appearance, marks)
    if held is not None and seen.is_object is not None:
        colour = jnp.where(seen.is_object[None], object_colour(held, points), colour)
        labels = jnp.where(seen.is_object, _BACKGROUND, labels)
        # Skin has no folds either.
        layer = jnp.where(seen.is_object, LAYER["skin"], layer)
    lit = shade(seen.normal, points, layer, two_sided, light, appearance.wrinkles)
    return colour * light.tint[:, None, None] * lit[None], labels


def _hanging_layer(outfit: Outfit) -> Int[Array, ""]:
    beneath = jnp.where(outfit.upper_is_dress > 0, LAYER["upper"], LAYER["lower"])
    return jnp.where(outfit.coat_hem < -0.5, LAYER["coat"], beneath)


def interpolate(
    face: Int[Array, "H W"],
    barycentric: Float[Array, "H W 3"],
    faces: Int[Array, "F 3"],
    points: Points,
    normals: Float[Array, "D 3"],
    ends: Ends,
) -> Seen:
    """What each sample meets, interpolated over its triangle.

    Samples that show nothing get what the first face is.
    """
    index = jnp.maximum(face, 0)
    corners = faces[index]
    columns = [points.x, points.y, points.z, points.arm, points.height]
    table = jnp.concatenate([jnp.stack(columns, -1), normals], axis=-1)
    mixed = jnp.sum(table[corners] * barycentric[..., None], axis=-2)
    values = [mixed[..., i] for i in range(8)]
    hangs = index >= ends.body
    if ends.held or ends.hair:
        hangs &= index < ends.tube
    # Hair comes last, after what is held.
    is_object = (index >= ends.tube) & (index < ends.held) if ends.held else None
    is_hair = index >= (ends.held or ends.tube) if ends.hair else None
    return Seen(
        points=Points(*values[:5]),
        normal=(values[5], values[6], values[7]),
        hangs=hangs,
        is_object=is_object,
        is_hair=is_hair,
    )


def compose(
    colour: Float[Array, "3 D D"],
    labels: Int[Array, "D D"],
    shows_person: Array,
    view: View,
    settings: SyntheticSettings,
    images: UInt8[Array, "P h w 3"] | None,
) -> tuple[UInt8[Array, "S S 3"], UInt8[Array, "S S"]]:
    """The person before a background, behind an object, through a camera.

    Args:
      colour: of every sample; anything where it does not show the person.
      labels: likewise.
      shows_person: which samples do.
      view: of this photograph.
      settings: sizes.
      images: to cut backgrounds from, or None.
    """
    size, samples = settings.image_size, settings.supersampling
    share = average(shows_person.astype(jnp.float32), samples)[None]
    person = average(jnp.where(shows_person[None], colour, 0), samples)
    picture = person + (1 - share) * draw_scene(view.scene, size, images)
    hidden = covered(view.occluder, *_pixel_centres(size))
    picture = draw_occluder(view.occluder, picture, hidden)
    votes = majority(jnp.where(shows_person, labels, _BACKGROUND), samples)
    label = jnp.where(hidden, _BACKGROUND, votes)
    return expose(picture, view.exposure), label.astype(jnp.uint8)


def _pixel_centres(size: int) -> tuple[Array, Array]:
    """NDC x and y (up) of every pixel."""
    line = (2 * jnp.arange(size, dtype=jnp.float32) + 1 - size) / size
    x, y = jnp.meshgrid(line, -line, indexing="xy")
    return x, y
