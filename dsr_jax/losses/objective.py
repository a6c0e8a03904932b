"""The training objective: which terms, on which examples, with which weights.

A term has a value for every example and says which of them it is valid for. Its mean is
over the valid examples of the whole batch, whichever device holds them.
"""

import dataclasses
from collections.abc import Mapping
from typing import NamedTuple

import jax.numpy as jnp

from dsr_jax.arrays import Array, ArrayLike, Float, Integer
from dsr_jax.data import Batch
from dsr_jax.errors import nearest
from dsr_jax.losses.dsr_c import (
    MODES,
    PROBABILITY_FLOOR,
    calibrated_nll_loss,
    clothing_nll_loss,
    clothing_validity,
    inside_nll_loss,
    sample_class_weights,
    tolerant_classes,
)
from dsr_jax.losses.dsr_mc import METRICS, minimal_clothing_loss
from dsr_jax.losses.keypoint import (
    joint_3d_loss,
    joint_3d_validity,
    keypoint_2d_loss,
    keypoint_weights,
)
from dsr_jax.losses.parameter import betas_loss, camera_loss, pose_loss
from dsr_jax.losses.silhouette import (
    SILHOUETTE_METRICS,
    person_mask,
    person_validity,
    silhouette_loss,
)
from dsr_jax.numerics import masked_sum, safe_divide
from dsr_jax.regressor import Prediction
from dsr_jax.semantics import (
    GROUPINGS,
    VOID,
    group_labels,
    minimal_clothing_mask,
    minimal_clothing_validity,
)

_STANDARD = ("keypoints_2d", "joints_3d", "pose", "betas", "camera")
_DSR = ("dsr_mc", "dsr_c", "dsr_fb")
# In the order in which they are computed.
TERMS = (*_STANDARD, *_DSR)


@dataclasses.dataclass(frozen=True)
class ObjectiveSettings:
    """loss = total · Σ (a term's weight · its mean over the valid examples)."""

    total: float = 60.0
    keypoints_2d: float = 5.0
    joints_3d: float = 5.0
    pose: float = 1.0
    betas: float = 0.001
    camera: float = 1.0
    dsr_mc: float = 0.1
    dsr_c: float = 0.1
    dsr_fb: float = 0.0
    """The full-body silhouette, the paper's baseline without clothing."""
    openpose_weight: float = 0.0
    """Of the first 25 of the 49 keypoints, inside `keypoints_2d`."""
    annotated_weight: float = 1.0
    """Of the last 24 of the 49 keypoints, inside `keypoints_2d`."""
    dsr_mc_metric: str = "soft_iou"
    """ "soft_iou" or "soft_distance"."""
    dsr_c_mode: str = "softmax"
    """ "softmax" (the paper), "calibrated" or "inside"."""
    inside_plausible: float = 1.0
    """Of the mode "inside": the probability from which on a label costs nothing."""
    inside_tolerance: int = 0
    """Of the mode "inside": pixels around the person in which the body may be for
    nothing. A soft edge that lies on the person's outline covers a bit of the other
    side, and would be pushed inwards."""
    dsr_fb_metric: str = "soft_iou"
    """ "soft_iou", "soft_distance" or "cross_entropy"."""
    class_weighting: bool = True
    """Whether DSR-C weighs each example's classes by `sample_class_weights`."""
    dsr_start_step: int = 10_000
    """The DSR terms count from this training step on."""
    grouping: str = "clothing_4"
    """The classes of DSR-C: one of `dsr_jax.semantics.GROUPINGS`."""

    def __post_init__(self):
        for key, known in (
            ("dsr_mc_metric", METRICS),
            ("dsr_c_mode", MODES),
            ("dsr_fb_metric", SILHOUETTE_METRICS),
            ("grouping", GROUPINGS),
        ):
            value = getattr(self, key)
            if value not in known:
                raise ValueError(f"{key} '{value}' is unknown: {nearest(value, known)}")
        for key in ("total", *TERMS, "openpose_weight", "annotated_weight"):
            if not getattr(self, key) >= 0:
                raise ValueError(f"{key} is {getattr(self, key)}: use 0 or more")
        if self.inside_tolerance < 0:
            raise ValueError(
                f"inside_tolerance is {self.inside_tolerance}: use 0 or more pixels"
            )
        if not PROBABILITY_FLOOR < self.inside_plausible <= 1:
            raise ValueError(
                f"inside_plausible is {self.inside_plausible}: use a probability above "
                f"{PROBABILITY_FLOOR}, 1 at most"
            )


class Term(NamedTuple):
    """One loss term, example by example."""

    values: Float[Array, "B"]
    where: Float[Array, "B"]
    """1 where the example is annotated for this term, else 0."""


def standard_terms(
    prediction: Prediction,
    keypoints_ndc: Float[Array, "B 49 2"],
    joints_cam: Float[Array, "B 24 3"],
    batch: Batch,
    settings: ObjectiveSettings,
) -> dict[str, Term]:
    """The terms of SPIN and EFT (DSR eq. 1).

    Args:
      prediction: pose, betas and camera.
      keypoints_ndc: the predicted body's 49 keypoints, projected.
      joints_cam: the predicted body's joints "gt24", camera axes, metres.
      batch: the annotations.
      settings: how the two sets of 2D keypoints weigh.
    """
    sets = settings.openpose_weight, settings.annotated_weight
    where = _standard_validity(batch, settings)
    target = jnp.asarray(batch.keypoints_ndc)
    joints = _annotated(batch.joints, where["joints_3d"])
    pose = _annotated(batch.pose, where["pose"])
    betas = _annotated(batch.betas, where["betas"])
    values = {
        "keypoints_2d": keypoint_2d_loss(keypoints_ndc, target, *sets),
        "joints_3d": joint_3d_loss(joints_cam, joints),
        "pose": pose_loss(prediction.pose, pose),
        "betas": betas_loss(prediction.betas, betas),
        "camera": camera_loss(prediction.camera),
    }
    return {name: _term(value, where[name]) for name, value in values.items()}


def dsr_terms(
    attributes: Float[Array, "B H W K"],
    alpha: Float[Array, "B H W"],
    labels: Integer[Array, "B H W"],
    has_labels: Float[Array, "B"],
    settings: ObjectiveSettings,
) -> dict[str, Term]:
    """DSR-MC, DSR-C and DSR-FB from one render of the semantic textures.

    Args:
      attributes: the render, K = 1 + C channels: the first for DSR-MC, the rest for
        DSR-C.
      alpha: its coverage.
      labels: the image's CIHP labels.
      has_labels: 1 where `labels` is an annotation, else 0.
      settings: metric, mode, classes and their weighting.

    Returns:
      DSR-MC is valid where a minimal-clothing label counts, DSR-C where a class other
      than the background does, DSR-FB where the person does. A term of weight 0 is not
      computed, and valid for no example.
    """
    compare = {
        "dsr_mc": _minimal_values,
        "dsr_c": _clothing_values,
        "dsr_fb": _body_values,
    }
    off = inactive_dsr_terms(has_labels.astype(attributes.dtype))
    where = _dsr_validity(labels, has_labels, settings)
    return {
        name: _term(values(attributes, alpha, labels, settings), where[name])
        if getattr(settings, name) > 0
        else off[name]
        for name, values in compare.items()
    }


def term_validity(
    batch: Batch, settings: ObjectiveSettings
) -> dict[str, Float[Array, "B"]]:
    """`Term.where` of every term, which the annotations alone decide.

    Args:
      batch: the annotations.
      settings: weights and classes; a DSR term of weight 0 is valid for no example.
    """
    labels, has_labels = jnp.asarray(batch.labels), jnp.asarray(batch.has_labels)
    where = _standard_validity(batch, settings)
    where |= _dsr_validity(labels, has_labels, settings)
    return {name: value.astype(has_labels.dtype) for name, value in where.items()}


def _standard_validity(batch: Batch, settings: ObjectiveSettings) -> dict[str, Array]:
    sets = settings.openpose_weight, settings.annotated_weight
    weights = keypoint_weights(jnp.asarray(batch.keypoints_ndc), *sets)
    has_body = jnp.asarray(batch.has_body)
    return {
        "keypoints_2d": jnp.any(weights > 0, -1),
        "joints_3d": joint_3d_validity(jnp.asarray(batch.joints)),
        "pose": has_body,
        "betas": has_body,
        "camera": jnp.ones_like(has_body),
    }


def _dsr_validity(
    labels: Array, has_labels: Array, settings: ObjectiveSettings
) -> dict[str, Array]:
    grouping = GROUPINGS[settings.grouping]
    classes = group_labels(labels, grouping)
    counts = {
        "dsr_mc": jnp.any(minimal_clothing_validity(labels), -1),
        "dsr_c": clothing_validity(classes, len(grouping.names)),
        "dsr_fb": person_validity(labels),
    }
    return {
        name: has_labels * (valid if getattr(settings, name) > 0 else 0)
        for name, valid in counts.items()
    }


def _minimal_values(
    attributes: Array, alpha: Array, labels: Array, settings: ObjectiveSettings
) -> Array:
    del alpha
    counting = minimal_clothing_validity(labels)
    mask = minimal_clothing_mask(labels, counting).astype(attributes.dtype)
    # Where nobody knows the label, the body may be bare or not.
    rendered = jnp.where(labels == VOID, 0, attributes[..., 0])
    return minimal_clothing_loss(rendered, mask, settings.dsr_mc_metric)


def _clothing_values(
    attributes: Array, alpha: Array, labels: Array, settings: ObjectiveSettings
) -> Array:
    grouping = GROUPINGS[settings.grouping]
    classes = group_labels(labels, grouping)
    weights = None
    if settings.class_weighting:
        weights = sample_class_weights(classes, len(grouping.names))
        weights = weights.astype(attributes.dtype)
    rendered = attributes[..., 1:]
    if settings.dsr_c_mode == "softmax":
        return clothing_nll_loss(rendered, classes, weights)
    if settings.dsr_c_mode == "calibrated":
        return calibrated_nll_loss(rendered, alpha, classes, weights)
    return inside_nll_loss(
        rendered,
        alpha,
        tolerant_classes(classes, settings.inside_tolerance),
        weights,
        settings.inside_plausible,
    )


def _body_values(
    attributes: Array, alpha: Array, labels: Array, settings: ObjectiveSettings
) -> Array:
    del attributes
    mask = person_mask(labels).astype(alpha.dtype)
    return silhouette_loss(alpha, mask, settings.dsr_fb_metric)


def inactive_dsr_terms(like: Float[Array, "B ..."]) -> dict[str, Term]:
    """What `dsr_terms` returns while the DSR terms are off: valid for no example."""
    nothing = jnp.zeros(like.shape[0], like.dtype)
    return {name: Term(nothing, nothing) for name in _DSR}


def weighted_sum(
    terms: dict[str, Term],
    settings: ObjectiveSettings,
    counts: Mapping[str, Float[Array, ""]] | None = None,
) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
    """The objective, and the metrics: every term's mean before weighting.

    A term without a valid example is 0 and has no gradient.

    Args:
      terms: of some examples.
      settings: weights.
      counts: Σ where of each term over the whole batch, if `terms` are of a part of it;
        the results of the parts then add up to those of the batch.
    """
    if counts is None:
        counts = {name: jnp.sum(term.where) for name, term in terms.items()}
    metrics = {
        name: safe_divide(masked_sum(*term), counts[name])
        for name, term in terms.items()
    }
    weighted = [getattr(settings, name) * mean for name, mean in metrics.items()]
    loss = settings.total * jnp.sum(jnp.stack(weighted))
    return loss, {**metrics, "loss": loss}


def _annotated(values: ArrayLike, where: Array) -> Array:
    """0 where nothing is annotated: what stands there may be no number."""
    array = jnp.asarray(values)
    known = jnp.reshape(where > 0, (-1,) + (1,) * (array.ndim - 1))
    return jnp.where(known, array, 0)


def _term(values: Array, where: Array) -> Term:
    return Term(values, where.astype(values.dtype))
