"""Rows and errors of two processes that JAX joins, as two hosts of a pod are joined."""

import pytest

from dsr_jax.errors import EnvironmentFault
from tests.processes import run_hosts, succeed

ROWS = """
import numpy as np
from dsr_jax.hosts.exchange import gather_bytes, sum_over_hosts
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
assert gather_bytes(b"ab" * jax.process_index()) == [b"", b"ab"]
assert gather_bytes(b"") == [b"", b""]
third = sum_over_hosts(np.full((2, 3), (1 + jax.process_index()) / 3))
np.testing.assert_array_equal(third, np.full((2, 3), 1 / 3 + 2 / 3))
print("all rows on host", jax.process_index())
"""

BROKEN = """
from dsr_jax.body import load_body
from dsr_jax.errors import EnvironmentFault, one_line_errors
from dsr_jax.evaluation import PROTOCOLS, Bodies, evaluate, predict_mean_body
from tests.evaluation.fake_people import FakePeople, fake_people

class Broken(FakePeople):
    def example(self, index, generator=None):
        if index == 1:
            raise EnvironmentFault("photo 1: the disk does not answer")
        return super().example(index, generator)

body = Bodies(load_body("free-lite"))
people = Broken(fake_people(6))
with one_line_errors():
    evaluate(predict_mean_body(), body, people, PROTOCOLS["folder"])
"""


@pytest.mark.slow
def test_both_have_all_rows():
    for number, output in enumerate(succeed(ROWS, 2)):
        assert f"all rows on host {number}" in output


@pytest.mark.slow
def test_a_photo_that_one_host_cannot_read_stops_both():
    """With its exit code, which tells a scheduler to try again."""
    for code, _, errors in run_hosts(BROKEN, 2):
        assert code == EnvironmentFault.exit_code
        assert "error: photo 1: the disk does not answer" in errors
        assert "Traceback" not in errors
