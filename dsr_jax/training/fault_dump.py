"""The dump of a step that was not finite, from which it can be repeated.

faults/step_0000123/
fault.json       what was not finite, on which examples, the batch's names
state.npz        the state before the step, path → array
batch_00000.npz  this and more of them: each process's rows of the batch
"""

import dataclasses
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from dsr_jax.data import Batch
from dsr_jax.errors import UserError
from dsr_jax.files import read_bytes, write_bytes
from dsr_jax.hosts import is_first_host
from dsr_jax.npz_file import read_npz
from dsr_jax.training.checkpoint.items import from_item, to_item
from dsr_jax.training.devices import device_mesh
from dsr_jax.training.local_copy import local_copy
from dsr_jax.training.state import TrainState

FAULTS = "faults"
NOTES_FILE, STATE_FILE = "fault.json", "state.npz"
_ROWS = "rows"


def write_dump(
    workdir: Path, state: TrainState, batch: Batch, notes: Mapping[str, Any]
) -> Path:
    """Writes a dump; every process must call it, and the first writes the state.

    Args:
      workdir: folder of the run.
      state: before the step.
      batch: on the devices of all processes.
      notes: for `fault.json`; `step` names the folder.

    Returns:
      The folder.

    Raises:
      UserError: the folder cannot be written.
    """
    folder = workdir / FAULTS / f"step_{notes['step']:07d}"
    arrays = _on_first_host(state)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"{folder}: cannot be made ({error.strerror}), so that step "
            f"{notes['step']}, which is not finite, leaves no dump"
        ) from error
    name = f"batch_{jax.process_index():05d}.npz"
    write_bytes(folder / name, _npz(_local_rows(batch)))
    if is_first_host():
        write_bytes(folder / STATE_FILE, _npz(arrays))
        parts = {
            "processes": jax.process_count(),
            "devices": len(jnp.asarray(batch.image).sharding.device_set),
        }
        text = json.dumps({**notes, **parts}, indent=2) + "\n"
        # Last: a folder without it holds no whole dump.
        write_bytes(folder / NOTES_FILE, text.encode())
    return folder


def read_dump(
    folder: Path, like: TrainState
) -> tuple[TrainState, Batch, dict[str, Any]]:
    """State and whole batch on the host, and the notes.

    Args:
      folder: of `write_dump`.
      like: shapes of the run's state.

    Raises:
      UserError: a file is missing or damaged, or of another network.
    """
    notes = _read_notes(folder / NOTES_FILE)
    arrays = read_npz(folder / STATE_FILE, "dumped state")
    expected = to_item(like)
    for path in sorted(expected.keys() | arrays.keys()):
        ours = tuple(expected[path].shape) if path in expected else "nothing"
        theirs = tuple(arrays[path].shape) if path in arrays else "nothing"
        if ours != theirs:
            raise UserError(
                f"{folder / STATE_FILE}: holds {theirs} for '{path}' where the run's "
                f"network has {ours}; the dump is of another run"
            )
    return from_item(arrays, like), _read_batch(folder, notes), notes


def _read_batch(folder: Path, notes: Mapping[str, Any]) -> Batch:
    """The rows of all processes, in the order of the batch."""
    names = [field.name for field in dataclasses.fields(Batch)]
    parts = []
    for number in range(int(notes["processes"])):
        file = folder / f"batch_{number:05d}.npz"
        part = read_npz(file, "dumped batch")
        if missing := {*names, _ROWS} - part.keys():
            raise UserError(
                f"{file}: lacks '{min(missing)}', so it is no part of a dumped batch; "
                "copy the whole folder again"
            )
        parts.append(part)
    rows = np.concatenate([part[_ROWS] for part in parts])
    order = np.argsort(rows)
    if rows[order].tolist() != list(range(len(notes["batch"]))):
        raise UserError(
            f"{folder}: has {len(rows)} examples of {len(notes['batch'])}; copy the "
            "whole folder again"
        )
    return Batch(
        **{n: np.concatenate([part[n] for part in parts])[order] for n in names}
    )


def _read_notes(path: Path) -> dict[str, Any]:
    content = read_bytes(path, "note of a fault")
    try:
        notes: dict[str, Any] = json.loads(content)
        _check_notes(notes)
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{path}: is no note of a fault ({type(error).__name__}); give a folder "
            f"of a run's {FAULTS}/"
        ) from error
    return notes


def _check_notes(notes: Mapping[str, Any]) -> None:
    for key in ("step", "processes", "devices"):
        int(notes[key])
    for names in (notes["batch"], notes["examples"]):
        ", ".join(names)
    str(notes["not_finite"])


def _on_first_host(state: TrainState) -> dict[str, np.ndarray]:
    """The state's arrays by path, in the first process's memory; nothing elsewhere.

    One after the other: a state that is split over the devices need not fit into one.
    """
    one_device = device_mesh(jax.local_devices()[:1])
    arrays = {}
    for path, leaf in to_item(state).items():
        if not (leaf.is_fully_addressable or leaf.is_fully_replicated):
            leaf = local_copy(leaf, one_device)
        if is_first_host():
            arrays[path] = np.asarray(leaf)
    return arrays


def _local_rows(batch: Batch) -> dict[str, np.ndarray]:
    """This process's examples, with their places in the batch."""
    arrays: dict[str, np.ndarray] = {}
    for field in dataclasses.fields(Batch):
        leaf = getattr(batch, field.name)
        shards = sorted(leaf.addressable_shards, key=lambda s: s.index[0].start or 0)
        arrays[field.name] = np.concatenate([np.asarray(s.data) for s in shards])
        starts = [shard.index[0].start or 0 for shard in shards]
        arrays[_ROWS] = np.concatenate(
            [
                start + np.arange(len(shard.data))
                for start, shard in zip(starts, shards, strict=True)
            ]
        )
    return arrays


def _npz(arrays: Mapping[str, np.ndarray]) -> bytes:
    content = io.BytesIO()
    np.savez(content, allow_pickle=False, **dict(arrays))
    return content.getvalue()
