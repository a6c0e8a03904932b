"""The command line of the scripts: a config file, its overrides, and plain flags.

Everything a user can mistype ends as one line: `absl` alone would show a traceback for
a missing config file and for an unknown `--config.section.key`.
"""

import argparse
import importlib.util
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from absl import app, flags, logging
from ml_collections import ConfigDict

from dsr_jax.errors import UserError, nearest, one_line_errors

OVERRIDE = "--config."


class OneLineParser(argparse.ArgumentParser):
    """Without the usage that Python's own prints before the mistake."""

    def error(self, message: str) -> NoReturn:
        """Ends the process with code 2 and one line."""
        self.exit(2, f"error: command line: {message}; see {self.prog} --help\n")


def load_config_file(path: str) -> ConfigDict:
    """Runs `get_config()` of a config file.

    Raises:
      UserError: no such file, not a Python file, it fails, or it lacks `get_config`.
    """
    file = Path(path)
    if not file.is_file():
        raise UserError(f"--config {path}: no such file; give one like configs/dsr.py")
    spec = importlib.util.spec_from_file_location("dsr_jax_config", file)
    if file.suffix != ".py" or spec is None or spec.loader is None:
        raise UserError(f"--config {path}: not a Python file; give one ending in .py")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        config = module.get_config()
    except Exception as error:
        raise UserError(
            f"--config {path}: fails with {type(error).__name__}: {error}; correct the "
            "file (it must define get_config())"
        ) from error
    if not isinstance(config, ConfigDict):
        raise UserError(
            f"--config {path}: get_config() returns a {type(config).__name__}; return "
            "an ml_collections.ConfigDict"
        )
    return config


def check_override(config: ConfigDict, dotted: str) -> None:
    """Refuses an override `section.key` that the config does not have.

    Raises:
      UserError: names the nearest key.
    """
    node = config
    parts = dotted.split(".")
    for depth, part in enumerate(parts):
        if not isinstance(node, ConfigDict) or part not in node:
            known = list(node) if isinstance(node, ConfigDict) else []
            path = ".".join(parts[: depth + 1])
            raise UserError(
                f"{OVERRIDE}{dotted}: config key '{path}' is unknown: "
                f"{nearest(part, known)}"
            )
        node = node[part]


def parse_command_line(argv: Sequence[str]) -> list[str]:
    """`absl`'s flag parser with every mistake told in one line.

    Raises:
      UserError: an unknown flag or key, a missing or bad value, a stray argument, a
        config file that cannot be loaded.
      SystemExit: with code 0, after printing the flags, if help is asked for.
    """
    if {"--help", "-help", "-h"} & set(argv[1:]):
        app.usage(shorthelp=True, writeto_stdout=True, exitcode=0)
    path = _flag_value(argv, "config")
    if path is not None:
        config = load_config_file(path)
        for argument in argv[1:]:
            if argument.startswith(OVERRIDE):
                check_override(config, argument[len(OVERRIDE) :].split("=")[0])
    try:
        remaining = flags.FLAGS(list(argv))
    except flags.Error as error:
        raise UserError(f"command line: {error}") from error
    if not flags.FLAGS["verbosity"].present:
        # Below errors, JAX and Orbax tell of what they tried and how they work.
        logging.set_verbosity(logging.ERROR)
    if len(remaining) > 1:
        raise UserError(
            f"command line: {remaining[1]!r} is not a flag; write --name=value"
        )
    return remaining


def run_script(main: Callable[[list[str]], int | None]) -> None:
    """Runs a script's `main`; a user's mistake is one line and exit code 2."""
    with one_line_errors():
        app.run(main, flags_parser=parse_command_line)


def default_config(path: Path) -> None:
    """Puts `--config` on the command line if it is not there.

    A default of the flag itself would be read while the script is still imported, where
    a misspelt override ends in a traceback.
    """
    if _flag_value(sys.argv, "config") is None:
        sys.argv.insert(1, f"--config={path}")


def join_values(name: str, count: int) -> None:
    """Lets `--name A B` mean `--name=A,B`, the form that absl has for lists."""
    for start, argument in enumerate(sys.argv):
        values = sys.argv[start + 1 : start + 1 + count]
        alone = not any(value.startswith("-") for value in values)
        if argument in (f"--{name}", f"-{name}") and len(values) == count and alone:
            sys.argv[start : start + 1 + count] = [f"--{name}={','.join(values)}"]
            return


def require(**values: object) -> None:
    """Refuses a flag that was left out.

    Raises:
      UserError: names the first flag without a value.
    """
    for name, value in values.items():
        if value is None:
            script = Path(sys.argv[0]).name
            raise UserError(f"command line: --{name} is missing; see {script} --help")


def _flag_value(argv: Sequence[str], name: str) -> str | None:
    for index, argument in enumerate(argv):
        if argument in (f"--{name}", f"-{name}") and index + 1 < len(argv):
            return argv[index + 1]
        for prefix in (f"--{name}=", f"-{name}="):
            if argument.startswith(prefix):
                return argument[len(prefix) :]
    return None
