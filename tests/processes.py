"""Python programs that JAX joins as the hosts of a pod are joined."""

import os
import socket
import subprocess
import sys

# Four devices in all, however many hosts there are.
DEVICES = 4
_START = """
import sys
import jax
if int(sys.argv[2]) > 1:
    jax.distributed.initialize(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
sys.argv[1:] = sys.argv[4:]
"""


def run_hosts(program, hosts, *arguments, timeout=300):
    """Runs a program on every host, on 4 devices in all.

    Args:
      program: source that finds `arguments` in `sys.argv[1:]`.
      hosts: processes.
      arguments: for every host.
      timeout: seconds.

    Returns:
      Exit code, standard output and standard error of each.
    """
    with socket.socket() as free:
        free.bind(("localhost", 0))
        address = f"localhost:{free.getsockname()[1]}"
    devices = f"--xla_force_host_platform_device_count={DEVICES // hosts}"
    environment = {**os.environ, "XLA_FLAGS": devices}
    started = [
        subprocess.Popen(
            [
                *(sys.executable, "-c", _START + program),
                *(address, str(hosts), str(host), *map(str, arguments)),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        for host in range(hosts)
    ]
    try:
        said = [host.communicate(timeout=timeout) for host in started]
        return [
            (host.returncode, *texts) for host, texts in zip(started, said, strict=True)
        ]
    finally:
        for host in started:
            host.kill()


def succeed(program, hosts, *arguments, timeout=300):
    """The standard outputs of hosts, none of which failed."""
    ended = run_hosts(program, hosts, *arguments, timeout=timeout)
    for code, _, errors in ended:
        assert code == 0, errors[-3000:]
    return [output for _, output, _ in ended]
