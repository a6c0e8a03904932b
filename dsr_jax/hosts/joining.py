"""How the processes of a job meet, watch each other and part.

    with joined_hosts() as hosts:
        folder = hosts.from_first("run folder", lambda: str(open_folder()))
        ...

Inside, `jax.devices()` are those of all processes. If one of them dies, halts or ends
with an error, all others end within a minute with one line that names it, even if they
wait inside a collective operation. Whoever answers but does not get on (`watchdog`)
ends itself, and them. A process that is alone starts no connection.
"""

import contextlib
import os
import re
import socket
import sys
import time
from collections.abc import Callable, Iterator
from typing import NoReturn

from dsr_jax.errors import EnvironmentFault, UserError
from dsr_jax.hosts.center import Center
from dsr_jax.hosts.hosts import WAIT_SECONDS, Hosts
from dsr_jax.hosts.job import Job, detect_job
from dsr_jax.hosts.member import Member
from dsr_jax.hosts.tunnel import open_tunnel
from dsr_jax.hosts.verdict import end_process, take_floor
from dsr_jax.hosts.watchdog import STUCK_SECONDS, watched
from dsr_jax.hosts.wording import AGAIN

SILENCE_SECONDS = 30.0
# The last tasks of a run, which the first process may have to do alone.
_END, _END_SECONDS = "the end of the run", 3600.0
# Signals reach the processes of a job at almost the same time.
_TOGETHER_SECONDS = 10.0
# How XLA, Gloo, NCCL and gRPC tell that a peer is gone; the type may be ValueError.
_PEER_LOST = re.compile(
    r"gloo|nccl|rccl|collective|connection|socket|coordination|peer|"
    r"UNAVAILABLE|DEADLINE_EXCEEDED|ABORTED|CANCELLED|INTERNAL",
    re.IGNORECASE,
)


def _nothing() -> None:
    pass


_hosts = Hosts()


def is_first_host() -> bool:
    """Whether this process writes and prints for all; touches no device if it is alone.

    Also in a job whose program has called `jax.distributed.initialize` itself, and
    still after the end of `joined_hosts`.
    """
    jax = sys.modules.get("jax")
    if _hosts.count == 1 and jax is not None and jax.distributed.is_initialized():
        return bool(jax.process_index() == 0)
    return _hosts.is_first


@contextlib.contextmanager
def joined_hosts(
    wait_seconds: float = WAIT_SECONDS,
    silence_seconds: float = SILENCE_SECONDS,
    check: Callable[[], None] = _nothing,
    stuck_seconds: float = STUCK_SECONDS,
) -> Iterator[Hosts]:
    """Joins the processes of the job that the environment describes, until the end.

    To be entered before anything touches a device.

    Args:
      wait_seconds: how long to wait for the others at the start.
      silence_seconds: after which a process that does not answer is given up.
      check: called while waiting; may raise to stop.
      stuck_seconds: after which a process in which nothing moves ends, with all others.

    Raises:
      UserError: variables of the environment that contradict each other.
      EnvironmentFault: process 0 does not come, or its port is taken.
    """
    global _hosts
    job = detect_job(os.environ)
    if job is None:
        with watched(stuck_seconds, _end_alone):
            yield Hosts()
        return
    board = _meet_others(job, wait_seconds, silence_seconds, check)
    _hosts = Hosts(job, board, wait_seconds)
    try:
        _start_jax(job, board, wait_seconds, silence_seconds, check)
        _hosts.meet("the start")
        _connect_devices()
        code = EnvironmentFault.exit_code
        with watched(stuck_seconds, lambda line: board.end_self(line, code, None)):
            yield _hosts
        _hosts.meet(_END, _END_SECONDS)
    except BaseException as error:
        if not _left_together(error, _hosts):
            _end_all(error, board, silence_seconds)
        raise
    finally:
        # Reached only if all processes leave now.
        _stop_jax()
        board.close()


def _end_alone(line: str) -> NoReturn:
    take_floor()
    end_process(line, EnvironmentFault.exit_code)


def _meet_others(
    job: Job, wait_seconds: float, silence_seconds: float, check: Callable[[], None]
) -> Center | Member:
    if job.index == 0:
        center = Center(job, silence_seconds)
        center.gather(wait_seconds, check)
        return center
    return Member(job, silence_seconds, wait_seconds, check)


def _start_jax(
    job: Job,
    board: Center | Member,
    wait_seconds: float,
    silence_seconds: float,
    check: Callable[[], None],
) -> None:
    # A launcher, which knows these variables too, needs no JAX.
    import jax

    if isinstance(board, Center):
        port = _free_port()
        board.start(port)
    else:
        board.gather(check)
        port = open_tunnel(board.address, board.greeting, 2 * silence_seconds)
    # It would take SIGTERM away from Python.
    jax.config.update("jax_enable_preemption_service", False)
    jax.distributed.initialize(
        f"127.0.0.1:{port}",
        job.count,
        job.index,
        job.local_devices,
        cluster_detection_method="deactivate",
        initialization_timeout=int(wait_seconds),
        # Ours are sooner, and can say who.
        heartbeat_timeout_seconds=max(100, int(4 * silence_seconds)),
        coordinator_bind_address=f"127.0.0.1:{port}",
    )


def _connect_devices() -> None:
    """A first collective operation of all devices, while all are at the same place.

    Gloo gives the connections of each group of devices 30 s, which is less than one
    machine may compile longer than another before the first operation of a program.
    """
    import jax
    import numpy as np
    from jax.experimental import multihost_utils
    from jax.sharding import Mesh, NamedSharding, PartitionSpec

    everyone = PartitionSpec("everyone")
    mesh = Mesh(np.array(jax.devices()), "everyone")
    ones = jax.make_array_from_callback(
        (mesh.size,),
        NamedSharding(mesh, everyone),
        lambda _: np.ones(1, np.float32),
    )
    count = jax.shard_map(
        lambda own: jax.lax.psum(own, "everyone"),
        mesh=mesh,
        in_specs=everyone,
        out_specs=PartitionSpec(),
    )
    jax.block_until_ready(jax.jit(count)(ones))
    # Another group where a process has several devices: one device of each.
    multihost_utils.process_allgather(np.zeros(1, np.float32))


def _stop_jax() -> None:
    import jax

    jax.distributed.shutdown()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def _exit_code(error: BaseException) -> int:
    if isinstance(error, KeyboardInterrupt):
        return 130
    if isinstance(error, SystemExit):
        code = error.code
        return code if isinstance(code, int) else int(code is not None)
    return int(getattr(error, "exit_code", 1))


def _left_together(error: BaseException, hosts: Hosts) -> bool:
    """Whether all leave now for the same reason: a signal, or because all is done."""
    code = _exit_code(error)
    if 0 < code < 128:
        return False
    try:
        if code:
            # Of one signal or several: who is told by another one leaves as by SIGTERM.
            hosts.meet("the end after a signal", _TOGETHER_SECONDS)
        else:
            hosts.meet(_END, _END_SECONDS)
    except BaseException:
        return False
    return True


def _tells_of_a_peer(error: BaseException | None) -> bool:
    """Whether a peer's end is the cause, also if it looks like a damaged file."""
    while isinstance(error, UserError):
        error = error.__cause__
    while error is not None:
        if not isinstance(error, OSError) and _PEER_LOST.search(str(error)):
            return True
        error = error.__cause__
    return False


def _end_all(
    error: BaseException, board: Center | Member, silence_seconds: float
) -> NoReturn:
    """Ends this process; the others learn why."""
    if _tells_of_a_peer(error):
        # Whoever watches it knows who, and ends this process.
        time.sleep(silence_seconds + _TOGETHER_SECONDS)
    code = _exit_code(error)
    if isinstance(error, SystemExit):
        board.end_self(f"exit code {code}", code, None)
    if isinstance(error, UserError):
        board.end_self(str(error), code, None)
    if code >= 128:
        board.end_self(f"interrupted ({error or 'Ctrl-C'}): {AGAIN}", code, None)
    summary = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
    board.end_self(summary, code, error)
