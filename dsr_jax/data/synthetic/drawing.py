"""From dressed people to photographs and label maps."""

import jax
import jax.numpy as jnp

from dsr_jax.arrays import Array, Bool, Float, UInt8
from dsr_jax.body import BodyModel
from dsr_jax.camera import project_weak_to_ndc
from dsr_jax.data.synthetic.bystanders import Drawn, add_bystanders
from dsr_jax.data.synthetic.hanging import tube_faces
from dsr_jax.data.synthetic.people import Dressed, Person
from dsr_jax.data.synthetic.picture import compose, draw_person, interpolate
from dsr_jax.data.synthetic.settings import SyntheticSettings
from dsr_jax.data.synthetic.surface import Surface
from dsr_jax.data.synthetic.views import View
from dsr_jax.rasterizer import visible_faces


def draw(
    people: Person,
    views: View,
    dressed: Dressed,
    camera: Float[Array, "B 3"],
    model: BodyModel,
    surface: Surface,
    settings: SyntheticSettings,
    backgrounds: UInt8[Array, "P h w 3"] | None,
) -> tuple[UInt8[Array, "B S S 3"], UInt8[Array, "B S S"], Bool[Array, "B D D"] | None]:
    """Image and label map of each person, and which samples show what hides them.

    The latter leaves the view's occluder out; None if nothing else hides anybody.
    """
    body_faces = model.faces.shape[0]
    faces = jnp.concatenate([model.faces, tube_faces(model.template.shape[0])])
    samples = settings.image_size * settings.supersampling
    hit = visible_faces(
        project_weak_to_ndc(dressed.vertices, camera), faces, (samples, samples)
    )

    def paint(face, barycentric, points, normals, person, view):
        seen = interpolate(face, barycentric, faces, points, normals, body_faces)
        colour, labels = draw_person(
            seen, person.outfit, person.appearance, view.light, surface.landmarks
        )
        return Drawn(colour, labels, face >= 0)

    drawn = jax.vmap(paint)(
        hit.face, hit.barycentric, dressed.points, dressed.normals, people, views
    )
    hidden = None
    if views.bystander is not None:
        drawn, hidden = add_bystanders(drawn, views.bystander)

    def finish(drawn: Drawn, view: View) -> tuple[Array, Array]:
        return compose(
            drawn.colour, drawn.labels, drawn.shows, view, settings, backgrounds
        )

    image, labels = jax.vmap(finish)(drawn, views)
    return image, labels, hidden
