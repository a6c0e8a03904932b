"""ONNX files: opened with onnxruntime, known by their content."""

import dataclasses
import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from dsr_jax.errors import UserError

INSTALL = "pip install -e '.[parsing]'"
PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
FLOATS = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
}


@dataclasses.dataclass(frozen=True)
class Tensor:
    """One input or output as the file declares it."""

    name: str
    kind: str
    shape: tuple[int | None, ...]
    """None where the size is not fixed."""

    @property
    def is_float(self) -> bool:
        """Whether it holds scores rather than label numbers."""
        return self.kind in FLOATS

    def __str__(self) -> str:
        sizes = " x ".join("?" if s is None else str(s) for s in self.shape)
        return f"'{self.name}' ({sizes}, {self.kind})"


def model_hash(path: str | Path) -> str:
    """SHA-256 of the file, and of the weights that lie beside it in files of its name.

    Raises:
      UserError: the file is missing or cannot be read.
    """
    path = Path(path)
    digest = hashlib.sha256()
    # Exporters call the second file model.onnx.data or model.onnx_data.
    beside = (p for p in path.parent.glob("*") if p.name.startswith(path.name))
    try:
        for name in sorted(p for p in beside if p.is_file()) or [path]:
            with name.open("rb") as file:
                while block := file.read(1 << 20):
                    digest.update(block)
    except OSError as error:
        raise UserError(
            f"{path}: cannot read this model: {error.strerror}; check --model"
        ) from error
    return digest.hexdigest()


def open_session(path: str | Path, provider: str, threads: int) -> Any:
    """An `onnxruntime.InferenceSession`.

    Raises:
      UserError: onnxruntime or its provider is missing, or the file cannot be loaded.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise UserError(
            f"parsing needs onnxruntime, which is not installed; run: {INSTALL}"
        ) from error
    wanted = PROVIDERS[provider]
    if wanted not in onnxruntime.get_available_providers():
        raise UserError(
            f"--provider {provider}: this onnxruntime has no {wanted}; install "
            "onnxruntime-gpu in place of onnxruntime"
        )
    if not Path(path).is_file():
        raise UserError(f"{path}: no such model; give an .onnx file")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4  # what is wrong is told by the exception, once
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=[wanted])
    # onnxruntime's exceptions have no base class of their own.
    except Exception as error:
        raise UserError(
            f"{path}: not a model that onnxruntime can load: {first_line(error)}; "
            "export it to ONNX again"
        ) from error
    if wanted not in session.get_providers():
        raise UserError(
            f"--provider {provider}: {wanted} does not start here; check the driver "
            "or use --provider cpu"
        )
    return session


def tensor(node: Any) -> Tensor:
    """What a session tells of an input or output."""
    shape = tuple(s if isinstance(s, int) else None for s in node.shape)
    return Tensor(node.name, node.type, shape)


def first_line(error: Exception) -> str:
    """What an exception of onnxruntime says, without its list of addresses."""
    lines = str(error).strip().splitlines()
    return lines[0][:200].rstrip(".") if lines else type(error).__name__
