"""What hosts tell each other outside of compiled steps; every host must call each.

JAX joins the hosts (`jax.distributed`); on one host nothing is sent.
"""

import jax
import numpy as np
from jax.experimental import multihost_utils

from dsr_jax.arrays import Float
from dsr_jax.errors import UserError


def gather_bytes(content: bytes) -> list[bytes]:
    """The content of every host, by host; any lengths."""
    if jax.process_count() == 1:
        return [content]
    own = np.array([len(content)], np.int32)
    lengths = np.asarray(multihost_utils.process_allgather(own)).reshape(-1)
    if not lengths.any():
        return [b""] * len(lengths)
    padded = np.zeros(lengths.max(), np.uint8)
    padded[: len(content)] = np.frombuffer(content, np.uint8)
    rows = np.asarray(multihost_utils.process_allgather(padded))
    return [row[:n].tobytes() for row, n in zip(rows, lengths, strict=True)]


def sum_over_hosts(values: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    """The sum in float64, added in the order of the hosts."""
    own = np.ascontiguousarray(values, np.float64)
    # As bytes: JAX would round 64-bit numbers to 32.
    parts = [np.frombuffer(part, np.float64) for part in gather_bytes(own.tobytes())]
    return np.sum(parts, axis=0).reshape(own.shape)


def first_line(line: str) -> str:
    """The line of the first host that has one; "" if none has."""
    lines = (content.decode() for content in gather_bytes(line.encode()))
    return next((said for said in lines if said), "")


def raise_together(failure: UserError | None) -> None:
    """Raises the mistake of the first host that met one, on every host."""
    line = first_line("" if failure is None else str(failure))
    if failure is not None and str(failure) == line:
        raise failure
    if line:
        raise UserError(line)
