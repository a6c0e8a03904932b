"""The weights in a file, by name: PyTorch's formats or safetensors, told by content."""

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dsr_jax.errors import UserError
from dsr_jax.regressor.safetensors_file import is_safetensors, read_safetensors
from dsr_jax.regressor.torch_file import StoredTensor, open_torch_file

# Where the weights are, the likeliest first: Lightning; SPIN and EFT; others.
_PLACES = ("state_dict", "model", "model_state_dict")


@dataclasses.dataclass(frozen=True)
class WeightFile(Mapping[str, np.ndarray]):
    """Arrays by name, each read from the file when it is looked up."""

    path: str
    """The file."""
    place: str
    """The entry of the file that holds the weights, "" for the file itself."""
    others: tuple[str, ...]
    """The file's other entries, such as an optimizer's state."""
    shapes: Mapping[str, tuple[int, ...]]
    """Name → PyTorch's shape."""
    _read: Callable[[str], np.ndarray]

    def __getitem__(self, name: str) -> np.ndarray:
        """The values of one tensor."""
        if name not in self.shapes:
            raise KeyError(name)
        return self._read(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self.shapes)

    def __len__(self) -> int:
        return len(self.shapes)

    @property
    def numbers(self) -> int:
        """How many numbers all tensors have together."""
        return sum(math.prod(shape) for shape in self.shapes.values())


def open_weights(path: str | Path) -> WeightFile:
    """Opens `.pt`, `.pth`, `.ckpt` or `.safetensors`; runs nothing that they name.

    Raises:
      UserError: no such file, a damaged one, or one without tensors by name.
    """
    path = str(path)
    if not Path(path).is_file():
        raise UserError(f"{path}: no such file; give a checkpoint")
    if is_safetensors(path):
        tensors, _ = read_safetensors(path)
        shapes = {name: tensor.shape for name, tensor in tensors.items()}
        return WeightFile(path, "", (), shapes, tensors.__getitem__)
    file = open_torch_file(path)
    place, stored = _find_tensors(file.content, path)
    content = file.content if place else {}
    return WeightFile(
        path=path,
        place=place,
        others=tuple(str(key) for key in content if key != place),
        shapes={name: tensor.shape for name, tensor in stored.items()},
        _read=lambda name: file.array(stored[name]),
    )


def _find_tensors(content: Any, path: str) -> tuple[str, dict[str, StoredTensor]]:
    """The dictionary with the weights, and its key."""
    if not isinstance(content, dict):
        raise UserError(
            f"{path}: holds one object, not weights by name; save the model's "
            "state_dict() instead"
        )
    entries = {"": content} | {place: content.get(place) for place in _PLACES}
    found = {place: _tensors(entry) for place, entry in entries.items()}
    # A lone tensor beside them, such as the best score, is not the weights.
    most = max(found, key=lambda place: len(found[place]))
    if found[most]:
        return most, found[most]
    raise UserError(
        f"{path}: holds no weights by name, neither itself nor in "
        f"{', '.join(_PLACES)} (it has {', '.join(str(key) for key in content)[:80]}); "
        "save the model's state_dict()"
    )


def _tensors(entry: Any) -> dict[str, StoredTensor]:
    if not isinstance(entry, dict):
        return {}
    return {
        str(name): value
        for name, value in entry.items()
        if isinstance(value, StoredTensor)
    }
