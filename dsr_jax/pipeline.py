"""The story of the project, from an image to the losses that train its regressor.

    image → regressor → body parameters and weak camera → posed mesh → screen-space
    vertices → one semantic raster (alpha + C channels) → losses

Every stage runs under its name, so that a profile shows the same words.
"""

import dataclasses
import functools
import typing
from collections.abc import Callable

import jax
import jax.numpy as jnp

from dsr_jax.arrays import Array, Bool, Float, Integer, UInt8
from dsr_jax.body import BodyMesh, BodyModel, BodyParams, body_joints, pose_body
from dsr_jax.camera import project_weak_to_ndc
from dsr_jax.data import Batch
from dsr_jax.errors import nearest
from dsr_jax.losses import (
    ObjectiveSettings,
    Term,
    dsr_terms,
    inactive_dsr_terms,
    standard_terms,
    weighted_sum,
)
from dsr_jax.rasterizer import Raster, RasterSettings, rasterize, visible_faces
from dsr_jax.regressor import Prediction, normalize_image
from dsr_jax.semantics import (
    SemanticPrior,
    grouping_by_name,
    image_posterior,
    minimal_clothing_validity,
    semantic_textures,
    visible_vertices,
)

TEXTURES = ("prior", "posterior")

# Pixels at least across the image in which `visible_only` looks for what is seen: in a
# crop of 64 px, most faces of a body's front cover no pixel centre.
_VISIBILITY_SIDE = 448


@typing.no_type_check  # JAX rebuilds it with leaves that are not arrays.
@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Scene:
    """What is the same for every person: the body and what its surface shows."""

    body: BodyModel
    prior: SemanticPrior
    """How likely each place of the body is to show each clothing label."""


@dataclasses.dataclass(frozen=True)
class PipelineSettings:
    """How the person is drawn and compared."""

    objective: ObjectiveSettings
    raster: RasterSettings
    visible_only: bool
    """Paint only vertices that the camera sees, as the DSR paper says; its released
    code paints all, and lets gamma blend hidden layers."""
    texture: str = "prior"
    """One of `TEXTURES`: what people wear in general, or what this one does, see
    `image_posterior`."""

    def __post_init__(self):
        if self.texture not in TEXTURES:
            known = nearest(self.texture, TEXTURES)
            raise ValueError(f"texture '{self.texture}' is unknown: {known}")


@typing.no_type_check  # JAX rebuilds it with leaves that are not arrays.
@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Screen:
    """B predicted people in space and in the crop."""

    mesh: BodyMesh
    """Camera axes, not yet translated, metres."""
    vertices_ndc: Float[Array, "B V 3"]
    """x right, y up, and camera depth in metres."""
    keypoints_ndc: Float[Array, "B 49 2"]
    """x right, y up."""
    joints_cam: Float[Array, "B 24 3"]
    """The joints "gt24", camera axes, metres."""


def predict(
    regressor: Callable[..., Prediction],
    image: UInt8[Array, "B H W 3"],
    rows: Integer[Array, "B"] | None = None,
) -> Prediction:
    """Image → body parameters and weak camera.

    Args:
      regressor: takes normalised images, and `rows` if they are given.
      image: RGB.
      rows: places of the examples in the whole batch, see `ExampleDropout`; by default
        these are all of it.
    """
    with jax.named_scope("regressor"):
        given = () if rows is None else (rows,)
        return regressor(normalize_image(image), *given)


def project(body: BodyModel, prediction: Prediction) -> Screen:
    """Body parameters and weak camera → posed mesh → screen-space vertices."""
    with jax.named_scope("body"):
        params = BodyParams(pose=prediction.pose, betas=prediction.betas)
        mesh = pose_body(body, params)
    with jax.named_scope("joints"):
        keypoints_cam = body_joints(body, mesh, "joints49")
        joints_cam = body_joints(body, mesh, "gt24")
    with jax.named_scope("camera"):
        vertices_ndc = project_weak_to_ndc(mesh.vertices, prediction.camera)
        keypoints_ndc = project_weak_to_ndc(keypoints_cam, prediction.camera)
    return Screen(mesh, vertices_ndc, keypoints_ndc[..., :2], joints_cam)


def render_semantics(
    scene: Scene,
    vertices_ndc: Float[Array, "B V 3"],
    valid: Bool[Array, "B 5"],
    settings: PipelineSettings,
    labels: Integer[Array, "B H W"] | None = None,
) -> Raster:
    """Screen-space vertices → one raster: channel 0 for DSR-MC, the others for DSR-C.

    Args:
      scene: the body's faces and what they show.
      vertices_ndc: x right, y up, camera depth.
      valid: which of the five minimal-clothing labels channel 0 unites, per example.
      settings: how to draw.
      labels: of the image; needed by the texture "posterior".
    """
    grouping = grouping_by_name(settings.objective.grouping)
    posterior = None
    if settings.texture == "posterior":
        if labels is None:
            raise ValueError("the texture 'posterior' needs the labels of the image")
        posterior = image_posterior(scene.prior, vertices_ndc, scene.body.faces, labels)
    textures = semantic_textures(scene.prior, valid, grouping, posterior)
    if settings.visible_only:
        textures = textures * _visibility(scene, vertices_ndc, settings)[..., None]
    per_vertex = scene.prior.per == "vertex"
    with jax.named_scope("rasterizer"):
        return rasterize(
            vertices_ndc,
            scene.body.faces,
            settings.raster,
            vertex_attributes=textures if per_vertex else None,
            face_attributes=None if per_vertex else textures,
        )


def compare_semantics(
    scene: Scene,
    vertices_ndc: Float[Array, "B V 3"],
    batch: Batch,
    settings: PipelineSettings,
) -> dict[str, Term]:
    """Screen-space vertices → semantic raster → the DSR terms, example by example."""
    labels = jnp.asarray(batch.labels)
    valid = minimal_clothing_validity(labels)
    raster = render_semantics(scene, vertices_ndc, valid, settings, labels)
    with jax.named_scope("dsr_terms"):
        return dsr_terms(
            raster.attributes,
            raster.alpha,
            labels,
            jnp.asarray(batch.has_labels),
            settings.objective,
        )


def objective(
    scene: Scene,
    prediction: Prediction,
    batch: Batch,
    use_dsr: bool | Bool[Array, ""],
    settings: PipelineSettings,
) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
    """Body parameters and weak camera → the loss and every term before weighting.

    Args:
      scene: body and prior.
      prediction: what the regressor says about the batch.
      batch: images and annotations.
      use_dsr: whether the semantic raster is drawn and compared at all; may be traced,
        so that one compiled step serves the time before and after the DSR terms start.
      settings: drawing and objective.

    Returns:
      The loss, and the mean of each term before weighting, beside `valid/<term>`: the
      fraction of the batch that the mean is over.
    """
    terms = objective_terms(scene, prediction, batch, use_dsr, settings)
    with jax.named_scope("objective"):
        loss, means = weighted_sum(terms, settings.objective)
        valid = {f"valid/{name}": jnp.mean(term.where) for name, term in terms.items()}
    return loss, means | valid


def objective_terms(
    scene: Scene,
    prediction: Prediction,
    batch: Batch,
    use_dsr: bool | Bool[Array, ""],
    settings: PipelineSettings,
) -> dict[str, Term]:
    """Every loss term, example by example; arguments as `objective`."""
    screen = project(scene.body, prediction)
    with jax.named_scope("standard_terms"):
        terms = standard_terms(
            prediction,
            screen.keypoints_ndc,
            screen.joints_cam,
            batch,
            settings.objective,
        )
    compare = functools.partial(compare_semantics, settings=settings)
    with jax.named_scope("semantics"):
        terms |= jax.lax.cond(
            use_dsr,
            compare,
            lambda _, vertices_ndc, __: inactive_dsr_terms(vertices_ndc),
            *(scene, screen.vertices_ndc, batch),
        )
    return terms


def _visibility(
    scene: Scene, vertices_ndc: Float[Array, "B V 3"], settings: PipelineSettings
) -> Float[Array, "B N"]:
    """1 for each vertex (or face, where the prior is per face) that is seen, else 0."""
    still = jax.lax.stop_gradient(vertices_ndc)
    faces, count = scene.body.faces, vertices_ndc.shape[-2]
    height, width = settings.raster.image_size
    fine = -(-_VISIBILITY_SIDE // min(height, width))
    hit = visible_faces(still, faces, (fine * height, fine * width))
    if scene.prior.per == "face":
        # Every face stands for its own corners.
        count = faces.shape[0]
        faces = jnp.broadcast_to(jnp.arange(count)[:, None], faces.shape)
    return visible_vertices(hit.face, faces, count).astype(vertices_ndc.dtype)
