"""`parsing.json`: what made a folder of label maps, and what became of the photos."""

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from dsr_jax.errors import UserError
from dsr_jax.files import read_bytes, write_bytes

RECORD_FILE = "parsing.json"
_VERSION = 1


def open_record(
    folder: Path, made_by: dict[str, Any], names: Collection[str], overwrite: bool
) -> dict[str, Any]:
    """The record of a folder that is to be filled or filled on; nothing is written.

    Args:
      folder: of label maps.
      made_by: model, settings and all else that decides the labels.
      names: the label maps to make, relative to the folder.
      overwrite: forget how these were made before.

    Raises:
      UserError: the folder holds label maps that were made otherwise, and they are not
        all to be replaced.
    """
    made_by = json.loads(json.dumps(made_by))
    new = {"version": _VERSION, "made_by": made_by, "broken": {}, "void": []}
    present = {path.relative_to(folder).as_posix() for path in folder.rglob("*.png")}
    if not present - set(names) if overwrite else not present:
        return new
    if not (folder / RECORD_FILE).exists():
        raise UserError(
            f"{folder}: holds label maps but no {RECORD_FILE}; give another --output, "
            "or --overwrite to replace those of the same photos"
        )
    record = read_record(folder)
    if record["made_by"] != made_by:
        key = _first_difference(record["made_by"], made_by)
        remedy = "" if overwrite else ", or --overwrite to replace them"
        raise UserError(
            f"{folder}: holds label maps that were made with another '{key}'; give "
            f"another --output{remedy}"
        )
    return new if overwrite else record


def read_record(folder: str | Path) -> dict[str, Any]:
    """The content of a folder's record.

    Raises:
      UserError: it is missing or damaged.
    """
    path = Path(folder) / RECORD_FILE
    try:
        record = json.loads(read_bytes(path, "record"))
        made_by = record["made_by"]
        usable = isinstance(made_by, dict) and record["version"] == _VERSION
    except (ValueError, KeyError, TypeError):
        usable = False
    if not usable:
        raise UserError(
            f"{path}: damaged, or of another version; give another --output"
        )
    return record


def write_record(folder: Path, record: dict[str, Any]) -> None:
    """Writes the record; it appears whole.

    Raises:
      UserError: the folder cannot be written to.
    """
    text = json.dumps(record, indent=2, ensure_ascii=False)
    write_bytes(folder / RECORD_FILE, f"{text}\n".encode())


def _first_difference(old: dict[str, Any], new: dict[str, Any]) -> str:
    for key in (*new, *old):
        before, after = old.get(key), new.get(key)
        if before != after:
            if isinstance(before, dict) and isinstance(after, dict):
                return f"{key}.{_first_difference(before, after)}"
            return key
    return "version"
