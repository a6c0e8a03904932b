"""How people hold themselves: a Gaussian over poses, learnt from synthetic ones.

A pose is described by the first two columns of each joint's rotation matrix but the
root's: 23 · 6 numbers, smooth everywhere, unlike angles. One Gaussian with its full
covariance knows that knees and elbows bend one way and which joints move together.
"""

import dataclasses
import functools
import typing

import jax
import jax.numpy as jnp

from dsr_jax.arrays import Array, Float
from dsr_jax.body import BodyModel
from dsr_jax.data.synthetic import SyntheticSettings, split_key
from dsr_jax.data.synthetic.poses import sample_pose
from dsr_jax.numerics import GEOMETRY_PRECISION, geometry_einsum

NUM_FEATURES = 23 * 6
# Standard deviation added to every feature, about 6 degrees: the generator's hands and
# toes hardly move, real ones do.
_SLACK = 0.1
# Poses drawn: thirty for each feature.
_POSES = 4096


@typing.no_type_check  # JAX rebuilds it with leaves that are not arrays.
@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class PosePrior:
    """Mean of the features and what whitens them."""

    mean: Float[Array, "138"]
    whitening: Float[Array, "138 138"]
    """W with W Σ Wᵀ = 1, Σ the covariance with the slack."""


def learn_pose_prior(model: BodyModel, settings: SyntheticSettings) -> PosePrior:
    """The Gaussian of the generator's poses, of its training split.

    Args:
      model: whose skeleton decides which poses have a limb in another.
      settings: activities and gestures.
    """
    rest = geometry_einsum("jv,vc->jc", model.joint_regressor, model.template)
    features = _sample_features(rest, settings)
    mean = jnp.mean(features, 0)
    centred = features - mean[None]
    covariance = jnp.matmul(centred.T, centred, precision=GEOMETRY_PRECISION) / _POSES
    covariance += _SLACK**2 * jnp.eye(NUM_FEATURES, dtype=features.dtype)
    factor = jnp.linalg.cholesky(covariance)
    whitening = jax.scipy.linalg.solve_triangular(
        factor, jnp.eye(NUM_FEATURES, dtype=features.dtype), lower=True
    )
    return PosePrior(mean, whitening)


def pose_prior_loss(
    prior: PosePrior, pose: Float[Array, "B 24 3 3"]
) -> Float[Array, "B"]:
    """Mean of the squared whitened features.

    About a quarter for poses like those that the prior was learnt from: `_SLACK` widens
    it beyond them.

    Args:
      prior: mean and whitening.
      pose: rotation matrices; the first, the global orientation, is free.
    """
    whitened = geometry_einsum(
        "ij,bj->bi", prior.whitening, pose_features(pose) - prior.mean[None]
    )
    return jnp.mean(jnp.square(whitened), -1)


def pose_features(pose: Float[Array, "B 24 3 3"]) -> Float[Array, "B 138"]:
    """The first two columns of every rotation but the root's."""
    return pose[:, 1:, :, :2].reshape(pose.shape[0], NUM_FEATURES)


@functools.partial(jax.jit, static_argnames="settings")
def _sample_features(
    rest_joints: Float[Array, "24 3"], settings: SyntheticSettings
) -> Float[Array, "P 138"]:
    keys = jax.random.split(split_key(0, "train"), _POSES)
    poses = jax.vmap(sample_pose, in_axes=(0, None, None))(keys, rest_joints, settings)
    return pose_features(poses)
