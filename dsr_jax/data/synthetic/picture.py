"""From visible faces to a photograph and its label map."""

import jax
import jax.numpy as jnp

from dsr_jax.arrays import Array, Float, Int, Key, UInt8
from dsr_jax.data.synthetic.appearance import Appearance, paint
from dsr_jax.data.synthetic.backgrounds import (
    BACKGROUND_DRAWS,
    Channels,
    image_background,
    procedural_background,
)
from dsr_jax.data.synthetic.garments import (
    LAYER,
    layer_labels,
    margins,
    shoe_label,
    skin_label,
    visible_layer,
)
from dsr_jax.data.synthetic.lighting import Light, shade
from dsr_jax.data.synthetic.outfits import Outfit
from dsr_jax.data.synthetic.sampling import Draws
from dsr_jax.data.synthetic.settings import SyntheticSettings
from dsr_jax.data.synthetic.surface import Landmarks, Points
from dsr_jax.data.synthetic.views import Occluder, covered

_BACKGROUND = 0


def draw_person(
    seen: tuple[Points, tuple[Array, Array, Array], Array],
    outfit: Outfit,
    appearance: Appearance,
    light: Light,
    marks: Landmarks,
) -> tuple[Channels, Int[Array, "H W"]]:
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
    red, green, blue = (c * lit * light.tint[i] for i, c in enumerate(colour))
    return (red, green, blue), labels


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
    mixed = sum(table[corners[..., k]] * barycentric[..., k, None] for k in range(3))
    values = [mixed[..., i] for i in range(8)]
    return (
        Points(*values[:5]),
        (values[5], values[6], values[7]),
        index >= body_faces,
    )


def compose(
    key: Key[Array, ""],
    colour: Channels,
    labels: Int[Array, "S S"],
    shows_person: Array,
    occluder: Occluder,
    settings: SyntheticSettings,
    images: UInt8[Array, "N h w 3"] | None,
) -> tuple[UInt8[Array, "H H 3"], UInt8[Array, "H H"]]:
    """The person before a background, behind an object, through a camera."""
    k = jax.random.split(key)
    draws = Draws(k[0], BACKGROUND_DRAWS + 8)
    size, samples = settings.image_size, settings.supersampling
    share = _average(shows_person.astype(jnp.float32), samples)
    behind = _background(draws, settings, images)
    hidden = covered(occluder, *_pixel_centres(size))
    stripes = jnp.sign(jnp.sin(jnp.arange(size) * (40.0 / size)))[:, None]
    channels = []
    for c in range(3):
        person = _average(jnp.where(shows_person, colour[c], 0), samples)
        picture = person + (1 - share) * behind[c]
        object_colour = occluder.colour[c] + occluder.stripe[c] * stripes
        channels.append(jnp.where(hidden, object_colour, picture))
    image = _photograph(draws, k[1], jnp.stack(channels, -1), settings)
    votes = jnp.where(shows_person, labels, _BACKGROUND)
    label = jnp.where(hidden, _BACKGROUND, _majority(votes, samples))
    return image, label.astype(jnp.uint8)


def _background(
    draws: Draws,
    settings: SyntheticSettings,
    images: UInt8[Array, "N h w 3"] | None,
) -> Channels:
    scene = procedural_background(draws, settings.image_size)
    if images is None:
        return scene
    use = draws.chance(settings.image_background_probability) > 0
    part = image_background(draws, images, settings.image_size)
    red, green, blue = (jnp.where(use, p, s) for p, s in zip(part, scene, strict=True))
    return red, green, blue


def _pixel_centres(size: int) -> tuple[Array, Array]:
    """NDC x and y (up) of every pixel."""
    line = (2 * jnp.arange(size, dtype=jnp.float32) + 1 - size) / size
    shape = (size, size)
    return jnp.broadcast_to(line[None, :], shape), jnp.broadcast_to(
        -line[:, None], shape
    )


def _average(samples_image: Float[Array, "S S"], samples: int) -> Float[Array, "H H"]:
    size = samples_image.shape[0] // samples
    return samples_image.reshape(size, samples, size, samples).mean(axis=(1, 3))


def _majority(labels: Int[Array, "S S"], samples: int) -> Int[Array, "H H"]:
    """The most frequent label of each pixel's samples; of equals, the first sample's."""
    size = labels.shape[0] // samples
    blocks = labels.reshape(size, samples, size, samples)
    each = [blocks[:, i, :, j] for i in range(samples) for j in range(samples)]
    best, most = each[0], jnp.zeros_like(each[0])
    for candidate in each:
        votes = sum((candidate == other).astype(jnp.int32) for other in each)
        best = jnp.where(votes > most, candidate, best)
        most = jnp.maximum(votes, most)
    return best


def _photograph(
    draws: Draws,
    noise_key: Key[Array, ""],
    image: Float[Array, "H H 3"],
    settings: SyntheticSettings,
) -> UInt8[Array, "H H 3"]:
    """Brightness, contrast, blur and noise of a camera; 8 bits a channel."""
    bright = draws.uniform(settings.brightness)
    contrast = draws.uniform(settings.contrast)
    image = bright * ((image - 0.5) * contrast + 0.5)
    weight = draws.uniform(settings.blur)
    for axis in (0, 1):
        # Fused with what it averages, the blur would compute each pixel nine times.
        image = jax.lax.optimization_barrier(image)
        near = jnp.roll(image, 1, axis) + jnp.roll(image, -1, axis)
        image = (image + 0.5 * weight * near) / (1 + weight)
    spread = draws.uniform(settings.noise)
    image = image + spread * jax.random.normal(noise_key, image.shape)
    return jnp.round(255 * jnp.clip(image, 0, 1)).astype(jnp.uint8)
