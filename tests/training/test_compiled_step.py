"""What a step's devices send each other: the gradients once, and a few numbers."""

import json
import os
import subprocess
import sys

import pytest

from tests.training.step_programs import CASES, SMALLEST_SPLIT, WIDTH, describe
from tests.training.tiny import SIZE

# Bytes of all that travels with the gradients: loss, eight terms, the wish to stop.
METRICS = 4 * 10
# Bytes of what else is exchanged at once: two numbers a channel, and one a loss term.
SMALL = 2 * 4 * (WIDTH + 3) + 4 * 8
# A raster, an image and a body's vertices have more.
assert SIZE * SIZE * 4 > 3 * SMALL


def of_gradients(found):
    return [c for c in found if "/reduce_gradients/" in c["op_name"]]


def exchanges(program):
    """What is exchanged, without where in the program that is."""
    return sorted((c["kind"], str(c["shapes"]), c["times"]) for c in collected(program))


def collected(program):
    return [c for c in program["collectives"] if len(c["groups"][0]) > 1]


def total_bytes(found):
    return sum(c["bytes"] * c["times"] for c in found)


def expect_gradients_once(program):
    found = collected(program)
    assert {c["kind"] for c in found} == {"all-reduce"}
    (gradients,) = (c for c in found if c["bytes"] > SMALL)
    assert of_gradients(found) == [gradients]
    assert gradients["bytes"] == sum(program["weights"]) + METRICS
    # Once, outside of all loops, over all devices together.
    assert gradients["times"] == 1 and gradients["rounds_known"]
    assert [len(group) for group in gradients["groups"]] == [program["devices"]]


def test_gradients_are_reduced_once():
    """Four devices, in this process."""
    program = describe(CASES["plain"])
    expect_gradients_once(program)
    assert program["host"] == []
    assert program["aliased"] == program["state_of_device"]


@pytest.fixture(scope="module")
def programs():
    """All cases, compiled for eight devices."""
    flag = "--xla_force_host_platform_device_count=8"
    command = [sys.executable, "-m", "tests.training.step_programs"]
    environment = {**os.environ, "XLA_FLAGS": flag}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr[-3000:]
    found = json.loads(ended.stdout)
    assert found["plain"]["devices"] == 8
    return found


@pytest.mark.slow
@pytest.mark.parametrize("case", ["plain", "more and larger images", "in parts"])
def test_eight_devices_reduce_their_gradients_once(programs, case):
    expect_gradients_once(programs[case])


@pytest.mark.slow
def test_no_images_no_vertices_and_no_rasters_are_exchanged(programs):
    expected = exchanges(programs["plain"])
    assert exchanges(programs["more and larger images"]) == expected


@pytest.mark.slow
def test_each_part_shares_batch_statistics_and_nothing_else(programs):
    """Of four parts the first is taken before the loop, three in it."""
    parts = collected(programs["in parts"])
    in_loop = [c for c in parts if c["times"] == 3]
    before_and_after = [c for c in parts if c["times"] == 1]
    assert len(in_loop) + len(before_and_after) == len(parts)
    # Forward of the first layer, forward and backward of the second.
    assert sum(c["bytes"] for c in in_loop) == 2 * 4 * (3 + WIDTH + WIDTH)
    whole = collected(programs["plain"])
    assert total_bytes(before_and_after) == total_bytes(whole)


@pytest.mark.slow
def test_split_weights_are_gathered_and_their_gradients_scattered(programs):
    program = programs["sharded"]
    found = collected(program)
    split = [size for size in program["weights"] if size >= 4 * SMALLEST_SPLIT]
    assert split and sum(split) < sum(program["weights"])
    by_kind = {
        kind: [c["bytes"] for c in found if c["kind"] == kind]
        for kind in {c["kind"] for c in found}
    }
    assert by_kind.keys() == {"all-reduce", "all-gather", "reduce-scatter"}
    assert by_kind["all-gather"] == by_kind["reduce-scatter"] == split
    whole = sum(program["weights"]) - sum(split) + METRICS
    # The rest of the weights, and with it part of the gradient's norm.
    assert 0 <= max(by_kind["all-reduce"]) - whole <= 8
    assert sum(size > SMALL for size in by_kind["all-reduce"]) == 1
    # Weights, two moments and the average, each an eighth.
    copies = sum(programs["plain"]["weights"])
    assert program["state_of_device"] < copies


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_nothing_passes_through_the_host_and_the_state_is_given_away(programs, case):
    program = programs[case]
    assert program["host"] == []
    assert program["aliased"] == program["state_of_device"]
