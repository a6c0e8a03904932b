"""Reading one checkpoint, by all processes of a job together, and verifying it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dsr_jax.errors import UserError
from dsr_jax.hosts.agreement import Agreement
from dsr_jax.training.checkpoint.arrays import item_shapes, read_item
from dsr_jax.training.checkpoint.damage import Damaged
from dsr_jax.training.checkpoint.items import REGRESSOR, Item
from dsr_jax.training.checkpoint.leaves import Leaves, leaves_of
from dsr_jax.training.checkpoint.record import Record, check_files, read_record


def read_checkpoint(
    place: Path, abstract: dict[str, Item], agreement: Agreement
) -> tuple[dict[str, Item], Record]:
    """Some items of a checkpoint, exactly as they were saved.

    Args:
      place: folder of the checkpoint.
      abstract: shapes, types and shardings of the items that are wanted.
      agreement: of the processes, which all succeed or all fail.

    Raises:
      Damaged: a file or an array is not what was written.
      UserError: the arrays have other names, shapes or types than `abstract`.
    """
    # One process reads all bytes for the digests, each only what it needs thereafter.
    agreement.by_first(lambda: check_files(place, read_record(place), abstract))
    record = agreement.by_all(lambda: read_record(place))
    for name, item in abstract.items():
        _check_same_arrays(place, record, name, item)
    items = agreement.by_all(
        lambda: {name: read_item(place / name, item) for name, item in abstract.items()}
    )
    found = leaves_of(items, agreement)
    agreement.by_all(lambda: _check_fingerprints(found, record))
    return items, record


def read_old_item(place: Path, abstract: Item) -> Item:
    """The regressor of a checkpoint of an earlier version, which has no record.

    Raises:
      Damaged: Orbax cannot read it.
      UserError: the arrays have other names or shapes than `abstract`.
    """
    saved = item_shapes(place / REGRESSOR)
    for path in sorted(abstract.keys() | saved.keys()):
        ours = str(tuple(abstract[path].shape)) if path in abstract else "nothing"
        theirs = str(saved[path]) if path in saved else "nothing"
        _check_same(place, path, theirs, ours)
    return read_item(place / REGRESSOR, abstract)


def _check_same_arrays(
    place: Path, record: Record, name: str, item: Mapping[str, Any]
) -> None:
    saved = record.leaves.get(name, {})
    for path in sorted(item.keys() | saved.keys()):
        ours = theirs = "nothing"
        if path in item:
            ours = f"{item[path].dtype} {tuple(item[path].shape)}"
        if path in saved:
            theirs = f"{saved[path].dtype} {tuple(saved[path].shape)}"
        _check_same(place, path, theirs, ours)


def _check_same(place: Path, path: str, theirs: str, ours: str) -> None:
    if ours != theirs:
        raise UserError(
            f"{place}: holds {theirs} for '{path}' where the config's network has "
            f"{ours}; give the config of this run"
        )


def _check_fingerprints(found: Leaves, record: Record) -> None:
    for name, leaves in found.items():
        for path, leaf in leaves.items():
            if leaf != record.leaves[name][path]:
                raise Damaged(
                    f"'{path}' has another fingerprint than when it was saved"
                )
