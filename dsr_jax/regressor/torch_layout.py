"""Weights under PyTorch's names: torchvision's ResNets, SPIN, EFT and DSR.

Works on plain NumPy arrays by name; reading a checkpoint file is another matter. Every
tensor is accounted for: whatever is missing, left over or of another shape is named.
"""

import dataclasses
from collections.abc import Iterator, Mapping

import jax.numpy as jnp
import numpy as np
from flax import nnx

from dsr_jax.errors import UserError
from dsr_jax.regressor.head import FixedParameter

# Counts the batches that a PyTorch batch norm has seen; nothing here depends on it.
_IGNORED_SUFFIX = "num_batches_tracked"

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
    """Our module path → the prefix of its names."""
    ignored: tuple[str, ...] = ()
    """Names that have no place here."""


# Of the backbone alone; the classifier of ImageNet is dropped.
TORCHVISION_LAYOUT = TorchLayout({"": ""}, ignored=("fc.weight", "fc.bias"))
# Of a whole regressor: SPIN's and EFT's flat names, and the release of DSR.
SPIN_LAYOUT = TorchLayout({"backbone.": "", "head.": ""})
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
) -> None:
    """Overwrites the module's weights by tensors under PyTorch's names.

    Nothing is written unless every weight has its tensor and every tensor its place.

    Args:
      module: a `Regressor`, or its backbone for `TORCHVISION_LAYOUT`.
      tensors: arrays by PyTorch name.
      layout: where the tensors' names put the parts of the module.
      source: the file the tensors came from, for errors.

    Raises:
      UserError: tensors are missing, left over or of the wrong shape; the line says
        which and how many.
    """
    named = dict(_named_variables(module, layout))
    _check_names(set(named), set(tensors), layout, source)
    arrays = {}
    for name, variable in named.items():
        arrays[name] = _from_torch_axes(np.asarray(tensors[name]), variable)
        if arrays[name].shape != variable.shape:
            needed = _to_torch_axes(np.asarray(variable[...]), variable).shape
            raise UserError(
                f"{source}: tensor {name!r} has shape {np.shape(tensors[name])}, this "
                f"network needs {needed}: choose the backbone and the hidden size that "
                "the file was made for"
            )
    for name, variable in named.items():
        variable[...] = jnp.asarray(arrays[name], variable.dtype)


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


def _check_names(
    needed: set[str], given: set[str], layout: TorchLayout, source: str
) -> None:
    """Every tensor has a place and every place a tensor."""
    missing = needed - given
    if missing:
        raise UserError(
            f"{source}: lacks {_listed(missing)} of the {len(needed)} tensors of this "
            "network: choose the backbone and the layout that the file was made for"
        )
    left_over = {
        name
        for name in given - needed - set(layout.ignored)
        if not name.endswith(_IGNORED_SUFFIX)
    }
    if left_over:
        raise UserError(
            f"{source}: {_listed(left_over)} have no place in this network: choose the "
            "backbone and the layout that the file was made for"
        )


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
