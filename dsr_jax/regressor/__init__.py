"""From an image to body and camera parameters: a backbone and HMR's iterative head."""

from dsr_jax.regressor.head import FixedParameter, IterativeHead
from dsr_jax.regressor.hrnet import HRNet, hrnet_w32, hrnet_w48
from dsr_jax.regressor.mean import (
    MeanParameters,
    default_mean_parameters,
    load_mean_parameters,
)
from dsr_jax.regressor.published import Published, fill_from_file, recognize
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
    OUR_LAYOUT,
    SPIN_LAYOUT,
    TORCHVISION_LAYOUT,
    TorchLayout,
    WeightReport,
    from_torch,
    to_torch,
)
from dsr_jax.regressor.weight_file import WeightFile, open_weights

__all__ = [
    "DSR_LAYOUT",
    "IMAGE_DEVIATION",
    "IMAGE_MEAN",
    "OUR_LAYOUT",
    "SPIN_LAYOUT",
    "TORCHVISION_LAYOUT",
    "FixedParameter",
    "HRNet",
    "IterativeHead",
    "MeanParameters",
    "Prediction",
    "Published",
    "Regressor",
    "RegressorSettings",
    "ResNet",
    "TorchLayout",
    "WeightFile",
    "WeightReport",
    "default_mean_parameters",
    "fill_from_file",
    "from_torch",
    "hrnet_w32",
    "hrnet_w48",
    "load_mean_parameters",
    "normalize_image",
    "open_weights",
    "recognize",
    "resnet18",
    "resnet50",
    "to_torch",
]
