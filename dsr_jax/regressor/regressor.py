"""From normalised images to the parameters of a body and its camera."""

import dataclasses
import typing
from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import nnx

from dsr_jax.arrays import Array, Float, Integer, UInt8
from dsr_jax.errors import nearest
from dsr_jax.regressor.head import IterativeHead
from dsr_jax.regressor.hrnet import HRNet, hrnet_w32, hrnet_w48
from dsr_jax.regressor.mean import MeanParameters
from dsr_jax.regressor.resnet import ResNet, resnet18, resnet50
from dsr_jax.rotations import rotation_6d_to_matrix

# Channel means and deviations of ImageNet in [0, 1], the convention of torchvision's
# weights and therefore of SPIN's, EFT's and DSR's.
IMAGE_MEAN = (0.485, 0.456, 0.406)
IMAGE_DEVIATION = (0.229, 0.224, 0.225)

BACKBONES: dict[str, Callable[[jnp.dtype, nnx.Rngs], ResNet | HRNet]] = {
    "resnet18": resnet18,
    "resnet50": resnet50,
    "hrnet_w32": hrnet_w32,
    "hrnet_w48": hrnet_w48,
}
_COMPUTE_DTYPES = ("float32", "bfloat16")


@dataclasses.dataclass(frozen=True)
class RegressorSettings:
    """What the network looks like.

    Raises:
      ValueError: a value outside its range, naming the field.
    """

    backbone: str = "resnet50"
    """"resnet18", "resnet50", "hrnet_w32" or "hrnet_w48"; HRNet takes images whose
    sides are multiples of 32."""
    iterations: int = 3
    """Passes of the head, at least 1."""
    hidden: int = 1024
    """Width of the head's two layers."""
    dropout: float = 0.5
    """Share of the head's hidden units dropped in training, in [0, 1)."""
    compute_dtype: str = "float32"
    """Type of the backbone's activations, "float32" or "bfloat16"; weights, statistics
    and the head are float32 with either."""

    def __post_init__(self):
        _one_of("backbone", self.backbone, BACKBONES)
        _one_of("compute_dtype", self.compute_dtype, _COMPUTE_DTYPES)
        for name in ("iterations", "hidden"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} = {value!r}: give a positive whole number")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout = {self.dropout!r}: give a number in [0, 1)")


def _one_of(field: str, value: str, choices) -> None:
    if value not in choices:
        raise ValueError(f"{field} = {value!r}: {nearest(str(value), choices)}")


# JAX rebuilds it with whatever a tree map returns: shapes, shardings, None.
@typing.no_type_check
@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Prediction:
    """What the regressor says about each image."""

    pose: Float[Array, "B 24 3 3"]
    """Joint rotations; the first turns the body into camera axes."""
    betas: Float[Array, "B 10"]
    """Shape coefficients."""
    camera: Float[Array, "B 3"]
    """Weak-perspective camera [s, tx, ty] of the crop."""
    rotation_6d: Float[Array, "B 24 6"]
    """The rotations before Gram-Schmidt; see `dsr_jax.rotations`."""


class Regressor(nnx.Module):
    """A backbone and an iterative head; `train()` and `eval()` switch both modes."""

    def __init__(
        self, settings: RegressorSettings, mean: MeanParameters, rngs: nnx.Rngs
    ):
        dtype = jnp.dtype(settings.compute_dtype)
        self.backbone: ResNet | HRNet = BACKBONES[settings.backbone](dtype, rngs)
        self.head = IterativeHead(
            self.backbone.features,
            settings.hidden,
            settings.iterations,
            settings.dropout,
            mean,
            rngs,
        )

    def __call__(
        self,
        image: Float[Array, "B H W 3"],
        rows: Integer[Array, "B"] | None = None,
    ) -> Prediction:
        """Regresses normalised images (`normalize_image`) of any height and width.

        Args:
          image: RGB.
          rows: places of the examples in the whole batch, see `ExampleDropout`.
        """
        with jax.named_scope("backbone"):
            features = self.backbone(image)
        with jax.named_scope("head"):
            rotation_6d, betas, camera = self.head(features, rows)
        return Prediction(
            pose=rotation_6d_to_matrix(rotation_6d),
            betas=betas,
            camera=camera,
            rotation_6d=rotation_6d,
        )


def normalize_image(
    image: UInt8[Array, "*batch H W 3"],
) -> Float[Array, "*batch H W 3"]:
    """RGB bytes → float32, less ImageNet's mean, over its deviation, per channel."""
    channel = (1,) * (image.ndim - 1) + (3,)
    mean = jnp.asarray(IMAGE_MEAN, jnp.float32).reshape(channel)
    deviation = jnp.asarray(IMAGE_DEVIATION, jnp.float32).reshape(channel)
    return (image.astype(jnp.float32) / 255 - mean) / deviation
