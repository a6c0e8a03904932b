"""Rows of two processes that JAX joins, as two hosts of a pod are joined."""

import socket
import subprocess
import sys

import pytest

PROGRAM = """
import sys
import jax
import numpy as np
jax.distributed.initialize(sys.argv[1], 2, int(sys.argv[2]))
from dsr_jax.evaluation.error_rows import gather_rows, host_share
random = np.random.default_rng(0)
rows = {"index": np.arange(3, 24, 2), "joints": random.normal(size=(11, 14))}
rows["pve"] = random.normal(size=11)
share = host_share(11, jax.process_index(), jax.process_count())
gathered = gather_rows({name: column[share] for name, column in rows.items()})
for name, column in rows.items():
    # Bit by bit: JAX alone would have rounded to 32.
    assert gathered[name].dtype == column.dtype
    np.testing.assert_array_equal(gathered[name], column)
print("all rows on host", jax.process_index())
"""


@pytest.mark.slow
def test_both_have_all_rows():
    with socket.socket() as free:
        free.bind(("localhost", 0))
        address = f"localhost:{free.getsockname()[1]}"
    hosts = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, address, str(host)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for host in range(2)
    ]
    try:
        for number, host in enumerate(hosts):
            output, errors = host.communicate(timeout=120)
            assert f"all rows on host {number}" in output, errors[-2000:]
    finally:
        for host in hosts:
            host.kill()
