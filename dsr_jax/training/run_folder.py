"""The folder of a run: its config, its checkpoints, and who may continue it.

config.json      the config that the run was started with
data.json        name, length and share of each data set in files
metrics.jsonl    one record a line; events.* are the same for TensorBoard
checkpoints/     the latest state and the best one
pictures/        panels: image, labels, rendered semantics, overlay, side view
"""

import contextlib
import json
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from dsr_jax.data import check_same_data
from dsr_jax.errors import UserError
from dsr_jax.files import to_blame, write_bytes
from dsr_jax.training.checkpoint.folder import CHECKPOINTS, has_checkpoint

# How late a file may appear on the other machines.
_SHARED_SECONDS = 30.0

CONFIG_FILE = "config.json"
DATA_FILE = "data.json"
PICTURES = "pictures"
STEPS_KEY = "training.steps"
# What one changes to save a run that has blown up, the state's form being the same; who
# reads the data, which are the same whoever does; what fits a run to another machine;
# and what is kept of it.
CHANGEABLE_KEYS = (
    *("optimizer.learning_rate", "optimizer.clip_norm"),
    *("data.workers", "data.worker_processes", "data.timeout_seconds"),
    *("training.accumulate", "training.parameters"),
    *("training.keep_latest", "training.keep_best", "training.keep_every"),
    *("training.log_every", "training.checkpoint_every", "training.pictures_every"),
)
NETWORK_SECTIONS = ("regressor", "body")
# Of those sections, what plays a part in evaluation alone.
EVALUATION_KEYS = ("male", "female")


def open_run_folder(workdir: str, config: ConfigDict) -> Path:
    """Creates a run's folder, or continues the run that is in it.

    Args:
      workdir: the folder of the run.
      config: if the folder has a checkpoint, it must equal the folder's config.json,
        but may ask for more steps, another learning rate, or clipped gradients.

    Returns:
      The absolute path; config.json then holds `config`.

    Raises:
      UserError: the folder cannot be made or written, holds something else, or holds a
        run with another config.
    """
    folder = Path(workdir).expanduser().absolute()
    try:
        for path in (folder, folder / PICTURES, folder / CHECKPOINTS):
            path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise to_blame(error)(
            f"--workdir {workdir}: cannot be made ({error.strerror}); give a folder "
            "you can write to"
        ) from error
    text = _config_text(config)
    file = folder / CONFIG_FILE
    # Without a checkpoint there is nothing to continue: the config may be corrected.
    if file.exists() and has_checkpoint(folder / CHECKPOINTS):
        _check_same_run(file, dict(_flatten(json.loads(text))))
    write_bytes(file, text.encode())
    return folder


def check_shared(folder: Path, config: ConfigDict) -> None:
    """Refuses a folder that this machine does not share with the first process.

    Args:
      folder: of the run, which the first process has opened.
      config: of the run.

    Raises:
      UserError: its config.json is not here, or is another.
    """
    text = _config_text(config)
    # Network file systems show a new file late.
    deadline = time.monotonic() + _SHARED_SECONDS
    while True:
        with contextlib.suppress(OSError):
            if (folder / CONFIG_FILE).read_text() == text:
                return
        if time.monotonic() > deadline:
            raise UserError(
                f"{folder / CONFIG_FILE}, which the first process wrote, is missing or "
                f"differs on {socket.gethostname()}: give a --workdir on a file "
                "system that all machines share, and the same config to all processes"
            )
        time.sleep(0.1)


def keep_same_data(folder: Path, datasets: Sequence[Mapping[str, Any]]) -> None:
    """Refuses to continue a run with other data, and notes the data of a new one.

    A checkpoint knows how many examples the run has seen, and these data sets which
    they were: other data under the same names would give it a stream with gaps.

    Args:
      folder: of the run.
      datasets: name, length and share of each, as `ExampleOrder.state` gives them.

    Raises:
      UserError: the run that the folder holds began with other data.
    """
    file = folder / DATA_FILE
    if file.exists() and has_checkpoint(folder / CHECKPOINTS):
        try:
            check_same_data(_read_json(file).get("datasets", []), datasets)
        except UserError as error:
            raise UserError(f"{file}: {error}") from error
    text = json.dumps({"datasets": list(datasets)}, indent=2) + "\n"
    write_bytes(file, text.encode())


def read_run_config(workdir: str | Path) -> ConfigDict:
    """The config of an existing run, tuples again where the config file had them.

    Raises:
      UserError: no such folder, not a run's folder, or a damaged config.json.
    """
    folder = Path(workdir).expanduser()
    file = folder / CONFIG_FILE
    if not folder.is_dir():
        raise UserError(f"{workdir}: no such folder; give the --workdir of a training")
    if not file.is_file():
        raise UserError(
            f"{workdir}: holds no {CONFIG_FILE}, so it is not the folder of a run; "
            "give the --workdir of a training"
        )
    return ConfigDict(_with_tuples(_read_json(file)))


def check_same_network(folder: Path, given: ConfigDict, trained: ConfigDict) -> None:
    """Refuses a config that describes another network or body than the trained one.

    Args:
      folder: of the run, for the message.
      given: what the user asks for.
      trained: the run's own config.

    Raises:
      UserError: names the first key that differs.
    """
    for section in NETWORK_SECTIONS:
        keys = differing_keys(*(dict(c.get(section, {})) for c in (trained, given)))
        for key, old, new in keys:
            if section == "body" and key in EVALUATION_KEYS:
                continue
            raise UserError(
                f"{folder / CONFIG_FILE}: config key '{section}.{key}' is {old!r} in "
                f"this training and {new!r} in --config; give the training's config"
            )


def differing_keys(
    ours: Mapping[str, Any], theirs: Mapping[str, Any]
) -> list[tuple[str, Any, Any]]:
    """Dotted keys whose values differ, with both values; None where one lacks it."""
    first, second = dict(_flatten(ours)), dict(_flatten(theirs))
    return [
        (key, first.get(key), second.get(key))
        for key in sorted(first.keys() | second.keys())
        if first.get(key) != second.get(key)
    ]


def _config_text(config: ConfigDict) -> str:
    return json.dumps(config.to_dict(), indent=2) + "\n"


def _check_same_run(file: Path, now: Mapping[str, Any]) -> None:
    before = dict(_flatten(_read_json(file)))
    for key, old, new in differing_keys(before, now):
        if key == STEPS_KEY and old is not None and new > old:
            continue
        if key in CHANGEABLE_KEYS and old is not None and new is not None:
            continue
        action = "ask for more, not fewer" if key == STEPS_KEY else "use the old value"
        raise UserError(
            f"{file}: config key '{key}' is {old!r} in the run that this folder holds "
            f"and {new!r} now; {action}, or give another --workdir"
        )


def _read_json(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise UserError(
            f"{file}: cannot be read as JSON ({error}); restore it or start a new run"
        ) from error
    if not isinstance(content, dict):
        raise UserError(f"{file}: holds no config; restore it or start a new run")
    return content


def _flatten(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        path = f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{path}.")
        else:
            yield path, list(value) if isinstance(value, tuple) else value


def _with_tuples(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _with_tuples(item) for key, item in value.items()}
    if isinstance(value, list):
        return tuple(_with_tuples(item) for item in value)
    return value
