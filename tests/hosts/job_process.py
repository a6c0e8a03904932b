"""A process of a small job with collectives; the test says who does what.

python job_process.py WHAT [VICTIM] [WAIT] [SILENCE] [STUCK]
"""

import os
import signal
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from dsr_jax.errors import UserError, one_line_errors
from dsr_jax.hosts import joined_hosts, moved


class Stopped(Exception):
    exit_code = 143


def main(what="end", victim="-1", wait="60", silence="30", stuck="600"):
    got = []
    signal.signal(signal.SIGTERM, lambda *_: got.append(1))
    try:
        times = {"silence_seconds": float(silence), "stuck_seconds": float(stuck)}
        with one_line_errors(), joined_hosts(float(wait), **times) as hosts:
            work(hosts, what, hosts.index == int(victim), got)
    except Stopped as stopped:
        sys.exit(stopped.exit_code)


def work(hosts, what, is_victim, got):
    import jax
    import numpy as np
    from jax.sharding import Mesh, NamedSharding, PartitionSpec

    mesh = Mesh(np.asarray(jax.devices()), ("batch",))
    split, copied = (NamedSharding(mesh, PartitionSpec(*a)) for a in (["batch"], []))
    ones = np.ones(jax.local_device_count(), np.float32)
    numbers = jax.make_array_from_process_local_data(split, ones)
    total = jax.jit(lambda x: x.sum(), out_shardings=copied)
    if what == "late" and is_victim:
        # As if it compiled for longer than Gloo waits for a first connection.
        time.sleep(35)
    if what == "busy":
        hold_the_interpreter(6)
    print(f"sum {float(total(numbers)):g} of {jax.process_count()}", flush=True)
    hosts.meet("the start")
    word = hosts.from_first("a word", lambda: f"said by {hosts.index}")
    print(word, flush=True)
    if what in ("end", "busy", "late"):
        return
    if is_victim:
        act(what, hosts)
    if what == "absent":
        hosts.meet("lunch", 2.0)
    while True:
        if what in ("idle", "stuck"):
            moved()
            time.sleep(0.5)
        elif what == "stop":
            # All stop after the same step, as soon as one is told to.
            told = jax.make_array_from_process_local_data(split, len(got) * ones)
            if float(total(told)) > 0:
                raise Stopped
        elif what == "leave" and got:
            raise Stopped
        else:
            jax.block_until_ready(total(numbers))


def act(what, hosts):
    if what in ("kill", "idle"):
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "halt":
        os.kill(os.getpid(), signal.SIGSTOP)
    if what == "mistake":
        raise UserError("config key 'a.b' is wrong: give another")
    if what == "defect":
        raise ZeroDivisionError("a defect")
    if what == "absent":
        time.sleep(60)
    if what == "stuck":
        os.read(os.pipe()[0], 1)


def hold_the_interpreter(seconds):
    """As Python code that never rests, and as compiled code that never lets go."""
    import ctypes

    end = time.monotonic() + seconds

    def spin():
        while time.monotonic() < end:
            pass

    for _ in range(8):
        threading.Thread(target=spin, daemon=True).start()
    ctypes.PyDLL(None).usleep(int(seconds / 2 * 1e6))
    spin()


if __name__ == "__main__":
    main(*sys.argv[1:])
