"""Every kind of data set by one name."""

import inspect
import types
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dsr_jax.data.readers.coco import open_coco
from dsr_jax.data.readers.eft import open_eft
from dsr_jax.data.readers.h36m import open_h36m
from dsr_jax.data.readers.mpi_inf_3dhp import open_mpi_inf_3dhp
from dsr_jax.data.readers.photographed import PhotographedPeople
from dsr_jax.data.readers.spin import open_spin
from dsr_jax.data.readers.threedpw import open_3dpw
from dsr_jax.data.spin_source import SpinSource
from dsr_jax.errors import UserError, nearest

# Each takes the root, the split, labels and broken, and options of its own.
KINDS: dict[str, Callable[..., PhotographedPeople | SpinSource]] = {
    "spin": open_spin,
    "coco": open_coco,
    "eft": open_eft,
    "h36m": open_h36m,
    "mpi-inf-3dhp": open_mpi_inf_3dhp,
    "3dpw": open_3dpw,
}


def open_people(
    kind: str,
    root: str | Path,
    split: str = "",
    *,
    labels: str | Path | None = None,
    broken: str = "stop",
    **options: Any,
) -> PhotographedPeople | SpinSource:
    """The people of a data set as it is downloaded.

    Args:
      kind: one of `KINDS`.
      root: the folder of the data set.
      split: which part of it; each kind says which it has, "" where it has none.
      labels: the folder of label maps: that of photo `a/b.jpg` is `a/b.png`.
      broken: what a broken file or annotation does: "stop" ends with one line, "skip"
        counts it in the source's `skipped`.
      options: those of the kind's own function, see there.

    Raises:
      UserError: an unknown kind, split or option, an option that cannot be, a folder
        that does not exist, nobody who can be used, or something broken with "stop".
    """
    if kind not in KINDS:
        raise UserError(f"data set '{kind}' is unknown: {nearest(kind, KINDS)}")
    parameters = inspect.signature(KINDS[kind]).parameters
    known = list(parameters)[4:]
    for name, value in options.items():
        if name not in known:
            raise UserError(
                f"data set '{kind}' has no option '{name}': {nearest(name, known)}"
            )
        if not _fits(value, parameters[name].annotation):
            raise UserError(
                f"data set '{kind}': the option '{name}' cannot be {value!r:.40}; see "
                "docs/data.md"
            )
    folder = None if labels is None else Path(labels)
    return KINDS[kind](Path(root), split, folder, broken, **options)


def _fits(value: Any, kind: Any) -> bool:
    """Whether an option is of its type; counts are not negative, paths not empty."""
    kinds = typing.get_args(kind) or (kind,)
    if any(isinstance(member, types.GenericAlias) for member in (kind, *kinds)):
        return True  # what a sequence holds is its reader's business
    if isinstance(value, bool):
        return kind is bool
    if isinstance(value, int):
        return isinstance(value, kind) and value >= 0
    if isinstance(value, str):
        return isinstance(value, kind) and bool(value) and "\0" not in value
    return isinstance(value, kind)
