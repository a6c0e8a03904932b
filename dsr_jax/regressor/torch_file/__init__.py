"""PyTorch's `.pt`, `.pth` and `.ckpt` files without PyTorch: read and written.

Nothing that a file names is imported or run, see `pickled`.
"""

from dsr_jax.regressor.torch_file.pickled import StoredTensor
from dsr_jax.regressor.torch_file.reading import TorchFile, open_torch_file
from dsr_jax.regressor.torch_file.writing import encode_torch_file

__all__ = ["StoredTensor", "TorchFile", "encode_torch_file", "open_torch_file"]
