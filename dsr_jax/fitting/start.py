"""Where a fit begins without a regressor: the mean body, turned to the keypoints."""

import jax
import jax.numpy as jnp
import numpy as np

from dsr_jax.arrays import Array, Float
from dsr_jax.body import BodyModel, BodyParams, body_joints, pose_body
from dsr_jax.numerics import geometry_einsum, safe_divide
from dsr_jax.regressor import MeanParameters, Prediction
from dsr_jax.rotations import axis_angle_to_matrix, rotation_6d_to_matrix

# Turns about the vertical that are tried.
_TURNS = 12
_SCALES = (0.3, 3.0)


@jax.jit
def start_at_keypoints(
    body: BodyModel, mean: MeanParameters, keypoints_ndc: Float[Array, "B 49 3"]
) -> Prediction:
    """The mean body in the turn and with the camera that explain the keypoints best.

    For each of twelve turns about the body's vertical axis, the weak camera has a
    closed form (least squares, weighted by confidence); the turn with the smallest
    remainder wins. Nobody's keypoints: the mean camera.

    Args:
      body: with the joint set "joints49".
      mean: pose, shape and camera.
      keypoints_ndc: x right, y up, confidence.
    """
    count = keypoints_ndc.shape[0]
    pose = rotation_6d_to_matrix(mean.rotation_6d)
    angles = jnp.linspace(0, 2 * np.pi, _TURNS, endpoint=False, dtype=pose.dtype)
    upright = jnp.zeros((_TURNS, 3), pose.dtype).at[:, 1].set(angles)
    roots = geometry_einsum("ac,tcd->tad", pose[0], axis_angle_to_matrix(upright))
    poses = jnp.broadcast_to(pose, (_TURNS, *pose.shape)).at[:, 0].set(roots)
    betas = jnp.broadcast_to(mean.betas, (_TURNS, 10))
    mesh = pose_body(body, BodyParams(poses, betas))
    joints = body_joints(body, mesh, "joints49")[..., :2]
    fit = jax.vmap(jax.vmap(_camera, (0, None, None)), (None, 0, None))
    cameras, errors = fit(joints, keypoints_ndc, mean.camera)
    best = jnp.argmin(errors, axis=1)
    chosen = poses[best]
    return Prediction(
        pose=chosen,
        betas=jnp.broadcast_to(mean.betas, (count, 10)),
        camera=cameras[jnp.arange(count), best],
        rotation_6d=chosen[..., :2].reshape(count, 24, 6),
    )


def _camera(
    joints: Float[Array, "49 2"],
    keypoints: Float[Array, "49 3"],
    otherwise: Float[Array, "3"],
) -> tuple[Float[Array, "3"], Float[Array, ""]]:
    """[s, tx, ty] of s·(joint + t) ≈ keypoint, y down, and what remains, NDC²."""
    weights = keypoints[:, 2]
    target = keypoints[:, :2] * jnp.array([1, -1], joints.dtype)[None]
    total = jnp.sum(weights)

    def centre(points: Array) -> Array:
        return safe_divide(jnp.sum(weights[:, None] * points, 0), total)

    source_centre, target_centre = centre(joints), centre(target)
    source = joints - source_centre[None]
    aim = target - target_centre[None]
    covariance = jnp.sum(weights * jnp.sum(source * aim, -1))
    spread = jnp.sum(weights * jnp.sum(jnp.square(source), -1))
    scale = jnp.clip(safe_divide(covariance, spread), *_SCALES)
    shift = target_centre / scale - source_centre
    camera = jnp.concatenate([scale[None], shift])
    error = jnp.sum(weights[:, None] * jnp.square(scale * source - aim))
    return jnp.where(spread > 0, camera, otherwise), error
