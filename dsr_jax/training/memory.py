"""How much memory a run holds, on this host's devices and on the host itself."""

import os
from pathlib import Path

import jax

_STATM = Path("/proc/self/statm")
# JAX's names of what a device's allocator counts, in bytes, and ours.
_DEVICE_COUNTS = {
    "bytes_in_use": "memory/in_use_gb",
    "peak_bytes_in_use": "memory/peak_gb",
    "bytes_limit": "memory/limit_gb",
}


def memory_use() -> dict[str, float]:
    """Memory in GB (10⁹ bytes); what a platform does not count is left out.

    Returns:
      `memory/in_use_gb`, `memory/peak_gb` (since the start of the process) and
      `memory/limit_gb`, each the largest of this host's devices: GPUs and TPUs count
      them, CPUs do not. `memory/host_gb`: the resident set of this process (Linux).
    """
    counts = [device.memory_stats() or {} for device in jax.local_devices()]
    record = {
        name: max(count[key] for count in counts) / 1e9
        for key, name in _DEVICE_COUNTS.items()
        if all(key in count for count in counts)
    }
    if _STATM.exists():
        pages = int(_STATM.read_text().split()[1])
        record["memory/host_gb"] = pages * os.sysconf("SC_PAGE_SIZE") / 1e9
    return record
