"""Joints in the image and in space, as SPIN and EFT supervise them.

Means are over all entries, those of confidence 0 included: the published weights
(5 and 5) belong to that mean, so that an example with few joints pulls less.
"""

import jax
import jax.numpy as jnp

from dsr_jax.arrays import Array, Bool, Float

# The 49 keypoints: 25 of OpenPose's, then 24 of annotators' ("gt24").
NUM_OPENPOSE = 25
# Their right and left hip among the 24 (the order of LSP).
_RIGHT_HIP, _LEFT_HIP = 2, 3


@jax.named_scope("keypoint_2d_loss")
def keypoint_2d_loss(
    keypoints_ndc: Float[Array, "B 49 2"],
    target: Float[Array, "B 49 3"],
    openpose_weight: float = 0.0,
    annotated_weight: float = 1.0,
) -> Float[Array, "B"]:
    """Σ weight·confidence·(difference)² / (49·2), in NDC².

    Args:
      keypoints_ndc: predicted, x right, y up, the crop spans [-1, 1].
      target: the same with a confidence.
      openpose_weight: of the first 25.
      annotated_weight: of the last 24.
    """
    weights = keypoint_weights(target, openpose_weight, annotated_weight)
    # A keypoint that is absent may be anywhere: it is replaced, not multiplied away.
    difference = jnp.where(weights[..., None] > 0, keypoints_ndc - target[..., :2], 0)
    return jnp.mean(weights[..., None] * jnp.square(difference), (-2, -1))


def keypoint_weights(
    target: Float[Array, "B 49 3"], openpose_weight: float, annotated_weight: float
) -> Float[Array, "B 49"]:
    """Confidence times the weight of the set that a keypoint belongs to."""
    confidence = target[..., 2]
    is_openpose = (jnp.arange(confidence.shape[-1]) < NUM_OPENPOSE)[None]
    return confidence * jnp.where(is_openpose, openpose_weight, annotated_weight)


@jax.named_scope("joint_3d_loss")
def joint_3d_loss(
    joints_cam: Float[Array, "B 24 3"], target: Float[Array, "B 24 4"]
) -> Float[Array, "B"]:
    """Σ confidence·(difference)² / (24·3), in m², hip midpoints put together.

    Args:
      joints_cam: predicted joints in the order "gt24", camera axes, metres.
      target: the same with a confidence; see `joint_3d_validity`.
    """
    confidence = target[..., 3:]
    difference = _centred(joints_cam) - _centred(target[..., :3])
    difference = jnp.where(confidence > 0, difference, 0)
    return jnp.mean(confidence * jnp.square(difference), (-2, -1))


def joint_3d_validity(target: Float[Array, "B 24 4"]) -> Bool[Array, "B"]:
    """Whether both hips are annotated: without them nothing can be centred."""
    return (target[:, _RIGHT_HIP, 3] > 0) & (target[:, _LEFT_HIP, 3] > 0)


def _centred(joints: Array) -> Array:
    middle = (joints[:, _RIGHT_HIP] + joints[:, _LEFT_HIP]) / 2
    return joints - middle[:, None]
