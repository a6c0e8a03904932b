"""TensorBoard events, written at once and by the caller.

tensorboardX's own writer hands them to a thread, which a full disk ends with a
traceback; the eleventh event after that is waited for without end.
"""

import socket
import struct
import time
from pathlib import Path

import numpy as np
from tensorboardX import summary
from tensorboardX.proto.event_pb2 import Event, SessionLog
from tensorboardX.proto.summary_pb2 import Summary
from tensorboardX.record_writer import masked_crc32c

from dsr_jax.arrays import UInt8
from dsr_jax.training.append_file import AppendFile

_VERSION = "brain.Event:2"


class EventFile:
    """A new events file in a folder; TensorBoard reads all of them as one run."""

    def __init__(self, folder: Path, purge_step: int):
        """Events of earlier files from `purge_step` on are hidden.

        Raises:
          UserError: the file cannot be made.
        """
        name = f"events.out.tfevents.{time.time_ns() / 1e9:.6f}.{socket.gethostname()}"
        self._file = AppendFile(folder / name)
        self._add(Event(file_version=_VERSION))
        start = SessionLog(status=SessionLog.START)
        self._add(Event(step=purge_step, session_log=start))

    def scalar(self, step: int, name: str, value: float) -> None:
        """Adds a number; raises as `AppendFile.append`."""
        self._add(Event(step=step, summary=summary.scalar(name, value)))

    def picture(self, step: int, name: str, image: UInt8[np.ndarray, "H W 3"]) -> None:
        """Adds a picture; raises as `AppendFile.append`."""
        shown: Summary = summary.image(name, image, dataformats="HWC")
        self._add(Event(step=step, summary=shown))

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def _add(self, event: Event) -> None:
        """Adds a record of TFRecord's form."""
        event.wall_time = time.time()
        content = event.SerializeToString()
        length = struct.pack("<Q", len(content))
        self._file.append(length + _checksum(length) + content + _checksum(content))


def _checksum(content: bytes) -> bytes:
    return struct.pack("<I", masked_crc32c(content))
