"""From a person's description to dressed vertices in camera axes."""

import dataclasses
import typing

import jax
import jax.numpy as jnp

from dsr_jax.arrays import Array, Float, Key
from dsr_jax.body import BodyMesh, BodyModel, BodyParams, pose_body
from dsr_jax.data.synthetic.appearance import Appearance, sample_appearance
from dsr_jax.data.synthetic.cloth import cloth_offsets
from dsr_jax.data.synthetic.hair import Strands, hang_hair, sample_strands
from dsr_jax.data.synthetic.hanging import hang
from dsr_jax.data.synthetic.holding import Held, hold, sample_held
from dsr_jax.data.synthetic.outfits import Outfit, sample_outfit
from dsr_jax.data.synthetic.pieces import Piece
from dsr_jax.data.synthetic.poses import sample_pose
from dsr_jax.data.synthetic.sampling import Draws
from dsr_jax.data.synthetic.settings import SyntheticSettings
from dsr_jax.data.synthetic.skeleton import world_rotations
from dsr_jax.data.synthetic.surface import Points, Surface
from dsr_jax.numerics import geometry_einsum

# Loose cloth sinks by this fraction of its distance from the skin where it hangs free.
_SAG = 0.5
# Metres of cloth from which on the body's own relief no longer shows.
_HIDES_RELIEF = 0.012
# Folded into a key whose children by `split`, numbered from 0, are used for the rest.
_OBJECT_KEY, _HAIR_KEY = 1_000_004, 1_000_005


@typing.no_type_check
@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Person:
    """Who is seen, however they are photographed."""

    pose: Float[Array, "24 3 3"]
    """pose[0] in upright body axes."""
    betas: Float[Array, "10"]
    outfit: Outfit
    appearance: Appearance
    held: Held | None = None
    strands: Strands | None = None


@typing.no_type_check
@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Dressed:
    """A posed person: vertices of the body, hanging cloth, held object and hair."""

    mesh: BodyMesh
    """The naked body."""
    vertices: Float[Array, "*batch D 3"]
    """Metres, camera axes."""
    normals: Float[Array, "*batch D 3"]
    points: Points
    """Surface coordinates, (*batch, D) each."""


def sample_person(
    key: Key[Array, ""], rest_joints: Float[Array, "24 3"], settings: SyntheticSettings
) -> Person:
    """Draws a body shape, a pose, an outfit and its colours."""
    k = jax.random.split(key, 4)
    held = strands = None
    if settings.object_probability > 0:
        held = sample_held(Draws(jax.random.fold_in(key, _OBJECT_KEY), 12), settings)
    if settings.hair_sheet_probability > 0:
        own = Draws(jax.random.fold_in(key, _HAIR_KEY), 6)
        strands = sample_strands(own, settings)
    limit = settings.shape_limit
    betas = settings.shape_spread * jax.random.normal(k[0], (10,))
    return Person(
        pose=sample_pose(k[1], rest_joints, settings),
        betas=jnp.clip(betas, -limit, limit),
        outfit=sample_outfit(k[2], settings),
        appearance=sample_appearance(k[3], settings),
        held=held,
        strands=strands,
    )


def dress(
    model: BodyModel,
    surface: Surface,
    person: Person,
    pose: Float[Array, "B 24 3 3"],
) -> Dressed:
    """Poses and dresses a batch of people.

    Args:
      model: the body.
      surface: of that body.
      person: a batch; its own pose is not used.
      pose: with the global orientation to camera axes.
    """
    mesh = pose_body(model, BodyParams(pose=pose, betas=person.betas))
    rotations = world_rotations(pose)
    turns = geometry_einsum("vj,bjac->bvac", model.skinning_weights, rotations)
    offsets = jax.vmap(cloth_offsets, in_axes=(None, 0))(surface, person.outfit)
    distance = jnp.linalg.norm(offsets, axis=-1, keepdims=True)
    hidden = jnp.clip(distance / _HIDES_RELIEF, 0, 1)
    bare, cloth = surface.normals[None], surface.cloth_normals[None]
    rest_normals = bare + hidden * (cloth - bare)
    normals = geometry_einsum("bvac,bvc->bva", turns, rest_normals)
    pushed = geometry_einsum("bvac,bvc->bva", turns, offsets)
    # Camera y points down: cloth on the underside of a limb hangs away from it.
    sag = _SAG * distance[..., 0] * jnp.clip(normals[..., 1], 0, 1)
    clothed = mesh.vertices + pushed.at[..., 1].add(sag)
    tube = jax.vmap(hang, in_axes=(0, 0, None, 0))(
        clothed, rotations, surface, person.outfit
    )
    body = Piece(
        vertices=clothed,
        normals=normals,
        points=jax.tree.map(
            lambda own: jnp.broadcast_to(own[None], clothed.shape[:2]), surface.points
        ),
    )
    pieces = [body, tube, *_loose_pieces(model, surface, person, mesh, rotations)]
    whole = jax.tree.map(lambda *parts: jnp.concatenate(parts, axis=1), *pieces)
    return Dressed(mesh, whole.vertices, whole.normals, whole.points)


def _loose_pieces(
    model: BodyModel,
    surface: Surface,
    person: Person,
    mesh: BodyMesh,
    rotations: Float[Array, "B 24 3 3"],
) -> list[Piece]:
    """What people hold and the hair that hangs, as far as the settings know them."""
    pieces = []
    if person.held is not None:
        pieces.append(jax.vmap(hold)(person.held, mesh.joints, rotations))
    if person.strands is not None:
        rest = geometry_einsum("jv,vc->jc", model.joint_regressor, model.template)
        hair = jax.vmap(hang_hair, in_axes=(0, 0, None, None, 0, 0))
        pieces.append(
            hair(
                person.strands,
                person.outfit,
                surface.landmarks,
                rest,
                mesh.joints,
                rotations,
            )
        )
    return pieces
