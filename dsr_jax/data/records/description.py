"""What `dataset_info.json` and `features.json` say, read as data and nothing else.

`tensorflow_datasets` imports the modules that `features.json` names, which may be
anything: it never sees a folder that a user gives. Shards are read by their names and
lengths alone, and records by `FIELDS`.
"""

import json
import re
from pathlib import Path
from typing import Any

from dsr_jax.data.records.fields import FIELDS, VERSION
from dsr_jax.data.records.journal import DATASET, SPLIT_NAME
from dsr_jax.errors import UserError
from dsr_jax.files import read_bytes

INFO_FILE, FEATURES_FILE = "dataset_info.json", "features.json"
_FILE_FORMAT = "array_record"
_FILE_NAMES = "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}"
# An int64 of protobuf is a string in JSON.
_LENGTH = re.compile(r"\d{1,18}", re.ASCII)


def read_description(folder: Path) -> dict[str, tuple[int, ...]]:
    """The splits by name: how many records each shard has.

    Raises:
      UserError: a file is missing or damaged, or describes something else than records
        of people of this version.
    """
    info, names = _read(folder)
    version = info["version"]
    if info["name"] != DATASET:
        raise UserError(
            f"{folder}: holds the data set '{info['name']}', not records of people; "
            "build those with tools/build_records.py"
        )
    if version.split(".")[0] != VERSION.split(".")[0] or not set(FIELDS) <= names:
        raise UserError(
            f"{folder}: holds records of version {version}, this program reads "
            f"{VERSION}; build them anew with tools/build_records.py"
        )
    if info["fileFormat"] != _FILE_FORMAT:
        raise UserError(
            f"{folder}: holds files of format '{info['fileFormat']}', not "
            f"'{_FILE_FORMAT}'; build the records anew"
        )
    return info["splits"]


def _read(folder: Path) -> tuple[dict[str, Any], set[str]]:
    """The description, its splits as in `read_description`, and names of features."""
    try:
        stored = json.loads(read_bytes(folder / INFO_FILE, "description of records"))
        features = json.loads(read_bytes(folder / FEATURES_FILE, "list of features"))
        names = set(features["featuresDict"]["features"])
        info = {key: stored[key] for key in ("name", "version", "fileFormat")}
        if not all(isinstance(value, str) for value in info.values()):
            raise ValueError("a text is none")
        if not re.fullmatch(r"\d+\.\d+\.\d+", info["version"]):
            raise ValueError("a version is none")
        splits = {split["name"]: _lengths(split) for split in stored["splits"]}
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(
            f"{folder}: {INFO_FILE} or {FEATURES_FILE} is damaged; build the records "
            "anew"
        ) from error
    return info | {"splits": splits}, names


def _lengths(split: dict[str, Any]) -> tuple[int, ...]:
    """Of one split; a value error if a file of it could be another than ours."""
    if not re.fullmatch(SPLIT_NAME, split["name"]):
        raise ValueError("a split's name is none")
    if split.get("filepathTemplate", _FILE_NAMES) != _FILE_NAMES:
        raise ValueError("files have other names")
    lengths = split["shardLengths"]
    if not isinstance(lengths, list) or not all(
        isinstance(n, str) and _LENGTH.fullmatch(n) for n in lengths
    ):
        raise ValueError("a length is no number")
    return tuple(map(int, lengths))
