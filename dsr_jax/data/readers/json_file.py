"""Untrusted json: whole files, and arrays out of their values."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from dsr_jax.arrays import Float
from dsr_jax.errors import UserError
from dsr_jax.files import read_bytes


def read_json_lists(path: Path, keys: tuple[str, ...], what: str) -> list[list[Any]]:
    """The lists under some keys of a file that holds an object.

    Args:
      path: the file.
      keys: which lists are needed.
      what: names the kind of file in errors.

    Raises:
      UserError: no such file, no json, or a list is missing.
    """
    try:
        content = json.loads(read_bytes(path, what))
    except (ValueError, RecursionError) as error:
        raise UserError(
            f"{path}: is not valid json: {error}; fetch this {what} again"
        ) from error
    if not isinstance(content, dict):
        raise UserError(f"{path}: holds no json object: not a {what}")
    for key in keys:
        if not isinstance(content.get(key), list):
            raise UserError(f"{path}: lacks the list '{key}': not a {what}")
    return [content[key] for key in keys]


def numbers(
    row: dict[str, Any], key: str, shape: tuple[int, ...]
) -> Float[np.ndarray, "*shape"]:
    """The finite numbers of a key in double precision, in the shape given.

    Raises:
      ValueError: they are not there, not as many, not finite, or no numbers.
    """
    try:
        array = np.asarray(row[key], np.float64)
    except KeyError as error:
        raise ValueError(f"it lacks '{key}'") from error
    except (ValueError, TypeError, OverflowError) as error:
        raise ValueError(f"its '{key}' holds no numbers") from error
    if array.size != np.prod(shape):
        raise ValueError(f"its '{key}' has {array.size} numbers, not {np.prod(shape)}")
    if not np.isfinite(array).all():
        raise ValueError(f"its '{key}' is not finite")
    return array.reshape(shape)
