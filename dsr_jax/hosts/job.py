"""Which process of which job this is, as the environment tells it."""

import dataclasses
import logging
import re
from collections.abc import Mapping

from dsr_jax.errors import EnvironmentFault, UserError
from dsr_jax.hosts import slurm

ADDRESS = "JAX_COORDINATOR_ADDRESS"
COUNT = "JAX_NUM_PROCESSES"
INDEX = "JAX_PROCESS_ID"
# JAX's own choice on TPU machines, where nothing else listens.
_TPU_PORT = 8482


@dataclasses.dataclass(frozen=True)
class Job:
    """One process among those of a job."""

    host: str
    """Name or address of process 0's machine."""
    port: int
    """Where process 0 listens."""
    count: int
    """Processes of the job."""
    index: int
    """Number of this one, from 0."""
    names: tuple[str, ...] = ()
    """Machine of every process, where the environment lists them."""
    local_devices: tuple[int, ...] | None = None
    """Which of the machine's devices are this process's; None leaves it to JAX."""

    @property
    def address(self) -> str:
        """Host and port as one."""
        return f"{self.host}:{self.port}"

    def name(self, index: int) -> str:
        """`process 2 (host node3)`, the host where it is known."""
        known = self.names[index] if index < len(self.names) else ""
        if not known and index == 0:
            known = self.host
        return f"process {index}" + (f" (host {known})" if known else "")


def detect_job(environment: Mapping[str, str]) -> Job | None:
    """The job that this process was started in; None if it is alone.

    Looks for JAX's plain variables, then SLURM, a TPU slice of GKE, and what JAX itself
    finds: a Cloud TPU slice, a Kubernetes job (needs `jax[k8s]`), Open MPI.

    Raises:
      UserError: variables that are incomplete or contradict each other.
      EnvironmentFault: the cluster does not answer.
    """
    if any(environment.get(name) for name in (ADDRESS, COUNT, INDEX)):
        job: Job | None = _from_variables(environment)
    elif slurm.in_step(environment):
        job = _from_slurm(environment)
    elif environment.get("TPU_WORKER_HOSTNAMES") and environment.get("TPU_WORKER_ID"):
        job = _from_tpu_variables(environment)
    else:
        job = _from_jax(environment)
    return job if job is not None and job.count > 1 else None


def _from_variables(environment: Mapping[str, str]) -> Job:
    given = {name: environment.get(name, "") for name in (ADDRESS, COUNT, INDEX)}
    for name, value in given.items():
        if not value:
            others = " and ".join(other for other in given if given[other])
            raise UserError(
                f"environment variable {name} is not set, but {others} is: set all of "
                f"{ADDRESS}, {COUNT} and {INDEX}, or none"
            )
    count = _number(given, COUNT)
    if count < 1:
        raise UserError(f"environment variable {COUNT} is {count}: give at least 1")
    index = _number(given, INDEX)
    if not 0 <= index < count:
        raise UserError(
            f"environment variable {INDEX} is {index}, but {COUNT} is {count}: give "
            f"each process its own number from 0 to {count - 1}"
        )
    host, port = _split_address(given[ADDRESS])
    return Job(host, port, count, index)


def _number(given: Mapping[str, str], name: str) -> int:
    try:
        return int(given[name])
    except ValueError as error:
        raise UserError(
            f"environment variable {name} is {given[name]!r}: give a whole number"
        ) from error


def _split_address(address: str) -> tuple[str, int]:
    match = re.fullmatch(r"(\[[0-9a-fA-F:]+\]|[^\s:]+):(\d{1,5})", address)
    if match is None or not 0 < int(match[2]) < 65536:
        raise UserError(
            f"environment variable {ADDRESS} is {address!r}: give the machine of "
            "process 0 and a free port there, as in node1:12345"
        )
    return match[1].strip("[]"), int(match[2])


def _from_slurm(environment: Mapping[str, str]) -> Job:
    try:
        host, port = slurm.coordinator(environment).rsplit(":", 1)
        return Job(
            host,
            int(port),
            int(environment["SLURM_STEP_NUM_TASKS"]),
            int(environment["SLURM_PROCID"]),
            tuple(slurm.task_nodes(environment)),
            slurm.local_device(environment),
        )
    except (KeyError, ValueError, IndexError) as error:
        raise UserError(
            f"SLURM's variables of this step cannot be read ({error!r}): set "
            f"{ADDRESS}, {COUNT} and {INDEX} instead"
        ) from error


def _from_tpu_variables(environment: Mapping[str, str]) -> Job:
    """A slice of GKE, or several joined by Megascale."""
    workers = environment["TPU_WORKER_HOSTNAMES"].split(",")
    try:
        slices = int(environment.get("MEGASCALE_NUM_SLICES") or 1)
        number = int(environment.get("MEGASCALE_SLICE_ID") or 0)
        index = number * len(workers) + int(environment["TPU_WORKER_ID"])
    except ValueError as error:
        raise UserError(
            f"environment variables TPU_WORKER_ID and MEGASCALE_*: {error}; give whole "
            f"numbers, or set {ADDRESS}, {COUNT} and {INDEX}"
        ) from error
    first = environment.get("MEGASCALE_COORDINATOR_ADDRESS", "").split(":")[0]
    names = tuple(workers) if slices == 1 else ()
    port = int(environment.get("JAX_COORDINATOR_PORT") or _TPU_PORT)
    count = len(workers) * slices
    if not 0 <= index < count:
        raise UserError(
            f"environment variable TPU_WORKER_ID makes this process {index} of "
            f"{count}: it does not fit TPU_WORKER_HOSTNAMES"
        )
    return Job(first or workers[0], port, count, index, names)


def _from_jax(environment: Mapping[str, str]) -> Job | None:
    """What the detection inside JAX finds; it has no public name."""
    try:
        from jax._src.clusters import ClusterEnv
    except ImportError:
        logging.getLogger(__name__).info("this JAX detects no clusters")
        return None
    for cluster in ClusterEnv._cluster_types:
        if cluster.opt_in_only_method or cluster.name == "slurm":
            continue
        # Any pod, a notebook's too, is in Kubernetes.
        if cluster.name == "k8s" and "JOB_COMPLETION_INDEX" not in environment:
            continue
        try:
            # Kubernetes's pods and Cloud TPU's machines ask a server.
            if not cluster.is_env_present():
                continue
            count, index = cluster.get_process_count(), cluster.get_process_id()
            if count == 1:
                return None
            address = cluster.get_coordinator_address(300, None)
        except Exception as error:
            raise EnvironmentFault(
                f"this seems to be a job of {cluster.name}, whose details cannot be "
                f"read ({error}): set {ADDRESS}, {COUNT} and {INDEX} instead"
            ) from error
        host, port = address.rsplit(":", 1)
        local = cluster.get_local_process_id()
        return Job(
            host, int(port), count, index, (), None if local is None else (local,)
        )
    return None
