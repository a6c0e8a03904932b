"""Whose weights a file holds: recognised by its tensors' names and shapes.

A regressor is a backbone and HMR's head behind any two prefixes: none in SPIN and EFT,
`model.backbone.` and `model.head.` in DSR and PARE, `module.` before them where they
were trained on several GPUs. A file without a head is a backbone: torchvision's ResNets
and HRNet's networks for ImageNet and for pose.
"""

import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path

from flax import nnx

from dsr_jax.errors import UserError
from dsr_jax.regressor.regressor import RegressorSettings
from dsr_jax.regressor.torch_layout import TorchLayout, WeightReport, from_torch
from dsr_jax.regressor.weight_file import open_weights

Shapes = Mapping[str, tuple[int, ...]]

_BACKBONE_MARK = "layer1.0.conv1.weight"
_HEAD_MARK = "decpose.weight"
_HRNET_MARK = "stage2.0.branches.0.0.conv1.weight"
# By whether the blocks are bottlenecks, and their number in the four stages.
_RESNETS: dict[tuple[bool, tuple[int, ...]], str] = {
    (False, (2, 2, 2, 2)): "resnet18",
    (True, (3, 4, 6, 3)): "resnet50",
}
_HRNETS = {32: "hrnet_w32", 48: "hrnet_w48"}
# Prefixes of backbone and head → what the tool calls the layout.
_NAMES = {
    ("", ""): "spin",
    ("model.backbone.", "model.head."): "dsr",
    ("backbone.", "head."): "ours",
}
# Buffers of what is no network: the body model in the module, and losses.
_FOREIGN = {
    "the body model's buffers": r"(.*\.)?(smpl(_\w+)?\..*|J_regressor\w*)",
    "the loss's buffers": r"(.*\.)?loss_fn\..*",
}


@dataclasses.dataclass(frozen=True)
class Published:
    """What a file holds."""

    layout_name: str
    """"spin", "dsr" (PARE's, too), "ours", "torchvision" or "hrnet"; "" for a regressor
    behind other prefixes."""
    backbone: str
    """A name of `RegressorSettings.backbone`."""
    hidden: int | None
    """Width of the head; None for a backbone alone."""
    layout: TorchLayout
    """Maps the tensors to a `Regressor`."""


def recognize(shapes: Shapes, source: str) -> Published:
    """Tells network and layout of a file's tensors.

    Args:
      shapes: PyTorch's shapes by name.
      source: the file, for errors.

    Raises:
      UserError: no backbone or several, or one that this project does not have.
    """
    backbone = _prefix(shapes, _BACKBONE_MARK, source)
    if backbone is None:
        names = ", ".join(list(shapes)[:3])
        raise UserError(
            f"{source}: holds no ResNet and no HRNet (no '…{_BACKBONE_MARK}' among "
            f"{names}, …); give a regressor of SPIN's family or a backbone"
        )
    head = _prefix(shapes, _HEAD_MARK, source)
    kind = _backbone_kind(shapes, backbone, source)
    prefixes = {"backbone.": backbone}
    hidden = None
    if head is None:
        name = "hrnet" if kind.startswith("hrnet") else "torchvision"
    else:
        prefixes["head."] = head
        hidden = _size(shapes, head + _HEAD_MARK, -1, source)
        name = _NAMES.get((_bare(backbone), _bare(head)), "")
    layout = TorchLayout(
        prefixes, _ignored(kind, backbone, head), _optional(kind, backbone, head)
    )
    return Published(name, kind, hidden, layout)


def fill_from_file(
    regressor: nnx.Module, path: str | Path, settings: RegressorSettings
) -> WeightReport:
    """Overwrites the regressor, or its backbone, by the weights of a file.

    Args:
      regressor: a `Regressor` of these settings; the file may lack its head, which
        then stays as it is.
      path: `.pt`, `.pth`, `.ckpt` or `.safetensors`, see `open_weights`.
      settings: of the regressor.

    Raises:
      UserError: the file cannot be read, holds another network, or does not have
        exactly the tensors of this one.
    """
    file = open_weights(path)
    found = recognize(file.shapes, file.path)
    for key in ("backbone", "hidden"):
        has, wanted = getattr(found, key), getattr(settings, key)
        if has is not None and has != wanted:
            raise UserError(
                f"{path}: its {key} is {has}, the config's {wanted}; set "
                f"--config.regressor.{key}={has}"
            )
    return from_torch(regressor, file, found.layout, file.path)


def _prefix(shapes: Shapes, mark: str, source: str) -> str | None:
    """What stands before the mark, if exactly one name ends with it."""
    found = [
        name.removesuffix(mark)
        for name in shapes
        if name == mark or name.endswith(f".{mark}")
    ]
    if len(found) > 1:
        raise UserError(
            f"{source}: holds {len(found)} networks ({', '.join(map(repr, found))} "
            f"before '{mark}'); save one of them alone"
        )
    return found[0] if found else None


def _size(shapes: Shapes, name: str, axis: int, source: str) -> int:
    """How long a tensor is along an axis."""
    if not shapes[name]:
        raise UserError(f"{source}: '{name}' is a single number, no network's weights")
    return shapes[name][axis]


def _bare(prefix: str) -> str:
    """Without what PyTorch puts before the names of a model on several GPUs."""
    return prefix.removeprefix("module.")


def _backbone_kind(shapes: Shapes, prefix: str, source: str) -> str:
    if prefix + _HRNET_MARK in shapes:
        width = _size(shapes, prefix + _HRNET_MARK, 0, source)
        known, found = _HRNETS.get(width), f"an HRNet of width {width}"
    else:
        deep = f"{prefix}layer1.0.conv3.weight" in shapes
        depths = tuple(_depth(shapes, f"{prefix}layer{i}.") for i in (1, 2, 3, 4))
        known = _RESNETS.get((deep, depths))
        found = f"a ResNet of {depths} {'bottlenecks' if deep else 'basic blocks'}"
    if known is None:
        choices = ", ".join([*_RESNETS.values(), *_HRNETS.values()])
        raise UserError(f"{source}: holds {found}; there is {choices} here")
    return known


def _depth(shapes: Shapes, prefix: str) -> int:
    """Blocks of a stage."""
    depth = 0
    while f"{prefix}{depth}.conv1.weight" in shapes:
        depth += 1
    return depth


def _ignored(kind: str, backbone: str, head: str | None) -> dict[str, str]:
    """Patterns of the tensors that have no place in a regressor."""
    ignored, start = dict(_FOREIGN), re.escape(backbone)
    # In SPIN's flat layout a name without prefix could be the head's.
    if backbone != head:
        ignored["ImageNet's classifier"] = rf"{start}(fc|classifier)\.(weight|bias)"
    if kind.startswith("hrnet"):
        own = "final_layer|incre_modules|downsamp_modules"
        ignored["HRNet's heads"] = rf"{start}({own})\..*"
        if head is not None:
            # PARE's head makes these layers for an HRNet and never calls them.
            pattern = rf"{re.escape(head)}downsample_module\..*"
            ignored["layers of the head without use"] = pattern
    return ignored


def _optional(kind: str, backbone: str, head: str | None) -> dict[str, str]:
    """A pose network reads the finest branch alone and has no way to the others."""
    if not kind.startswith("hrnet") or head is not None:
        return {}
    pattern = rf"{re.escape(backbone)}stage4\.2\.fuse_layers\.[123]\..*"
    return {"HRNet's last way to the coarser branches": pattern}
