"""How processes introduce themselves, and the lines that name one of them."""

import os
import socket

from dsr_jax.hosts.job import Job
from dsr_jax.hosts.line import Message

GREETING = "dsr_jax 1"
AGAIN = "run the same command again to continue from the last checkpoint"


def described(job: Job, index: int, greeting: Message | None = None) -> str:
    """`process 2 of 4 (host node3, pid 1234)`, as far as it is known."""
    if greeting is None:
        return job.name(index).replace(f"{index}", f"{index} of {job.count}", 1)
    host, pid = greeting["host"], greeting["pid"]
    return f"process {index} of {job.count} (host {host}, pid {pid})"


def own_greeting(job: Job) -> Message:
    """How this process introduces itself."""
    return {
        "greeting": GREETING,
        "index": job.index,
        "count": job.count,
        "host": socket.gethostname(),
        "pid": os.getpid(),
    }


def is_greeting(message: Message) -> bool:
    """Whether a first message is one of this package's."""
    numbers = message.get("index"), message.get("count"), message.get("pid")
    return message.get("greeting") == GREETING and all(
        isinstance(number, int) for number in numbers
    )


def missing_line(job: Job, missing: set[int], seconds: float) -> str:
    """Who did not come to process 0."""
    names = " and ".join(job.name(index) for index in sorted(missing))
    return (
        f"{names} of {job.count} did not come to {job.address} within {seconds:g} s: "
        "start the same command as every process, and see the logs of the missing"
    )


def gone_line(who: str) -> str:
    """Its connection was closed by its system."""
    return f"{who} is gone without a word (killed, or out of memory?): {AGAIN}"


def silent_line(who: str, seconds: float) -> str:
    """Nothing was closed, nothing comes."""
    return (
        f"{who} has not answered for {seconds:g} s (stopped, or its machine or the "
        f"network is down): {AGAIN}"
    )
