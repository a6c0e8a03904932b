"""A regressor, a scene and a batch small enough to train in a test."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from dsr_jax.body import load_body
from dsr_jax.data import Batch
from dsr_jax.pipeline import Scene
from dsr_jax.regressor import Prediction
from dsr_jax.regressor.dropout import ExampleDropout
from dsr_jax.rotations import rotation_6d_to_matrix
from dsr_jax.semantics import CIHP, SemanticPrior

SIZE, PEOPLE = 24, 4


class TinyRegressor(nnx.Module):
    """A regressor's inputs, outputs and kinds of variables, without its size."""

    def __init__(self, rngs):
        self.norm = nnx.BatchNorm(3, rngs=rngs)
        self.dropout = ExampleDropout(0.1, rngs=rngs)
        self.linear = nnx.Linear(3, 24 * 6 + 13, kernel_init=small, rngs=rngs)

    def __call__(self, image, rows=None):
        numbers = self.linear(self.dropout(self.norm(image.mean((1, 2))), rows))
        count = image.shape[0]
        upright = jnp.array([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]]).reshape(6)
        rotation_6d = numbers[:, :144].reshape(count, 24, 6) + upright[None, None]
        # Half a turn about x: facing the camera.
        flip = jnp.ones((24, 6)).at[0, 2:4].set(-1.0)
        rotation_6d = rotation_6d * flip[None]
        return Prediction(
            pose=rotation_6d_to_matrix(rotation_6d),
            betas=numbers[:, 144:154],
            camera=numbers[:, 154:] + jnp.array([[0.9, 0.0, 0.0]]),
            rotation_6d=rotation_6d,
        )


def small(key, shape, dtype=jnp.float32, out_sharding=None):
    return 0.01 * jax.random.normal(key, shape, dtype)


def make_batch():
    generator = np.random.default_rng(0)
    labels = np.zeros((PEOPLE, SIZE, SIZE), np.uint8)
    labels[:, 2:8, 9:15] = CIHP.index("face")
    labels[:, 8:14, 8:16] = CIHP.index("upper-clothes")
    labels[:, 14:22, 8:16] = CIHP.index("pants")

    def normal(scale, *shape):
        return generator.normal(0, scale, shape).astype(np.float32)

    ones = np.ones((PEOPLE, 49, 1), np.float32)
    return Batch(
        image=generator.integers(0, 255, (PEOPLE, SIZE, SIZE, 3)).astype(np.uint8),
        labels=labels,
        has_labels=np.array([1, 1, 1, 0], np.float32),
        keypoints_ndc=np.concatenate([normal(0.4, PEOPLE, 49, 2), ones], -1),
        joints=np.concatenate([normal(0.4, PEOPLE, 24, 3), ones[:, 25:]], -1),
        pose=np.tile(np.diag([1.0, -1.0, -1.0]), (PEOPLE, 24, 1, 1)).astype(np.float32),
        betas=normal(1.0, PEOPLE, 10),
        has_body=np.array([1, 0, 1, 1], np.float32),
        camera=np.zeros((PEOPLE, 3), np.float32),
    )


def make_scene():
    """The free body with a random prior."""
    body = load_body("free-lite")
    count = body.template.shape[0]
    probabilities = np.random.default_rng(0).dirichlet(np.full(20, 0.3), count)
    prior = SemanticPrior(
        jnp.asarray(probabilities, jnp.float32), jnp.ones(count), "test", "vertex"
    )
    return Scene(body, prior)
