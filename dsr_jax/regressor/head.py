"""The iterative head of HMR (Kanazawa et al., CVPR 2018), as SPIN and EFT train it.

Image features and the current parameters go through two linear layers, with dropout and
no other nonlinearity, to an update of the parameters; the same layers run every
iteration, and the first starts from the mean parameters.
"""

import math

import jax.numpy as jnp
from flax import nnx

from dsr_jax.arrays import Array, Float, Integer
from dsr_jax.numerics import GEOMETRY_PRECISION
from dsr_jax.regressor.dropout import ExampleDropout
from dsr_jax.regressor.initialization import fill_uniform
from dsr_jax.regressor.mean import JOINT_COUNT, SHAPE_COUNT, MeanParameters

POSE_SIZE = JOINT_COUNT * 6
CAMERA_SIZE = 3

# Xavier gain of the three decoders (HMR): the first updates are small, so that training
# starts from the mean body.
_DECODER_GAIN = 0.01


class FixedParameter(nnx.Variable):
    """Saved with the network, never trained."""


class IterativeHead(nnx.Module):
    """Features → 6D rotations, betas and camera, in float32."""

    def __init__(
        self,
        features: int,
        hidden: int,
        iterations: int,
        dropout: float,
        mean: MeanParameters,
        rngs: nnx.Rngs,
    ):
        inputs = features + POSE_SIZE + SHAPE_COUNT + CAMERA_SIZE
        self.fc1 = _linear(inputs, hidden, rngs)
        self.drop1 = ExampleDropout(dropout, rngs=rngs)
        self.fc2 = _linear(hidden, hidden, rngs)
        self.drop2 = ExampleDropout(dropout, rngs=rngs)
        self.decpose = _linear(hidden, POSE_SIZE, rngs)
        self.decshape = _linear(hidden, SHAPE_COUNT, rngs)
        self.deccam = _linear(hidden, CAMERA_SIZE, rngs)
        self.init_pose = FixedParameter(mean.rotation_6d.reshape(POSE_SIZE))
        self.init_shape = FixedParameter(mean.betas)
        self.init_cam = FixedParameter(mean.camera)
        self.iterations = iterations
        _initialize(self, rngs)

    def __call__(
        self, features: Float[Array, "B D"], rows: Integer[Array, "B"] | None = None
    ) -> tuple[Float[Array, "B 24 6"], Float[Array, "B 10"], Float[Array, "B 3"]]:
        """Rotations in 6D, betas and the camera [s, tx, ty] after all iterations.

        Args:
          features: of the backbone.
          rows: see `ExampleDropout`.
        """
        count = features.shape[0]
        pose, betas, camera = (
            jnp.broadcast_to(start[...], (count, start.shape[0]))
            for start in (self.init_pose, self.init_shape, self.init_cam)
        )
        for _ in range(self.iterations):
            state = jnp.concatenate([features, pose, betas, camera], axis=-1)
            state = self.drop1(self.fc1(state), rows)
            state = self.drop2(self.fc2(state), rows)
            pose = pose + self.decpose(state)
            betas = betas + self.decshape(state)
            camera = camera + self.deccam(state)
        return pose.reshape(count, JOINT_COUNT, 6), betas, camera


def _linear(inputs: int, outputs: int, rngs: nnx.Rngs) -> nnx.Linear:
    """Full float32: the outputs are rotations, not features."""
    return nnx.Linear(
        inputs,
        outputs,
        kernel_init=nnx.initializers.zeros,
        precision=GEOMETRY_PRECISION,
        rngs=rngs,
    )


def _initialize(head: IterativeHead, rngs: nnx.Rngs) -> None:
    """Uniform kernels; biases stay 0, so that the first update is small."""
    hidden = (head.fc1, head.fc2)
    decoders = (head.decpose, head.decshape, head.deccam)
    bounds = [_default_bound(layer) for layer in hidden]
    bounds += [_DECODER_GAIN * _xavier_bound(layer) for layer in decoders]
    kernels = [layer.kernel for layer in (*hidden, *decoders)]
    fill_uniform(kernels, bounds, rngs.params())


def _default_bound(layer: nnx.Linear) -> float:
    """PyTorch's default for a linear layer: 1 / √inputs."""
    return 1 / math.sqrt(layer.in_features)


def _xavier_bound(layer: nnx.Linear) -> float:
    """√(6 / (inputs + outputs)); Glorot and Bengio, AISTATS 2010, eq. 16."""
    return math.sqrt(6 / (layer.in_features + layer.out_features))
