"""What hosts tell each other through their devices; every host must call each.

For the main thread, between steps, and for any amount of data. What a thread in the
background has to say goes by `agreement`. On one host nothing is sent.
"""

import json
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils

from dsr_jax.arrays import Float


def gather_bytes(content: bytes) -> list[bytes]:
    """The content of every host, by host.

    Args:
      content: of any length below 2³¹; every process has as many devices as the others.
    """
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


def gather_json(value: Any) -> list[Any]:
    """The value of every host, by host; of JSON's types."""
    return [json.loads(part) for part in gather_bytes(json.dumps(value).encode())]


def sum_over_hosts(values: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    """The sum in float64, added in the order of the hosts; one shape on all of them."""
    own = np.ascontiguousarray(values, np.float64)
    # As bytes: JAX would round 64-bit numbers to 32.
    parts = [np.frombuffer(part, np.float64) for part in gather_bytes(own.tobytes())]
    return np.sum(parts, axis=0).reshape(own.shape)
