"""Batches of synthetic clothed people, made on the fly.

key → person (shape, pose, outfit, colours) → dressed vertices → camera
    → visible faces → labels and light at every sample → image, labels, joints
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np

from dsr_jax.arrays import Array, Bool, Float, Key, UInt8
from dsr_jax.body import BodyModel, body_joints
from dsr_jax.camera import project_weak_to_ndc
from dsr_jax.data.batch import Batch
from dsr_jax.data.synthetic.bystanders import shown_at
from dsr_jax.data.synthetic.damage import damage, damages
from dsr_jax.data.synthetic.drawing import draw
from dsr_jax.data.synthetic.occluders import covered
from dsr_jax.data.synthetic.parser_noise import ParserNoise, corrupt_labels
from dsr_jax.data.synthetic.people import Dressed, Person, dress, sample_person
from dsr_jax.data.synthetic.sampling import numbered_keys
from dsr_jax.data.synthetic.settings import SyntheticSettings
from dsr_jax.data.synthetic.skeleton import product
from dsr_jax.data.synthetic.surface import Surface, survey
from dsr_jax.data.synthetic.views import View, aim, sample_view
from dsr_jax.errors import UserError, nearest
from dsr_jax.numerics import geometry_einsum

SPLITS = ("train", "validation", "test")

# Folded into a key whose children by `split`, numbered from 0, are used for the rest.
_NOISE_KEY, _DAMAGE_KEY = 1_000_001, 1_000_002

Backgrounds = UInt8[Array, "P h w 3"]


def split_key(seed: int, split: str, index: int | Array = 0) -> Key[Array, ""]:
    """The key of batch `index` of a split; no two splits share one.

    Raises:
      UserError: an unknown split, or a seed that does not fit into 64 bits.
    """
    if split not in SPLITS:
        raise UserError(f"split '{split}' is unknown: {nearest(split, SPLITS)}")
    if not -(2**63) <= seed < 2**63:
        raise UserError(f"seed {seed}: too large; give one of at most 64 bits")
    key = jax.random.fold_in(jax.random.key(seed), SPLITS.index(split))
    return jax.random.fold_in(key, index)


@functools.partial(jax.jit, static_argnames=("count", "settings"))
def synthetic_people(
    key: Key[Array, ""],
    count: int,
    model: BodyModel,
    settings: SyntheticSettings,
    backgrounds: Backgrounds | None = None,
    first: int | Array = 0,
) -> Batch:
    """Makes `count` people, each seen once.

    Args:
      key: the same key gives the same batch.
      count: how many.
      model: who they are; it needs the joint sets `joints49` and `gt24`.
      settings: how they look.
      backgrounds: images to cut backgrounds from, RGB; procedural ones without.
      first: number of the first one. Who has a number depends on nothing but the key,
        so that devices may share people out between them as they like.

    Returns:
      A batch whose body parameters, camera, joints and labels are exact, the labels as
      far as `settings.parser_noise` leaves them. A keypoint has confidence 0 outside
      the crop or behind an object or another person, 1 elsewhere, even if the person's
      own body hides it.
    """
    batch, _ = _views(key, count, 1, model, settings, backgrounds, first)
    return batch


@functools.partial(jax.jit, static_argnames=("count", "views", "settings"))
def synthetic_views(
    key: Key[Array, ""],
    count: int,
    views: int,
    model: BodyModel,
    settings: SyntheticSettings,
    backgrounds: Backgrounds | None = None,
) -> tuple[Batch, Float[Array, "N V 3"]]:
    """Makes `count` people, each seen from `views` directions in the same clothes.

    Returns:
      A batch of count · views, the views of a person next to each other, and the NDC
      vertices of the naked body in each.
    """
    return _views(key, count, views, model, settings, backgrounds)


def _views(
    key: Key[Array, ""],
    count: int,
    views: int,
    model: BodyModel,
    settings: SyntheticSettings,
    backgrounds: Backgrounds | None,
    first: int | Array = 0,
) -> tuple[Batch, Float[Array, "N V 3"]]:
    """Describes all people and views, then draws them, a chunk at a time."""
    surface = survey(model)
    rest_joints = geometry_einsum("jv,vc->jc", model.joint_regressor, model.template)
    people_key, views_key = jax.random.split(key)
    people = jax.vmap(sample_person, in_axes=(0, None, None))(
        numbered_keys(people_key, first, count), rest_joints, settings
    )
    people = jax.tree.map(lambda leaf: jnp.repeat(leaf, views, axis=0), people)
    seen = jax.vmap(sample_view, in_axes=(0, None))(
        numbered_keys(views_key, first * views, count * views), settings
    )

    def photograph(chunk: tuple[Person, View]) -> tuple[Batch, Array]:
        return _photograph(*chunk, model, surface, settings, backgrounds)

    batch, vertices = _in_chunks(photograph, (people, seen), settings.people_at_once)
    return _spoil(key, batch, settings, first * views), vertices


def _spoil(
    key: Key[Array, ""], batch: Batch, settings: SyntheticSettings, first: int | Array
) -> Batch:
    """Damages the photographs and errs in the labels, as far as is asked for."""
    if damages(settings):
        image = jnp.asarray(batch.image)
        damage_key = jax.random.fold_in(key, _DAMAGE_KEY)
        spoilt = damage(damage_key, image, settings, first)
        batch = dataclasses.replace(batch, image=spoilt)
    if settings.parser_noise > 0:
        noise = ParserNoise.scaled(settings.parser_noise)
        labels = jnp.asarray(batch.labels)
        noise_key = jax.random.fold_in(key, _NOISE_KEY)
        noisy = corrupt_labels(noise_key, labels, noise, first)
        batch = dataclasses.replace(batch, labels=noisy)
    return batch


def _in_chunks(function, inputs, size: int):
    """Applies a batched function to equal chunks of the leading axis, one by one.

    The last examples are done twice where the chunks do not come out even.
    """
    total = len(jax.tree.leaves(inputs)[0])
    if total == 1:
        return function(inputs)
    # A loop even if one chunk would do: what it is given is computed once, outside.
    # Without a loop the compiler fuses the sampling into the drawing of each pixel,
    # which doubles the time on CPUs.
    count = max(2, -(-total // size))
    index = np.minimum(np.arange(count * -(-total // count)), total - 1)
    chunks = jax.tree.map(
        lambda leaf: leaf[index].reshape(count, -1, *leaf.shape[1:]), inputs
    )
    done = jax.lax.map(function, chunks)
    return jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:])[:total], done)


def _photograph(
    people: Person,
    views: View,
    model: BodyModel,
    surface: Surface,
    settings: SyntheticSettings,
    backgrounds: Backgrounds | None,
) -> tuple[Batch, Float[Array, "B V 3"]]:
    """One view of each of a batch of people."""
    root = product(views.orientation, people.pose[:, 0])
    pose = people.pose.at[:, 0].set(root)
    with jax.named_scope("dress"):
        dressed = dress(model, surface, people, pose)
    joints = body_joints(model, dressed.mesh, "gt24")
    camera = jax.vmap(aim, in_axes=(0, 0, None))(views, joints, settings)
    with jax.named_scope("draw"):
        image, labels, hidden = draw(
            people, views, dressed, camera, model, surface, settings, backgrounds
        )
    batch = Batch(
        image=image,
        labels=labels,
        has_labels=jnp.ones(len(camera)),
        keypoints_ndc=_keypoints(model, dressed, camera, views, hidden),
        joints=jnp.concatenate([joints, jnp.ones_like(joints[..., :1])], axis=-1),
        pose=pose,
        betas=people.betas,
        has_body=jnp.ones(len(camera)),
        camera=camera,
    )
    return batch, project_weak_to_ndc(dressed.mesh.vertices, camera)


def _keypoints(
    model: BodyModel,
    dressed: Dressed,
    camera: Array,
    views: View,
    hidden: Bool[Array, "B D D"] | None,
) -> Float[Array, "B 49 3"]:
    """The 49 keypoints in NDC, with confidence 1 where a viewer can place them."""
    joints = body_joints(model, dressed.mesh, "joints49")
    x, y, _ = jnp.moveaxis(project_weak_to_ndc(joints, camera), -1, 0)
    is_covered = jax.vmap(covered)(views.occluder, x, y)
    if hidden is not None:
        is_covered |= shown_at(hidden, x, y)
    inside = jnp.maximum(jnp.abs(x), jnp.abs(y)) < 1
    return jnp.stack([x, y, (inside & ~is_covered).astype(x.dtype)], axis=-1)
