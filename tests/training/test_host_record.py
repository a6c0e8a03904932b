"""What several hosts measured, as one record."""

import pytest

from dsr_jax.training import host_record
from dsr_jax.training.host_record import record_of_hosts

FIRST = {
    "seconds/input": 1.0,
    "seconds/step": 5.0,
    "memory/in_use_gb": 2.0,
    "data/broken_photos": 3.0,
    "compile/late": 0.0,
    "compile/programs": 7.0,
}
SECOND = {
    "seconds/input": 4.0,
    "seconds/step": 2.0,
    "memory/in_use_gb": 6.0,
    "data/broken_photos": 1.0,
    "compile/late": 2.0,
    "compile/programs": 9.0,
}


def test_one_host_is_its_own_record():
    assert record_of_hosts(FIRST) == FIRST


@pytest.mark.parametrize("own", [FIRST, SECOND])
def test_every_host_gets_the_same(monkeypatch, own):
    def gather(value):
        assert value == own
        return [FIRST, SECOND]

    monkeypatch.setattr(host_record, "gather_json", gather)
    assert record_of_hosts(own) == {
        "seconds/input": 1.0,
        "seconds/input_slowest": 4.0,
        "seconds/step": 5.0,
        "memory/in_use_gb": 6.0,
        "data/broken_photos": 4.0,
        "compile/late": 2.0,
        "compile/programs": 7.0,
    }
