"""From visible faces to a photograph and its label map."""

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
from dsr_jax.data.synthetic.lighting import Light, shade
from dsr_jax.data.synthetic.occluders import covered, draw_occluder
from dsr_jax.data.synthetic.outfits import Outfit
from dsr_jax.data.synthetic.photograph import average, expose, majority
from dsr_jax.data.synthetic.settings import SyntheticSettings
from dsr_jax.data.synthetic.surface import Landmarks, Points
from dsr_jax.data.synthetic.views import View

_BACKGROUND = 0


def draw_person(
    seen: tuple[Points, tuple[Array, Array, Array], Array],
    outfit: Outfit,
    appearance: Appearance,
    light: Light,
    marks: Landmarks,
) -> tuple[Float[Array, "3 D D"], Int[Array, "D D"]]:
    """Colour and label of every sample that shows the person.

    Args:
      seen: surface coordinates, normal and "is hanging cloth", of each sample.
      outfit: what is worn.
      appearance: its colours.
      light: what falls on it.
      marks: of the body.
    """
    points, normal, hangs = seen
    layer = visible_layer(margins(points, outfit, marks))
    layer = jnp.where(hangs, _hanging_layer(outfit), layer)
    labels = layer_labels(outfit)[layer]
    labels = jnp.where(layer == LAYER["skin"], skin_label(points, marks), labels)
    labels = jnp.where(layer == LAYER["shoes"], shoe_label(points), labels)
    colour = paint(points, layer, appearance, marks)
    lit = shade(normal, points, layer, hangs, light, appearance.wrinkles)
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
    body_faces: int,
) -> tuple[Points, tuple[Array, Array, Array], Array]:
    """Surface coordinates and normal where each sample meets the surface.

    Samples that show nothing get those of the first face.
    """
    index = jnp.maximum(face, 0)
    corners = faces[index]
    columns = [points.x, points.y, points.z, points.arm, points.height]
    table = jnp.concatenate([jnp.stack(columns, -1), normals], axis=-1)
    mixed = jnp.sum(table[corners] * barycentric[..., None], axis=-2)
    values = [mixed[..., i] for i in range(8)]
    return (
        Points(*values[:5]),
        (values[5], values[6], values[7]),
        index >= body_faces,
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
