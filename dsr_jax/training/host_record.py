"""One record of all hosts: what each of them measured by itself, put together once."""

from collections.abc import Mapping

from dsr_jax.hosts.exchange import gather_json

INPUT, SLOWEST_INPUT = "seconds/input", "seconds/input_slowest"
# What all hosts together have; of memory, the largest; of the rest, the first host's.
_SUMMED, _LARGEST = ("data/", "compile/late"), ("memory/",)


def record_of_hosts(own: Mapping[str, float]) -> dict[str, float]:
    """The record of a job; every host must call it, and all get the same.

    Losses are not for this: the step has them of the whole batch already.

    Args:
      own: of this host: `memory/…`, `data/…`, `compile/…`, `seconds/…`.

    Returns:
      Counts of files and of late compilations summed, memory of the host that has most,
      everything else of the first host, and the longest `seconds/input` of any host as
      `seconds/input_slowest`: all wait in the step for the one that waits for its data.
    """
    hosts = gather_json(dict(own))
    if len(hosts) == 1:
        return dict(own)
    record: dict[str, float] = dict(hosts[0])
    for name in record:
        values = [host[name] for host in hosts if name in host]
        if name.startswith(_SUMMED):
            record[name] = sum(values)
        elif name.startswith(_LARGEST):
            record[name] = max(values)
    if INPUT in record:
        record[SLOWEST_INPUT] = max(host[INPUT] for host in hosts)
    return record
