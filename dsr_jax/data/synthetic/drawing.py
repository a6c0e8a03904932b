"""From dressed people to photographs and label maps."""

import jax
import jax.numpy as jnp

from dsr_jax.arrays import Array, ArrayLike, Bool, Float, Int, UInt8
from dsr_jax.body import BodyModel
from dsr_jax.camera import project_weak_to_ndc
from dsr_jax.data.synthetic.bystanders import Drawn, add_bystanders
from dsr_jax.data.synthetic.hair import hair_faces
from dsr_jax.data.synthetic.hanging import TUBE_VERTICES, tube_faces
from dsr_jax.data.synthetic.holding import OBJECT_VERTICES, object_faces
from dsr_jax.data.synthetic.people import Dressed, Person
from dsr_jax.data.synthetic.picture import Ends, compose, draw_person, interpolate
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
    faces, ends = _faces(model, people)
    samples = settings.image_size * settings.supersampling
    hit = visible_faces(
        project_weak_to_ndc(dressed.vertices, camera), faces, (samples, samples)
    )

    def paint(face, barycentric, points, normals, person, view):
        seen = interpolate(face, barycentric, faces, points, normals, ends)
        colour, labels = draw_person(
            seen,
            person.outfit,
            person.appearance,
            person.held,
            view.light,
            surface.landmarks,
        )
        return Drawn(colour, labels, face >= 0)

    drawn = jax.vmap(paint)(
        hit.face, hit.barycentric, dressed.points, dressed.normals, people, views
    )
    hidden = None
    if ends.held:
        hidden = (hit.face >= ends.tube) & (hit.face < ends.held)
    if views.bystander is not None:
        drawn, behind = add_bystanders(drawn, views.bystander)
        hidden = behind if hidden is None else hidden | behind

    def finish(drawn: Drawn, view: View) -> tuple[Array, Array]:
        return compose(
            drawn.colour, drawn.labels, drawn.shows, view, settings, backgrounds
        )

    image, labels = jax.vmap(finish)(drawn, views)
    return image, labels, hidden


def _faces(model: BodyModel, people: Person) -> tuple[Int[Array, "F 3"], Ends]:
    """All triangles, in the order of the vertices of `Dressed`, and where each ends."""
    vertices = model.template.shape[0]
    pieces: list[ArrayLike] = [model.faces, tube_faces(vertices)]
    vertices += TUBE_VERTICES
    body, tube = model.faces.shape[0], _total(pieces)
    held = hair = 0
    if people.held is not None:
        pieces.append(object_faces(vertices))
        vertices += OBJECT_VERTICES
        held = _total(pieces)
    if people.strands is not None:
        pieces.append(hair_faces(vertices))
        hair = _total(pieces)
    return jnp.concatenate(pieces), Ends(body, tube, held, hair)


def _total(pieces: list[ArrayLike]) -> int:
    return sum(piece.shape[0] for piece in pieces)
