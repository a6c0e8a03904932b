"""`parsing.json`: what made a folder of label maps, and what became of the photos."""

import json
from pathlib import Path
from typing import Any

from dsr_jax.errors import UserError
from dsr_jax.files import read_bytes, write_bytes

RECORD_FILE = "parsing.json"
_VERSION = 1


def open_record(
    folder: Path, made_by: dict[str, Any], overwrite: bool
) -> dict[str, Any]:
    """The record of a folder that is to be filled or filled on; a new one is written.

    Args:
      folder: of label maps.
      made_by: model, settings and all else that decides the labels.
      overwrite: forget what is there.

    Raises:
      UserError: the folder was made otherwise, or by another program.
    """
    made_by = json.loads(json.dumps(made_by))
    path = folder / RECORD_FILE
    if not path.exists() or overwrite:
        if not overwrite and any(folder.rglob("*.png")):
            raise UserError(
                f"{folder}: holds label maps but no {RECORD_FILE}; give another "
                "--output, or --overwrite to replace them"
            )
        new = {"version": _VERSION, "made_by": made_by, "broken": {}, "void": []}
        write_record(folder, new)
        return new
    record = read_record(folder)
    if record["made_by"] != made_by:
        key = _first_difference(record["made_by"], made_by)
        raise UserError(
            f"{path}: these label maps were made with another '{key}'; give another "
            "--output, or --overwrite to replace them"
        )
    return record


def read_record(folder: Path) -> dict[str, Any]:
    """The content of a folder's record.

    Raises:
      UserError: it is missing or damaged.
    """
    path = folder / RECORD_FILE
    try:
        record = json.loads(read_bytes(path, "record"))
        made_by = record["made_by"]
        usable = isinstance(made_by, dict) and record["version"] == _VERSION
    except (ValueError, KeyError, TypeError):
        usable = False
    if not usable:
        raise UserError(
            f"{path}: damaged, or of another version; give another --output, or "
            "--overwrite to start anew"
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
