"""Many processes that train as one: how they meet, who is lost, how they part."""

from dsr_jax.hosts.hosts import WAIT_SECONDS, Hosts
from dsr_jax.hosts.job import Job, detect_job
from dsr_jax.hosts.joining import (
    SILENCE_SECONDS,
    is_first_host,
    joined_hosts,
)
from dsr_jax.hosts.watchdog import STUCK_SECONDS, moved

__all__ = [
    "SILENCE_SECONDS",
    "STUCK_SECONDS",
    "WAIT_SECONDS",
    "Hosts",
    "Job",
    "detect_job",
    "is_first_host",
    "joined_hosts",
    "moved",
]
