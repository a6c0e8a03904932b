"""What is read of the steps under way, and when."""

import math

import jax.numpy as jnp
import numpy as np
import pytest

from dsr_jax.data import Batch
from dsr_jax.training.in_flight import AHEAD, InFlight


def metrics(loss=1.0, fault=0, stop=0.0, **more):
    values = {"loss": loss, "fault": fault, "stop": stop, **more}
    return {name: jnp.asarray(value) for name, value in values.items()}


def batch(number):
    return Batch(*[jnp.full(2, float(number))] * 9)


@pytest.fixture
def flight():
    return InFlight()


def fill(flight, numbers, **changes):
    for number in numbers:
        flight.add(number, batch(number), metrics(loss=float(number), **changes))


def test_the_last_steps_are_not_waited_for(flight):
    """Signals of step k are known after step k + `AHEAD`, on every host."""
    fill(flight, [1])
    flight.add(2, batch(2), metrics(stop=4.0))
    for number in range(3, 3 + AHEAD):
        assert flight.settle() and not flight.stop
        fill(flight, [number])
    assert not flight.settle()
    assert flight.stop and flight.bad is None
    assert len(flight) == 2 + AHEAD


def test_the_first_bad_step_is_kept_with_its_batch(flight):
    """Steps after it carry its mark, and are not its match."""
    fill(flight, [1, 2])
    flight.add(3, batch(3), metrics(loss=math.nan, fault=3))
    fill(flight, [4, 5], fault=3)
    assert not flight.settle(0)
    assert flight.bad.step == 3
    np.testing.assert_array_equal(flight.bad.batch.betas, batch(3).betas)
    assert math.isnan(flight.bad.metrics["loss"])


def test_means_are_of_the_steps_since_the_last_record(flight):
    fill(flight, [1, 2, 3])
    means = flight.means()
    assert means == {"loss": 2.0}
    assert len(flight) == 0
    fill(flight, [10])
    assert flight.means() == {"loss": 10.0}


def test_a_term_counts_where_it_is_valid(flight):
    for value, valid in ((8.0, 0.5), (0.0, 0.0), (4.0, 1.0)):
        term = {"term/dsr_c": value, "weighted/dsr_c": 2 * value, "valid/dsr_c": valid}
        flight.add(1, batch(1), metrics(**term))
    means = flight.means()
    assert means["term/dsr_c"] == 6.0 and means["weighted/dsr_c"] == 12.0
    assert means["valid/dsr_c"] == 0.5
    flight.add(4, batch(4), metrics(**{"term/dsr_c": 0.0, "valid/dsr_c": 0.0}))
    assert "term/dsr_c" not in flight.means()
