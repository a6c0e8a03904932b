"""metrics.jsonl and TensorBoard events, continued without doubled steps."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dsr_jax.arrays import UInt8
from dsr_jax.files import read_bytes, write_bytes
from dsr_jax.hosts import is_first_host
from dsr_jax.training.append_file import AppendFile
from dsr_jax.training.events import EventFile

METRICS_FILE = "metrics.jsonl"


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The records of a metrics file, without lines that a crash cut short.

    Raises:
      UserError: the file cannot be read.
    """
    return _split(path)[0]


class MetricWriter:
    """Appends one record a call to metrics.jsonl and to the TensorBoard events.

    A run that continues at step k first drops every record beyond k: those steps are
    computed again, and would otherwise appear twice. Of the processes of a job, the
    first one writes.
    """

    def __init__(self, workdir: Path, first_step: int):
        """Tells standard error of damaged lines, which it drops.

        Raises:
          UserError: a file cannot be read or written.
        """
        self._writes = is_first_host()
        if not self._writes:
            return
        path = workdir / METRICS_FILE
        if path.exists():
            _drop_after(path, first_step)
        self._file = AppendFile(path)
        self._events = EventFile(workdir, first_step + 1)

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Records `values` (name to number) at `step`.

        Raises:
          UserError: a file was deleted.
          EnvironmentFault: the disk is full or lost.
        """
        if not self._writes:
            return
        self._file.append((json.dumps({"step": step, **values}) + "\n").encode())
        for name, value in values.items():
            self._events.scalar(step, name, value)

    def picture(self, step: int, name: str, image: UInt8[np.ndarray, "H W 3"]) -> None:
        """Shows a picture in TensorBoard; raises as `write`."""
        if self._writes:
            self._events.picture(step, name, image)

    def close(self) -> None:
        """Closes both files."""
        if self._writes:
            self._file.close()
            self._events.close()


def _drop_after(path: Path, step: int) -> None:
    records, damaged = _split(path)
    if damaged:
        print(f"{path}: {damaged} damaged line(s) dropped", file=sys.stderr)
    kept = [record for record in records if record["step"] <= step]
    lines = "".join(json.dumps(record) + "\n" for record in kept)
    write_bytes(path, lines.encode())


def _split(path: Path) -> tuple[list[dict[str, Any]], int]:
    """The records, and how many lines are none."""
    records, damaged = [], 0
    for line in read_bytes(path, "file of metrics").splitlines():
        try:
            record = json.loads(line)
            records.append({**record, "step": int(record["step"])})
        except (ValueError, TypeError, KeyError):
            damaged += 1
    return records, damaged
