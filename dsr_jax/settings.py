"""From a config section to a frozen settings dataclass, with no silent default.

A config is a typed Python value: every section names every field of its settings class.
A misspelt or missing key stops the program at the start and names the nearest.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeVar

from dsr_jax.errors import UserError, nearest

Settings = TypeVar("Settings")


def settings_from_config(
    cls: type[Settings], section: Mapping[str, Any], name: str
) -> Settings:
    """Builds `cls` from a config section; `name` is the section's path, for errors.

    Raises:
      UserError: a key that `cls` does not know, a field that the section lacks, or a
        value that `cls` refuses (its `__post_init__` raises ValueError).
    """
    fields = {field.name for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    given = dict(section)
    for key in given:
        if key not in fields:
            raise UserError(
                f"config key '{name}.{key}' is unknown: {nearest(key, fields)}"
            )
    missing = sorted(fields - set(given))
    if missing:
        raise UserError(
            f"config section '{name}' lacks the key '{missing[0]}': add it "
            "(every config file names every key)"
        )
    plain = {k: tuple(v) if isinstance(v, list) else v for k, v in given.items()}
    try:
        return cls(**plain)
    except (TypeError, ValueError) as error:
        raise UserError(f"config section '{name}': {error}") from error
