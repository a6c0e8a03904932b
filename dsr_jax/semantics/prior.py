"""The semantic prior: how likely each place of the body is to show each label.

Learnt by `dsr_jax.semantics.prior_learning` for a mesh's vertices, or the per-face file
`semantic_prior.npy` of the authors' release.
"""

import dataclasses
import io
import typing
import zipfile
import zlib
from pathlib import Path
from typing import Literal

import jax
import numpy as np

from dsr_jax.arrays import Array, Float
from dsr_jax.errors import UserError
from dsr_jax.files import read_bytes, write_bytes
from dsr_jax.semantics.taxonomy import NUM_LABELS

_ASSETS = Path(__file__).parent / "assets"
EMBEDDED_PRIORS = ("free", "free-lite")


# jax rebuilds it with leaves that are not arrays, so its fields are not checked.
@typing.no_type_check
@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class SemanticPrior:
    """A distribution over the 20 CIHP labels at each of N vertices or faces."""

    probabilities: Float[Array, "N 20"]
    """Rows sum to 1. A row of zeros: the file holds nothing for this place."""

    counts: Float[Array, "N"]
    """How many views showed the place; 0 where unknown."""

    name: str = dataclasses.field(metadata={"static": True})
    """The embedded body, or the file, that it belongs to."""

    per: Literal["vertex", "face"] = dataclasses.field(metadata={"static": True})
    """What the N rows are."""

    def check_body(self, num_vertices: int, num_faces: int) -> None:
        """Makes sure that the prior was learnt for a mesh of this size.

        Raises:
          UserError: it was not.
        """
        rows = self.probabilities.shape[0]
        expected = num_vertices if self.per == "vertex" else num_faces
        if rows != expected:
            kind = "vertices" if self.per == "vertex" else "faces"
            raise UserError(
                f"semantic prior {self.name}: made for {rows} {kind}, but the body has "
                f"{expected}; use the prior of this body"
            )


def load_prior(name_or_path: str | Path) -> SemanticPrior:
    """Loads the prior of an embedded body by name, or one from a file.

    Args:
      name_or_path: "free", "free-lite", a .npz written by `save_prior`, or a .npy of
        shape (faces, 20) with axes of size 1 anywhere (the release: (13776, 20)).

    Raises:
      UserError: the file is missing or damaged, or does not hold a prior.
    """
    embedded = str(name_or_path) in EMBEDDED_PRIORS
    path = _ASSETS / f"{name_or_path}.npz" if embedded else Path(name_or_path)
    content = _read_arrays(path)
    if isinstance(content, np.ndarray):
        probabilities = _checked_rows(path, content.squeeze())
        counts = np.zeros(len(probabilities), np.float32)
        return _prior(probabilities, counts, path.stem, "face")
    missing = {"probabilities", "counts"} - set(content)
    if missing:
        raise UserError(
            f"{path}: this semantic prior lacks the array '{min(missing)}'; write it "
            "with tools/learn_prior.py"
        )
    probabilities = _checked_rows(path, content["probabilities"])
    counts = content["counts"]
    if counts.shape != (len(probabilities),):
        raise UserError(
            f"{path}: 'counts' has shape {counts.shape}, not ({len(probabilities)},); "
            "write the prior again with tools/learn_prior.py"
        )
    if counts.dtype.kind not in "fiu" or not np.isfinite(counts).all():
        raise UserError(
            f"{path}: 'counts' holds values that are not finite numbers; write the "
            "prior again with tools/learn_prior.py"
        )
    return _prior(probabilities, counts.astype(np.float32), path.stem, "vertex")


def save_prior(path: str | Path, prior: SemanticPrior) -> None:
    """Writes a per-vertex prior as a compressed .npz; the file appears whole.

    Probabilities are kept as float16: about three digits, which 1 000 people x 10 views
    do not exceed.

    Raises:
      UserError: the folder is missing or cannot be written to.
      ValueError: the prior is per face.
    """
    if prior.per != "vertex":
        raise ValueError("only a per-vertex prior is written")
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        probabilities=np.asarray(prior.probabilities, np.float16),
        counts=np.asarray(prior.counts, np.float32),
    )
    write_bytes(path, buffer.getvalue())


def _prior(
    probabilities: np.ndarray,
    counts: np.ndarray,
    name: str,
    per: Literal["vertex", "face"],
) -> SemanticPrior:
    return SemanticPrior(
        probabilities=jax.numpy.asarray(probabilities),
        counts=jax.numpy.asarray(counts),
        name=name,
        per=per,
    )


def _read_arrays(path: Path) -> np.ndarray | dict[str, np.ndarray]:
    """The array of a .npy or the arrays of a .npz; nothing pickled is opened."""
    data = io.BytesIO(read_bytes(path, "semantic prior"))
    try:
        content = np.load(data, allow_pickle=False)
        if isinstance(content, np.ndarray):
            return content
        arrays = dict(content)
        if not all(isinstance(array, np.ndarray) for array in arrays.values()):
            raise ValueError("a zip of other files")
        return arrays
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise UserError(
            f"{path}: this semantic prior is damaged, or not a .npz or .npy of plain "
            "numbers; get or write it again"
        ) from error


def _checked_rows(path: Path, values: np.ndarray) -> np.ndarray:
    """(N, 20) distributions in float32, rows normalised."""
    if values.ndim != 2 or values.shape[1] != NUM_LABELS:
        raise UserError(
            f"{path}: a semantic prior has shape (N, {NUM_LABELS}), this one "
            f"{values.shape}; give one row a vertex or face, one column a label"
        )
    if values.dtype.kind not in "fiu" or not np.isfinite(values).all():
        raise UserError(
            f"{path}: this semantic prior holds values that are not finite numbers; "
            "get or write it again"
        )
    if values.min(initial=0) < 0:
        raise UserError(
            f"{path}: this semantic prior holds negative probabilities; get or write "
            "it again"
        )
    rows = values.astype(np.float64)
    sums = rows.sum(1, keepdims=True)
    return (rows / np.where(sums > 0, sums, 1)).astype(np.float32)
