"""Errors of each person: rows that are exact whatever the batches and hosts were.

Rows are columns by name, all with one row a person:

    index                     number in the data set
    joints, pa_joints (N, J)  distance of each joint, mm, root- and Procrustes-aligned
    pve, pve_pelvis, pve_root mean distance of the vertices, mm; only of true bodies
"""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from dsr_jax.evaluation.alignment import similarity_align
from dsr_jax.evaluation.joint_errors import per_vertex_error, point_errors
from dsr_jax.evaluation.points import Points
from dsr_jax.hosts.exchange import gather_bytes

Rows = dict[str, np.ndarray]


def error_rows(index: np.ndarray, predicted: Points, target: Points) -> Rows:
    """Rows of some people, in float64."""
    joints = predicted.joints - predicted.root[:, None]
    true_joints = target.joints - target.root[:, None]
    rows: dict[str, Any] = {
        "index": np.asarray(index, np.int64),
        "joints": point_errors(joints, true_joints),
        "pa_joints": point_errors(similarity_align(joints, true_joints), true_joints),
    }
    if predicted.vertices is not None and target.vertices is not None:
        pair = predicted.vertices, target.vertices
        rows["pve"] = per_vertex_error(*pair)
        rows["pve_pelvis"] = per_vertex_error(*pair, predicted.pelvis, target.pelvis)
        rows["pve_root"] = per_vertex_error(*pair, predicted.root, target.root)
    return rows


def merge_rows(parts: Sequence[Rows]) -> Rows:
    """All rows by ascending index: the same from one host as from many.

    Raises:
      ValueError: a person is in two parts.
    """
    merged = {n: np.concatenate([part[n] for part in parts]) for n in parts[0]}
    index, first = np.unique(merged["index"], return_index=True)
    if len(index) != len(merged["index"]):
        raise ValueError("a person was measured twice")
    return {name: column[first] for name, column in merged.items()}


def host_share(count: int, host: int, hosts: int) -> slice:
    """The people that a host measures: every `hosts`-th, as hosts share recordings."""
    return slice(host, count, hosts)


def gather_rows(rows: Rows) -> Rows:
    """The rows of all hosts on every host, bit by bit; every host must call it."""
    columns = {name: _gather_column(column) for name, column in rows.items()}
    hosts = range(jax.process_count())
    return merge_rows(
        [{name: parts[host] for name, parts in columns.items()} for host in hosts]
    )


def _gather_column(column: np.ndarray) -> list[np.ndarray]:
    """The column's rows of every host, by host."""
    return [
        np.frombuffer(part, column.dtype).reshape(-1, *column.shape[1:])
        for part in gather_bytes(np.ascontiguousarray(column).tobytes())
    ]
