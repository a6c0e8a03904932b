"""Which job a process is in, from the environment alone."""

import pytest

from dsr_jax.errors import UserError
from dsr_jax.hosts import Hosts, Job, detect_job, joined_hosts
from dsr_jax.hosts.slurm import expand_nodes, local_device, task_nodes, tasks_per_node

PLAIN = {
    "JAX_COORDINATOR_ADDRESS": "node1:1234",
    "JAX_NUM_PROCESSES": "4",
    "JAX_PROCESS_ID": "2",
}
SLURM = {
    "SLURM_JOB_ID": "12345",
    "SLURM_STEP_NODELIST": "gpu[08-10]",
    "SLURM_STEP_NUM_TASKS": "3",
    "SLURM_STEP_TASKS_PER_NODE": "1(x3)",
    "SLURM_PROCID": "1",
    "SLURM_LOCALID": "0",
}


def test_alone():
    assert detect_job({}) is None
    with joined_hosts() as hosts:
        assert hosts.count == 1 and hosts.is_first
        hosts.meet("nobody")
        assert hosts.from_first("a word", lambda: "word") == "word"
    assert Hosts().is_first


def test_plain_variables():
    assert detect_job(PLAIN) == Job("node1", 1234, 4, 2)
    one = {**PLAIN, "JAX_NUM_PROCESSES": "1", "JAX_PROCESS_ID": "0"}
    assert detect_job(one) is None
    job = detect_job({**PLAIN, "JAX_COORDINATOR_ADDRESS": "[fe80::1]:99"})
    assert (job.host, job.port) == ("fe80::1", 99)


@pytest.mark.parametrize("name", PLAIN)
def test_a_variable_that_is_missing(name):
    with pytest.raises(UserError, match=f"^environment variable {name} is not set"):
        detect_job({k: v for k, v in PLAIN.items() if k != name})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("JAX_NUM_PROCESSES", "four"),
        ("JAX_NUM_PROCESSES", "0"),
        ("JAX_PROCESS_ID", "4"),
        ("JAX_PROCESS_ID", "-1"),
        ("JAX_PROCESS_ID", "1.5"),
        ("JAX_COORDINATOR_ADDRESS", "node1"),
        ("JAX_COORDINATOR_ADDRESS", "node1:99999"),
        ("JAX_COORDINATOR_ADDRESS", "a b:1"),
    ],
)
def test_a_variable_that_is_wrong(name, value):
    with pytest.raises(UserError, match=f"^environment variable {name} is") as caught:
        detect_job({**PLAIN, name: value})
    assert "\n" not in str(caught.value)


def test_plain_variables_come_before_others():
    assert detect_job({**SLURM, **PLAIN}).host == "node1"


def test_slurm():
    job = detect_job(SLURM)
    assert job == Job("gpu08", 61440 + 57, 3, 1, ("gpu08", "gpu09", "gpu10"))
    assert job.name(2) == "process 2 (host gpu10)"


@pytest.mark.parametrize("missing", ["SLURM_STEP_NODELIST", "SLURM_STEP_NUM_TASKS"])
def test_a_shell_of_slurm_is_alone(missing):
    """Nobody starts the other tasks that SLURM_NTASKS speaks of."""
    shell = {k: v for k, v in SLURM.items() if k != missing}
    assert detect_job({**shell, "SLURM_NTASKS": "8"}) is None
    assert detect_job({**SLURM, "SLURM_STEP_NUM_TASKS": "1"}) is None


def test_damaged_variables_of_slurm():
    with pytest.raises(UserError, match="SLURM's variables"):
        detect_job({**SLURM, "SLURM_STEP_NODELIST": "gpu[1-"})


@pytest.mark.parametrize(
    ("text", "nodes"),
    [
        ("node1", ["node1"]),
        ("a,b", ["a", "b"]),
        ("n[1-3]", ["n1", "n2", "n3"]),
        ("n[08-10,12],m", ["n08", "n09", "n10", "n12", "m"]),
        ("r[1-2]n[01,03]", ["r1n01", "r1n03", "r2n01", "r2n03"]),
        ("n[1-2].cluster", ["n1.cluster", "n2.cluster"]),
    ],
)
def test_lists_of_machines(text, nodes):
    assert expand_nodes(text) == nodes


@pytest.mark.parametrize("text", ["n[1", "n1]", "n[[1]]", "n[a-b]", "n[]"])
def test_lists_of_machines_that_are_none(text):
    with pytest.raises(ValueError, match=r"brackets|range"):
        expand_nodes(text)


def test_tasks_that_share_machines():
    step = {
        "SLURM_STEP_NODELIST": "a,b",
        "SLURM_STEP_TASKS_PER_NODE": "2,1",
        "SLURM_LOCALID": "1",
    }
    assert tasks_per_node("4(x2),3") == [4, 4, 3]
    assert task_nodes(step) == ["a", "a", "b"]
    assert task_nodes({**step, "SLURM_DISTRIBUTION": "cyclic"}) == []
    assert local_device(step) == (1,)
    assert local_device({**step, "CUDA_VISIBLE_DEVICES": "3"}) is None
    assert local_device({**step, "SLURM_STEP_TASKS_PER_NODE": "1(x2)"}) is None


def test_a_slice_of_tpus():
    slice_ = {"TPU_WORKER_HOSTNAMES": "t0,t1", "TPU_WORKER_ID": "1"}
    assert detect_job(slice_) == Job("t0", 8482, 2, 1, ("t0", "t1"))
    two = {
        **slice_,
        "MEGASCALE_NUM_SLICES": "2",
        "MEGASCALE_SLICE_ID": "1",
        "MEGASCALE_COORDINATOR_ADDRESS": "first:9999",
    }
    assert detect_job(two) == Job("first", 8482, 4, 3)
    alone = {"TPU_WORKER_HOSTNAMES": "localhost", "TPU_WORKER_ID": "0"}
    assert detect_job(alone) is None
    with pytest.raises(UserError, match="TPU_WORKER_ID"):
        detect_job({**slice_, "TPU_WORKER_ID": "7"})
