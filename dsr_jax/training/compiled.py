"""Reads the text of a compiled program: its communication, and where each part is from.

The text is `jax.jit(f).lower(…).compile().as_text()`, XLA's HLO after all optimisation,
for one device of the mesh (shapes are shards).
"""

import dataclasses
import functools
import math
import re

import numpy as np

KINDS = (
    *("all-reduce", "all-gather", "reduce-scatter", "all-to-all"),
    *("collective-permute", "collective-broadcast"),
)
_COMMENT = re.compile(r"/\*.*?\*/")
_COMPUTATION = re.compile(r"^(?:ENTRY )?%?([\w.\-]+) \(.*\{\s*$")
_INSTRUCTION = re.compile(r"^\s+(?:ROOT )?%?([\w.\-]+) = ")
_COLLECTIVE = re.compile(
    rf"^\s+(?:ROOT )?%?[\w.\-]+ = ([^=%\"]+?) ({'|'.join(KINDS)})(-start)?\("
)
_SHAPE = re.compile(r"\b(pred|bf16|[suf]\d+|f8\w+|c64|c128|token)\[([\d,]*)\]")
_CALLED = re.compile(
    r"(body|condition|calls|to_apply|branch_computations|true_computation|"
    r"false_computation|called_computations)=(\{[^}]*\}|%?[\w.\-]+)"
)
_TRIPS = re.compile(r'"known_trip_count":\{"n":"(\d+)"\}')
_OP_NAME = re.compile(r'metadata=\{[^}]*?op_name="([^"]*)"')


@dataclasses.dataclass(frozen=True)
class Collective:
    """One instruction that exchanges data between devices."""

    kind: str
    """One of `KINDS`; an asynchronous one has the kind of the whole."""
    shapes: tuple[tuple[str, tuple[int, ...]], ...]
    """Element type and shape of every result on one device."""
    groups: tuple[tuple[int, ...], ...]
    """The devices that exchange with each other; for a collective-permute, (source,
    target) pairs."""
    times: int
    """Executions a call of the program: the product of the numbers of rounds of the
    loops around it. A branch counts as taken."""
    rounds_known: bool
    """False inside a loop whose number of rounds the compiler does not know: `times`
    then counts one round of it."""
    op_name: str
    """Where in the source it is from, or ""."""

    @property
    def bytes(self) -> int:
        """Size of the whole of what is exchanged, once.

        The reduced arrays, the gathered result, the operand of a reduce-scatter.
        """
        size = sum(element_bytes(kind) * math.prod(dims) for kind, dims in self.shapes)
        return size * self.group_size if self.kind == "reduce-scatter" else size

    @property
    def group_size(self) -> int:
        """How many devices exchange with each other."""
        return max(map(len, self.groups))

    @property
    def bytes_sent(self) -> float:
        """What one device sends a call of the program, by the ring algorithms.

        Of n devices and `bytes` b: 2 (n − 1)/n · b for an all-reduce, (n − 1)/n · b for
        all-gather, reduce-scatter, all-to-all; b for a permute or a broadcast.
        """
        n = self.group_size
        share = {"all-reduce": 2 * (n - 1) / n}
        share |= dict.fromkeys(("collective-permute", "collective-broadcast"), 1.0)
        return share.get(self.kind, (n - 1) / n) * self.bytes * self.times


def collectives(compiled_text: str) -> list[Collective]:
    """Every collective of a compiled program, in the order of the text.

    Raises:
      ValueError: a group of devices is written in a way that is not known here.
    """
    text = _COMMENT.sub("", compiled_text)
    devices = _devices(text)
    times = _executions(text)
    found, computation = [], ""
    for line in text.splitlines():
        if header := _COMPUTATION.match(line):
            computation = header[1]
        elif match := _COLLECTIVE.match(line):
            result, kind, start = match.groups()
            count, known = times(computation)
            name = _OP_NAME.search(line)
            found.append(
                Collective(
                    kind=kind,
                    shapes=_result_shapes(result, kind if start else ""),
                    groups=_groups(line, devices),
                    times=count,
                    rounds_known=known,
                    op_name=name[1] if name else "",
                )
            )
    return found


def op_names(compiled_text: str) -> dict[str, str]:
    """Name of each instruction → the path of scopes that it comes from."""
    names = {}
    for line in compiled_text.splitlines():
        instruction, origin = _INSTRUCTION.match(line), _OP_NAME.search(line)
        if instruction and origin:
            names[instruction[1]] = origin[1]
    return names


def element_bytes(kind: str) -> int:
    """Bytes of one element of a type as HLO writes it, such as "bf16"."""
    if kind in ("pred", "token"):
        return int(kind == "pred")
    bits = re.match(r"[a-z]+(\d+)", kind)
    assert bits is not None, kind
    return max(int(bits[1]) // 8, 1)


def _result_shapes(
    result: str, started: str
) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """Shapes of a result; `started` is the kind of an asynchronous one, else ""."""
    shapes = tuple(
        (kind, tuple(int(d) for d in dims.split(",") if d))
        for kind, dims in _SHAPE.findall(result)
    )
    if started in ("all-gather", "collective-permute"):
        # (operands, results), of which a permute has one each, then its context.
        pair = shapes[:2] if started == "collective-permute" else shapes
        return pair[len(pair) // 2 :]
    return shapes


def _devices(text: str) -> int:
    header = text.partition("\n")[0]
    counts = re.findall(r"\b(?:num_partitions|replica_count)=(\d+)", header)
    return math.prod(int(count) for count in counts)


def _groups(line: str, devices: int) -> tuple[tuple[int, ...], ...]:
    """The groups of an instruction in any of the four ways in which HLO writes them."""
    match = re.search(r"(?:replica_groups|source_target_pairs)=(.*)", line)
    written = match[1] if match else "{}"
    if written.startswith("{{"):
        inner = written[1 : written.index("}}") + 1]
        return tuple(
            tuple(int(i) for i in group.split(",") if i.strip())
            for group in re.findall(r"\{([\d, ]*)\}", inner)
        )
    if written.startswith("{}"):
        return (tuple(range(devices)),)
    iota = re.match(r"\[([\d,]+)\]<=\[([\d,]+)\](?:T\(([\d,]+)\))?", written)
    if iota:
        shape, source, order = (
            [int(i) for i in part.split(",")] if part else None
            for part in iota.groups()
        )
        ids = np.arange(devices).reshape(source).transpose(order)
        return _rows(ids.reshape(shape))
    mesh = re.match(r"mesh\[((?:'\w+'=\d+,? ?)+)\] ?\{((?:'\w+',? ?)*)\}", written)
    if mesh is None:
        raise ValueError(f"unknown way of writing groups of devices: {written[:80]}")
    sizes = {k: int(n) for k, n in re.findall(r"'(\w+)'=(\d+)", mesh[1])}
    inside = re.findall(r"'(\w+)'", mesh[2])
    axes = list(sizes)
    ids = np.arange(devices).reshape(list(sizes.values()))
    outside = [axes.index(name) for name in axes if name not in inside]
    within = [axes.index(name) for name in inside]
    count = math.prod(sizes[name] for name in inside)
    return _rows(ids.transpose(outside + within).reshape(-1, count))


def _rows(ids: np.ndarray) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(int(i) for i in row) for row in ids)


def _executions(text: str):
    """A function: computation → how often a call runs it, and whether that is known."""
    callers: dict[str, list[tuple[str, int | None]]] = {}
    computation = ""
    for line in text.splitlines():
        if header := _COMPUTATION.match(line):
            computation = header[1]
            continue
        trips = _TRIPS.search(line)
        for attribute, called in _CALLED.findall(line):
            rounds: int | None = 1
            if attribute in ("body", "condition"):
                rounds = int(trips[1]) if trips else None
            for name in re.findall(r"[\w.\-]+", called):
                callers.setdefault(name, []).append((computation, rounds))

    @functools.cache
    def executions(name: str) -> tuple[int, bool]:
        if name not in callers:
            return 1, True
        count, known = 0, True
        for caller, rounds in callers[name]:
            outer, outer_known = executions(caller)
            count += outer * (1 if rounds is None else rounds)
            known &= outer_known and rounds is not None
        return count, known

    return executions
