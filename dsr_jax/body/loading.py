"""One door to every body: the free bodies by name, SMPL's by file."""

import dataclasses
import os
import pathlib

from dsr_jax.body.free_body import FREE_BODIES, load_free_body
from dsr_jax.body.model import BodyModel
from dsr_jax.body.smpl_file import load_smpl_file
from dsr_jax.body.smpl_joint_sets import smpl_joint_sets
from dsr_jax.errors import UserError, nearest


def load_body(
    name_or_path: str | os.PathLike[str],
    extra_regressor: str | os.PathLike[str] | None = None,
    h36m_regressor: str | os.PathLike[str] | None = None,
) -> BodyModel:
    """Loads a body model in float32.

    Args:
      name_or_path: `free`, `free-lite`, or the path of an SMPL `.pkl` or `.npz`; the
        gender is that of the file.
      extra_regressor: `J_regressor_extra.npy` (9, 6890), for SMPL files: adds the
        joint sets `joints49` and `gt24`.
      h36m_regressor: `J_regressor_h36m.npy` (17, 6890), for SMPL files: adds `h36m17`
        and `lsp14`.

    Raises:
      UserError: no such body or file, or a file that is not what it should be; no file
        is trusted, and none can run code.
    """
    name = os.fspath(name_or_path)
    if name in FREE_BODIES:
        if extra_regressor is not None or h36m_regressor is not None:
            raise UserError(
                f"body '{name}' has its own joint sets: give regressor files only with "
                "an SMPL file"
            )
        return load_free_body(name)
    path = pathlib.Path(name)
    if not path.suffix and not path.exists():
        raise UserError(f"body '{name}' is unknown: {nearest(name, FREE_BODIES)}")
    model = load_smpl_file(path)
    joint_sets = smpl_joint_sets(
        model, _optional_path(extra_regressor), _optional_path(h36m_regressor)
    )
    return dataclasses.replace(model, joint_sets=joint_sets)


def _optional_path(path: str | os.PathLike[str] | None) -> pathlib.Path | None:
    return None if path is None else pathlib.Path(path)
