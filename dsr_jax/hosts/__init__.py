"""Many processes that train as one: how they meet, who is lost, how they part."""

from dsr_jax.hosts.hosts import WAIT_SECONDS, Hosts
from dsr_jax.hosts.job import Job, detect_job
from dsr_jax.hosts.joining import (
    SILENCE_SECONDS,
    current_hosts,
    is_first_host,
    joined_hosts,
)

__all__ = [
    "SILENCE_SECONDS",
    "WAIT_SECONDS",
    "Hosts",
    "Job",
    "current_hosts",
    "detect_job",
    "is_first_host",
    "joined_hosts",
]
