"""Weights under PyTorch's names: torchvision's ResNets, HRNet, SPIN, EFT, DSR, PARE.

Works on NumPy arrays by name; `weight_file` reads them and `published` tells whose
names a file has. Every tensor is accounted for: whatever is missing, left over, of
another shape or not finite is named.
"""

import dataclasses
import re
from collections.abc import Iterator, Mapping

import jax.numpy as jnp
import numpy as np
from flax import nnx

from dsr_jax.errors import UserError
from dsr_jax.regressor.head import FixedParameter

# Counts the batches that a PyTorch batch norm has seen; nothing here depends on it.
_COUNTERS = {"counters of batches": r"(.*\.)?num_batches_tracked"}

_LEAF_NAMES = {
    "kernel": "weight",
    "scale": "weight",
    "bias": "bias",
    "mean": "running_mean",
    "var": "running_var",
}

# How a PyTorch tensor's axes go to ours, by rank: convolutions come as (out, in, h, w),
# linear layers as (out, in).
_AXES_FROM_TORCH = {4: (2, 3, 1, 0), 2: (1, 0), 1: (0,)}

# How many names an error lists.
_LISTED = 5


@dataclasses.dataclass(frozen=True)
class TorchLayout:
    """Where a checkpoint keeps the parts of a regressor."""

    prefixes: Mapping[str, str]
    """Our module path → the prefix of its names; modules without one are left alone."""
    ignored: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """What has no place here: a group → a pattern of whole names."""
    optional: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """What may be missing, all of a group or nothing: a group → a pattern."""


@dataclasses.dataclass(frozen=True)
class WeightReport:
    """Where every tensor of a checkpoint went."""

    converted: tuple[str, ...]
    """PyTorch's names of what was written into the network."""
    numbers: int
    """How many numbers those are."""
    ignored: Mapping[str, tuple[str, ...]]
    """Names without a place here, by group."""
    kept: Mapping[str, tuple[str, ...]]
    """Names that the file lacks and whose weights stayed as they were, by group."""


# Of the backbone alone; the classifier of ImageNet is dropped.
TORCHVISION_LAYOUT = TorchLayout(
    {"": ""}, ignored={"ImageNet's classifier": r"fc\.(weight|bias)"}
)
# Of a whole regressor: SPIN's and EFT's flat names, ours, and the release of DSR.
SPIN_LAYOUT = TorchLayout({"backbone.": "", "head.": ""})
OUR_LAYOUT = TorchLayout({"backbone.": "backbone.", "head.": "head."})
DSR_LAYOUT = TorchLayout({"backbone.": "model.backbone.", "head.": "model.head."})


def to_torch(module: nnx.Module, layout: TorchLayout) -> dict[str, np.ndarray]:
    """The module's weights under PyTorch's names and in PyTorch's axis order."""
    return {
        name: _to_torch_axes(np.asarray(variable[...]), variable)
        for name, variable in _named_variables(module, layout)
    }


def from_torch(
    module: nnx.Module,
    tensors: Mapping[str, np.ndarray],
    layout: TorchLayout,
    source: str,
) -> WeightReport:
    """Overwrites the module's weights by tensors under PyTorch's names.

    Nothing is written unless every weight has its tensor and every tensor its place.

    Args:
      module: a `Regressor`, or its backbone for `TORCHVISION_LAYOUT`.
      tensors: arrays by PyTorch name; only those that are needed are looked up.
      layout: where the tensors' names put the parts of the module.
      source: the file the tensors came from, for errors.

    Raises:
      UserError: tensors are missing, left over, of the wrong shape or not finite; the
        line says which and how many.
    """
    named = dict(_named_variables(module, layout))
    ignored, kept = _account(set(named), set(tensors), layout, source)
    absent = {name for names in kept.values() for name in names}
    arrays = {}
    for name, variable in named.items():
        if name not in absent:
            arrays[name] = _converted(name, tensors[name], variable, source)
    for name, array in arrays.items():
        named[name][...] = jnp.asarray(array)
    return WeightReport(
        converted=tuple(arrays),
        numbers=sum(array.size for array in arrays.values()),
        ignored=ignored,
        kept=kept,
    )


def _converted(
    name: str, tensor: np.ndarray, variable: nnx.Variable, source: str
) -> np.ndarray:
    """The tensor in our axis order and the variable's type."""
    array = _from_torch_axes(np.asarray(tensor), variable)
    if array.shape != variable.shape:
        needed = _to_torch_axes(np.asarray(variable[...]), variable).shape
        raise UserError(
            f"{source}: tensor {name!r} has shape {np.shape(tensor)}, this "
            f"network needs {needed}: choose the backbone and the hidden size that "
            "the file was made for"
        )
    if not jnp.issubdtype(array.dtype, jnp.floating):
        raise UserError(
            f"{source}: tensor {name!r} holds {array.dtype}, not floating-point "
            "weights; give the checkpoint before it was compressed"
        )
    converted = array.astype(variable.dtype)
    if not np.isfinite(converted).all():
        raise UserError(
            f"{source}: tensor {name!r} holds NaN or infinity; give another checkpoint"
        )
    return converted


def _named_variables(
    module: nnx.Module, layout: TorchLayout
) -> Iterator[tuple[str, nnx.Variable]]:
    """PyTorch's name and the variable of every weight, in the module's order."""
    weights = nnx.state(module, nnx.Any(nnx.Param, nnx.BatchStat, FixedParameter))
    for path, variable in nnx.to_flat_state(weights):
        *parents, leaf = (str(part) for part in path)
        own = ".".join([*parents, _LEAF_NAMES.get(leaf, leaf)])
        for ours, theirs in layout.prefixes.items():
            if own.startswith(ours):
                yield theirs + own.removeprefix(ours), variable


def _account(
    needed: set[str], given: set[str], layout: TorchLayout, source: str
) -> tuple[dict[str, tuple[str, ...]], dict[str, tuple[str, ...]]]:
    """What is ignored and what is kept, by group; everything else must fit."""
    kept = {
        group: names
        for group, names in _grouped(needed, layout.optional).items()
        if not given & set(names)
    }
    missing = needed - given - {name for names in kept.values() for name in names}
    if missing:
        raise UserError(
            f"{source}: lacks {_listed(missing)} of the {len(needed)} tensors of this "
            "network: choose the backbone and the layout that the file was made for"
        )
    ignored = _grouped(given - needed, {**_COUNTERS, **layout.ignored})
    left_over = given - needed - {name for names in ignored.values() for name in names}
    if left_over:
        raise UserError(
            f"{source}: {_listed(left_over)} have no place in this network: choose the "
            "backbone and the layout that the file was made for"
        )
    return ignored, kept


def _grouped(
    names: set[str], patterns: Mapping[str, str]
) -> dict[str, tuple[str, ...]]:
    """The names that match each pattern, sorted; no group is empty."""
    matching = {
        group: tuple(sorted(name for name in names if re.fullmatch(pattern, name)))
        for group, pattern in patterns.items()
    }
    return {group: found for group, found in matching.items() if found}


def _listed(names: set[str]) -> str:
    """Their number and the first few."""
    shown = ", ".join(sorted(names)[:_LISTED])
    return f"{len(names)} ({shown}{', …' if len(names) > _LISTED else ''})"


def _from_torch_axes(tensor: np.ndarray, variable: nnx.Variable) -> np.ndarray:
    """Our axis order; mean parameters come as one row."""
    if isinstance(variable, FixedParameter):
        return tensor.reshape(-1)
    return tensor.transpose(_AXES_FROM_TORCH.get(tensor.ndim))


def _to_torch_axes(array: np.ndarray, variable: nnx.Variable) -> np.ndarray:
    """The inverse of `_from_torch_axes`."""
    if isinstance(variable, FixedParameter):
        return array.reshape(1, -1)
    return array.transpose(np.argsort(_AXES_FROM_TORCH[array.ndim]))
