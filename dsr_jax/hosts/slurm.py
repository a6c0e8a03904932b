"""What SLURM tells a task about its job step."""

import re
from collections.abc import Mapping

# Of the range that Linux gives to nobody by itself, as JAX chooses it.
_FIRST_PORT, _PORTS = 61440, 4096


def in_step(environment: Mapping[str, str]) -> bool:
    """Whether `srun` started this process as one of several tasks.

    A batch script's own shell, `salloc` and an interactive shell are not: there, too,
    SLURM_NTASKS and SLURM_PROCID may be set, but nobody starts the other tasks.
    """
    tasks = environment.get("SLURM_STEP_NUM_TASKS", "1")
    return "SLURM_STEP_NODELIST" in environment and tasks.isdigit() and int(tasks) > 1


def expand_nodes(text: str) -> list[str]:
    """The machines of a list like `gpu[01-03,7],login`.

    Raises:
      ValueError: brackets that do not match, or a range that is none.
    """
    nodes: list[str] = []
    for part in _split(text):
        nodes += _expand(part)
    return nodes


def tasks_per_node(text: str) -> list[int]:
    """The counts of a list like `4(x2),3`.

    Raises:
      ValueError: something else.
    """
    counts: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"(\d+)(?:\(x(\d+)\))?", part)
        if match is None:
            raise ValueError(f"{text!r} is no list of tasks")
        counts += [int(match[1])] * int(match[2] or 1)
    return counts


def task_nodes(environment: Mapping[str, str]) -> list[str]:
    """The machine of every task; none if SLURM deals the tasks in another order."""
    nodes = expand_nodes(environment["SLURM_STEP_NODELIST"])
    counts = tasks_per_node(environment.get("SLURM_STEP_TASKS_PER_NODE", "1"))
    if len(nodes) != len(counts):
        return []
    dealt = environment.get("SLURM_DISTRIBUTION", "block")
    if max(counts) > 1 and not dealt.startswith(("block", "plane=1")):
        return []
    return [
        node for node, count in zip(nodes, counts, strict=True) for _ in range(count)
    ]


def coordinator(environment: Mapping[str, str]) -> str:
    """The first machine of the step, and a port of the job's own."""
    first = expand_nodes(environment["SLURM_STEP_NODELIST"])[0]
    port = environment.get("JAX_COORDINATOR_PORT")
    if port is None:
        port = str(_FIRST_PORT + int(environment["SLURM_JOB_ID"]) % _PORTS)
    return f"{first}:{port}"


def local_device(environment: Mapping[str, str]) -> tuple[int, ...] | None:
    """The device of this task, if several share a machine and see all its GPUs."""
    counts = tasks_per_node(environment.get("SLURM_STEP_TASKS_PER_NODE", "1"))
    visible = environment.get("CUDA_VISIBLE_DEVICES", "")
    if max(counts) == 1 or (visible and "," not in visible):
        return None
    return (int(environment["SLURM_LOCALID"]),)


def _split(text: str) -> list[str]:
    """Splits at commas outside brackets."""
    parts, depth = [""], 0
    for letter in text:
        depth += {"[": 1, "]": -1}.get(letter, 0)
        if depth not in (0, 1):
            raise ValueError(f"{text!r} has brackets that do not match")
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    if depth:
        raise ValueError(f"{text!r} has brackets that do not match")
    return [part for part in parts if part]


def _expand(part: str) -> list[str]:
    """`rack[1-2]n[01,03]` has several brackets, the last of which turns fastest."""
    match = re.match(r"([^\[]*)\[([^\]]*)\](.*)", part)
    if match is None:
        return [part]
    head, ranges, tail = match.groups()
    numbers: list[str] = []
    for item in ranges.split(","):
        first, _, last = item.partition("-")
        last = last or first
        if not (first.isdigit() and last.isdigit()):
            raise ValueError(f"{item!r} is no range of machines")
        values = range(int(first), int(last) + 1)
        numbers += [str(value).zfill(len(first)) for value in values]
    return [head + number + end for number in numbers for end in _expand(tail)]
