"""From an image to body and camera parameters: a ResNet and HMR's iterative head."""

from dsr_jax.regressor.head import FixedParameter, IterativeHead
from dsr_jax.regressor.mean import (
    MeanParameters,
    default_mean_parameters,
    load_mean_parameters,
)
from dsr_jax.regressor.regressor import (
    IMAGE_DEVIATION,
    IMAGE_MEAN,
    Prediction,
    Regressor,
    RegressorSettings,
    normalize_image,
)
from dsr_jax.regressor.resnet import ResNet, resnet18, resnet50
from dsr_jax.regressor.torch_layout import (
    DSR_LAYOUT,
    SPIN_LAYOUT,
    TORCHVISION_LAYOUT,
    TorchLayout,
    from_torch,
    to_torch,
)

__all__ = [
    "DSR_LAYOUT",
    "IMAGE_DEVIATION",
    "IMAGE_MEAN",
    "SPIN_LAYOUT",
    "TORCHVISION_LAYOUT",
    "FixedParameter",
    "IterativeHead",
    "MeanParameters",
    "Prediction",
    "Regressor",
    "RegressorSettings",
    "ResNet",
    "TorchLayout",
    "default_mean_parameters",
    "from_torch",
    "load_mean_parameters",
    "normalize_image",
    "resnet18",
    "resnet50",
    "to_torch",
]
