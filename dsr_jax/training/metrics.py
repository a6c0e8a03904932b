"""metrics.jsonl and TensorBoard events, continued without doubled steps."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from tensorboardX import SummaryWriter

from dsr_jax.arrays import UInt8
from dsr_jax.files import write_bytes
from dsr_jax.hosts import is_first_host

METRICS_FILE = "metrics.jsonl"


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The records of a metrics file, without a line that a crash cut short."""
    records = []
    for line in path.read_text().splitlines():
        try:
            records.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return records


class MetricWriter:
    """Appends one record a call to metrics.jsonl and to the TensorBoard events.

    A run that continues at step k first drops every record beyond k: those steps are
    computed again, and would otherwise appear twice. Of the processes of a job, the
    first one writes.
    """

    def __init__(self, workdir: Path, first_step: int):
        self._writes = is_first_host()
        if not self._writes:
            return
        self._path = workdir / METRICS_FILE
        if self._path.exists():
            kept = [r for r in read_metrics(self._path) if r["step"] <= first_step]
            lines = "".join(json.dumps(record) + "\n" for record in kept)
            write_bytes(self._path, lines.encode())
        self._file = open(self._path, "a")  # noqa: SIM115
        self._events = SummaryWriter(str(workdir), purge_step=first_step + 1)

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Records `values` (name to number) at `step`."""
        if not self._writes:
            return
        self._file.write(json.dumps({"step": step, **values}) + "\n")
        self._file.flush()
        for name, value in values.items():
            self._events.add_scalar(name, value, step)

    def picture(self, step: int, name: str, image: UInt8[np.ndarray, "H W 3"]) -> None:
        """Shows a picture in TensorBoard."""
        if self._writes:
            self._events.add_image(name, image, step, dataformats="HWC")

    def close(self) -> None:
        """Flushes and closes both files."""
        if self._writes:
            self._file.close()
            self._events.close()
