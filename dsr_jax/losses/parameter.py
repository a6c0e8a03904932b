"""Body parameters and the camera, as SPIN and EFT supervise them."""

import jax
import jax.numpy as jnp

from dsr_jax.arrays import Array, Float

# SPIN: exp(−10 s)², which keeps the scale of the weak camera positive.
_CAMERA_SHARPNESS = 20.0


@jax.named_scope("pose_loss")
def pose_loss(
    pose: Float[Array, "B 24 3 3"], target: Float[Array, "B 24 3 3"]
) -> Float[Array, "B"]:
    """Mean squared difference of the rotation matrices' entries."""
    return jnp.mean(jnp.square(pose - target), (-3, -2, -1))


@jax.named_scope("betas_loss")
def betas_loss(
    betas: Float[Array, "B 10"], target: Float[Array, "B 10"]
) -> Float[Array, "B"]:
    """Mean squared difference of the shape coefficients."""
    return jnp.mean(jnp.square(betas - target), -1)


@jax.named_scope("camera_loss")
def camera_loss(camera: Float[Array, "B 3"]) -> Float[Array, "B"]:
    """exp(−10 s)² of weak cameras [s, tx, ty], for s ≥ 0.

    A camera with s < 0 does not exist, but a network may say so. There the loss goes
    on along its tangent at 0, as 1 − 20 s: still downhill towards real cameras, but
    without an exponential, which is 5e8 at s = −1 and leaves float32 at −4.4.
    """
    scale = camera[:, 0]
    real = scale > 0
    curve = jnp.exp(-_CAMERA_SHARPNESS * jnp.where(real, scale, 0))
    return jnp.where(real, curve, 1 - _CAMERA_SHARPNESS * scale)
