"""Writing one checkpoint, by all processes of a job together."""

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax

from dsr_jax.errors import EnvironmentFault, UserError
from dsr_jax.hosts.agreement import Agreement
from dsr_jax.training.checkpoint.arrays import finish_item, write_item
from dsr_jax.training.checkpoint.folder import PARTIAL, commit
from dsr_jax.training.checkpoint.items import Item
from dsr_jax.training.checkpoint.leaves import Leaves, leaves_of
from dsr_jax.training.checkpoint.record import (
    Record,
    digest_files,
    write_record,
)

_LONGEST_REASON = 200  # characters: tensorstore tells long stories


@dataclass(frozen=True)
class Draft:
    """A checkpoint that is to be written; fields as in `Record`."""

    step: int
    score: float | None
    best_step: int | None
    best_score: float | None
    data: dict[str, Any]
    items: dict[str, Item]
    """Copies of the arrays that nothing will change."""


def write_checkpoint(folder: Path, draft: Draft, agreement: Agreement) -> None:
    """Writes `draft` as `folder/<step>`, whole or not at all.

    Raises:
      EnvironmentFault: a process could not write its part.
      UserError: the folder is gone.
    """
    partial = folder / f"{draft.step}{PARTIAL}"

    def reported(action: Callable[[], None]) -> Callable[[], None]:
        return lambda: _report(action, folder, draft.step)

    try:
        agreement.by_first(reported(lambda: _begin(partial, draft)))
        agreement.by_all(reported(lambda: _write_parts(partial, draft)))
        leaves = leaves_of(draft.items, agreement)
        agreement.by_first(reported(lambda: _finish(partial, draft, leaves)))
    except UserError:
        if agreement.is_first:
            _remove(partial)
        raise


def _remove(partial: Path) -> None:
    """Tries for a second: threads of tensorstore may still be writing into it."""
    for _ in range(10):
        shutil.rmtree(partial, ignore_errors=True)
        if not partial.exists():
            return
        time.sleep(0.1)


def _begin(partial: Path, draft: Draft) -> None:
    if partial.exists():
        shutil.rmtree(partial)
    partial.mkdir()
    for name in draft.items:
        (partial / name).mkdir()


def _write_parts(partial: Path, draft: Draft) -> None:
    for name, item in draft.items.items():
        write_item(partial / name, item)


def _finish(partial: Path, draft: Draft, leaves: Leaves) -> None:
    for name in draft.items:
        finish_item(partial / name)
    record = Record(
        step=draft.step,
        score=draft.score,
        best_step=draft.best_step,
        best_score=draft.best_score,
        data=draft.data,
        processes=jax.process_count(),
        devices=jax.device_count(),
        leaves=leaves,
        files=digest_files(partial),
    )
    write_record(partial, record)
    commit(partial, partial.with_name(str(draft.step)))


def _report(action: Callable[[], None], folder: Path, step: int) -> None:
    try:
        action()
    # Orbax and tensorstore raise ValueError and others where a disk is full.
    except Exception as error:
        reason = " ".join(str(error).split())[:_LONGEST_REASON]
        # A folder that is there, and could be written when the run began: the disk.
        kind = EnvironmentFault if folder.is_dir() else UserError
        raise kind(
            f"{folder}: the checkpoint of step {step} cannot be written "
            f"({type(error).__name__}: {reason}); free some space or give another "
            "--workdir; earlier checkpoints are as they were"
        ) from error
