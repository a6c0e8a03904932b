"""Which of the pipeline's named scopes each event of a profile belongs to.

A profile's events carry the names of compiled instructions ("fusion.12"). The profile
also holds the compiled programs, whose instructions know the path of scopes that they
come from ("jit(step)/transpose(jvp(regressor))/…"): joined, a profile speaks the words
of `dsr_jax.pipeline`.
"""

import collections
import gzip
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from dsr_jax.files import write_bytes

PERFETTO = "perfetto_trace.json.gz"
# The stages of a step; where they nest, an event belongs to the innermost.
SCOPES = (
    *("regressor", "body", "joints", "camera", "semantics", "rasterizer"),
    *("dsr_terms", "standard_terms", "objective"),
    *("reduce_gradients", "optimizer"),
)
OTHER, UNNAMED = "other", "unnamed"
# (program, instruction) → path of scopes.
Origins = Mapping[tuple[str, str], str]


def scope_of(origin: str) -> str:
    """The innermost of `SCOPES` on a path of scopes; `OTHER` if there is none."""
    names = [name for name in re.findall(r"\w+", origin) if name in SCOPES]
    return names[-1] if names else OTHER


def read_origins(file: Path) -> dict[tuple[str, str], str]:
    """The origins of all instructions of the programs that a profile holds.

    An instruction that was made by fusing others has the origin of the last of them, if
    it has none of its own.

    Args:
      file: `*.xplane.pb` of a profile.
    """
    origins = {}
    for program in _programs(memoryview(file.read_bytes())):
        # HloModuleProto: 1 name, 3 computations, which call only those before them.
        name = _text(program, 1)
        last: dict[int, str] = {}
        for computation in _all(program, 3):
            # HloComputationProto: 2 instructions, 5 id.
            origin = ""
            for instruction in _all(computation, 2):
                if own := _instruction_origin(instruction, last):
                    origins[name, _text(instruction, 1)] = origin = own
            last[next(_numbers(computation, 5), 0)] = origin
    return origins


def name_scopes(session: Path) -> None:
    """Adds `scope` and `op_name` to the events of a profile's Perfetto trace.

    Args:
      session: `profile/plugins/profile/<time>`, which holds both forms of the profile.
    """
    origins: dict[tuple[str, str], str] = {}
    for file in session.glob("*.xplane.pb"):
        origins |= read_origins(file)
    trace = read_trace(session / PERFETTO)
    for event in trace["traceEvents"]:
        if _is_instruction(event):
            arguments = event["args"]
            origin = _origin(event, origins)
            arguments["op_name"] = origin
            arguments["scope"] = scope_of(origin) if origin else UNNAMED
    packed = gzip.compress(json.dumps(trace).encode(), compresslevel=5)
    write_bytes(session / PERFETTO, packed)


def read_trace(file: Path) -> dict[str, Any]:
    """The content of a Perfetto trace of JAX."""
    with gzip.open(file) as stream:
        return json.load(stream)


def scope_seconds(
    events: Iterable[Mapping[str, Any]],
) -> dict[tuple[str, bool], float]:
    """Device seconds by (scope, whether of the backward pass), of named events.

    Summed over threads and devices; an event that contains others on its thread, as a
    loop does, counts without them.
    """
    lines = collections.defaultdict(list)
    for event in events:
        if "scope" in event.get("args", {}) and event.get("ph") == "X":
            lines[event["pid"], event["tid"]].append(event)
    seconds: dict[tuple[str, bool], float] = collections.defaultdict(float)
    for line in lines.values():
        for event, own in _own_times(line):
            backward = "transpose(" in event["args"]["op_name"]
            seconds[event["args"]["scope"], backward] += own / 1e6
    return dict(seconds)


def _own_times(
    line: list[Mapping[str, Any]],
) -> Iterator[tuple[Mapping[str, Any], float]]:
    """Events of one thread with their microseconds outside of events inside them."""
    open_events: list[list[Any]] = []
    for event in sorted(line, key=lambda e: (e["ts"], -e["dur"])):
        while open_events and open_events[-1][1] <= event["ts"]:
            done, _, own = open_events.pop()
            yield done, max(own, 0.0)
        if open_events:
            open_events[-1][2] -= event["dur"]
        open_events.append([event, event["ts"] + event["dur"], event["dur"]])
    for done, _, own in open_events:
        yield done, max(own, 0.0)


def _is_instruction(event: Mapping[str, Any]) -> bool:
    arguments = event.get("args", {})
    return "hlo_op" in arguments or "tf_op" in arguments


def _origin(event: Mapping[str, Any], origins: Origins) -> str:
    arguments = event["args"]
    key = arguments.get("hlo_module", ""), arguments.get("hlo_op", event["name"])
    return origins.get(key) or arguments.get("tf_op", "")


def _instruction_origin(instruction: memoryview, last: Mapping[int, str]) -> str:
    """Fields: 7 metadata, in which 2 is op_name; 38 the computations it calls."""
    for metadata in _all(instruction, 7):
        if origin := _text(metadata, 2):
            return origin
    return next((last.get(called, "") for called in _numbers(instruction, 38)), "")


def _programs(profile: memoryview) -> Iterator[memoryview]:
    """The HLO modules of an XSpace.

    XSpace: 1 planes; XPlane: 2 name, 4 map of event metadata; an entry's value is 2;
    XEventMetadata: 5 stats; XStat: 6 bytes, here an HloProto, in which 1 is the module.
    """
    for plane in _all(profile, 1):
        if _text(plane, 2) != "/host:metadata":
            continue
        for entry in _all(plane, 4):
            for metadata in _all(entry, 2):
                for stat in _all(metadata, 5):
                    for proto in _all(stat, 6):
                        yield from _all(proto, 1)


def _text(message: memoryview, number: int) -> str:
    return next((bytes(value).decode() for value in _all(message, number)), "")


def _all(message: memoryview, number: int) -> Iterator[memoryview]:
    """The values of a field that are texts, bytes or messages."""
    for value in _field(message, number):
        if not isinstance(value, int):
            yield value


def _numbers(message: memoryview, number: int) -> Iterator[int]:
    """The whole numbers of a field, one by one or packed."""
    for value in _field(message, number):
        if isinstance(value, int):
            yield value
            continue
        position = 0
        while position < len(value):
            packed, position = _varint(value, position)
            yield packed


def _field(message: memoryview, number: int) -> Iterator[int | memoryview]:
    """The values of a field of a protocol buffer, without those of fixed width.

    Read by hand, because XLA's schema comes with TensorFlow alone:
    https://protobuf.dev/programming-guides/encoding.
    """
    position = 0
    while position < len(message):
        key, position = _varint(message, position)
        field, wire = key >> 3, key & 7
        if wire == 0:
            value, position = _varint(message, position)
            if field == number:
                yield value
        elif wire in (1, 5):
            position += 8 if wire == 1 else 4
        elif wire == 2:
            length, position = _varint(message, position)
            if field == number:
                yield message[position : position + length]
            position += length
        else:
            raise ValueError(f"not a protocol buffer: wire type {wire}")


def _varint(message: memoryview, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[position]
        value |= (byte & 127) << shift
        position, shift = position + 1, shift + 7
        if byte < 128:
            return value, position
