"""What a training step costs on 1 to 256 devices, read from compiled programs.

    python benchmarks/scaling_model.py [--devices 1,2,4,8] [--images-per-device 64]
        [--batch 128] [--dtype float32] [--parameters sharded] [--accumulate 4]
        [--topology v5e:2x4]

Compiles the training step of configs/base.py (ResNet-50, 224², the free body) for
virtual CPU devices; no data is made and nothing is run. Reads FLOPs, memory, bytes
accessed and all communication of one device, and divides by the published peaks of
accelerators (benchmarks/accelerators.py): predictions, not measurements.

--topology compiles for a TPU instead, without having one, where `pip install libtpu`
has been run: "v5e:2x4" is eight chips. That takes minutes a program.

Writes benchmarks/results/scaling_model.json, row by row: what is there already with the
same settings is not compiled again unless --fresh is given.
"""

import argparse
import dataclasses
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
# Before jax is imported; one process compiles for any number of them.
_MOST_DEVICES = 256
_FLAG = f"--xla_force_host_platform_device_count={_MOST_DEVICES}"
os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {_FLAG}".strip()

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
from jax.experimental import topologies  # noqa: E402

from benchmarks.accelerators import ACCELERATORS  # noqa: E402
from benchmarks.scaling_tables import bound, bound_table, cost_table  # noqa: E402
from configs.base import base_config  # noqa: E402
from dsr_jax.data import Batch  # noqa: E402
from dsr_jax.training.compiled import Collective, collectives  # noqa: E402
from dsr_jax.training.devices import device_mesh  # noqa: E402
from dsr_jax.training.loading import load_scene, regressor_builder  # noqa: E402
from dsr_jax.training.optimizer import build_optimizer  # noqa: E402
from dsr_jax.training.settings import RunSettings  # noqa: E402
from dsr_jax.training.state import (  # noqa: E402
    PARAMETERS,
    state_initializer,
    state_shardings,
)
from dsr_jax.training.step import StepSettings, jit_train_step  # noqa: E402

RESULTS = Path(__file__).parent / "results" / "scaling_model.json"
# Pairs that the rasterizer works on at once on accelerators; on CPUs it takes fewer.
_ACCELERATOR_PAIRS = 65536


def abstract_batch(images: int, size: int) -> Batch:
    """The shapes of a batch, without data."""

    def shape(*rest: int, dtype: Any = jnp.float32) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct((images, *rest), dtype)

    return Batch(
        image=shape(size, size, 3, dtype=jnp.uint8),
        labels=shape(size, size, dtype=jnp.uint8),
        has_labels=shape(),
        keypoints_ndc=shape(49, 3),
        joints=shape(24, 4),
        pose=shape(24, 3, 3),
        betas=shape(10),
        has_body=shape(),
        camera=shape(3),
    )


@dataclasses.dataclass(frozen=True)
class Case:
    """What is compiled; with the kind of device, the key of a row of the results."""

    devices: int
    images: int
    dtype: str
    how: StepSettings

    @property
    def names(self) -> dict[str, Any]:
        """Its part of a row."""
        return {
            "devices": self.devices,
            "images": self.images,
            "dtype": self.dtype,
            "parameters": self.how.parameters,
            "accumulate": self.how.accumulate,
        }


def compile_step(devices: Sequence[jax.Device], case: Case):
    """The compiled step of a global batch, and the bytes of its trained weights."""
    config = base_config()
    config.regressor.compute_dtype = case.dtype
    config.rasterizer.pairs_at_once = _ACCELERATOR_PAIRS
    settings = RunSettings.from_config(config)
    optimizer = build_optimizer(settings.optimizer, settings.training.steps)
    network, initialise = state_initializer(regressor_builder(settings), optimizer)
    mesh = device_mesh(devices)
    state = jax.eval_shape(initialise, jax.random.key(0))
    state = jax.tree.map(
        lambda leaf, place: jax.ShapeDtypeStruct(
            leaf.shape, leaf.dtype, sharding=place
        ),
        *(state, state_shardings(state, mesh, case.how.parameters)),
    )
    scene = jax.eval_shape(lambda scene: scene, load_scene(settings))
    batch = abstract_batch(case.images, settings.data.image_size)
    stop = jax.ShapeDtypeStruct((len(devices),), jnp.float32)
    step = jit_train_step(network, optimizer, settings.pipeline, mesh, case.how)
    compiled = step.lower(state, scene, batch, stop).compile()
    weights = sum(
        leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(state.params)
    )
    return compiled, weights


def communication(found: Sequence[Collective]) -> dict[str, Any]:
    """All that one device exchanges in a step."""
    talking = [c for c in found if c.group_size > 1]
    gradients = [c for c in talking if "/reduce_gradients/" in c.op_name]
    # Split weights are gathered before they are used; nothing else is gathered.
    weights = [c for c in talking if c.kind == "all-gather"]
    large = gradients + weights
    return {
        "kinds": {
            kind: sum(c.times for c in talking if c.kind == kind)
            for kind in sorted({c.kind for c in talking})
        },
        "gradient_reductions": sum(c.times for c in gradients),
        "gradient_bytes": sum(c.bytes * c.times for c in gradients),
        "weights_gathered_bytes": sum(c.bytes * c.times for c in weights),
        "other_bytes": sum(c.bytes * c.times for c in talking if c not in large),
        "bytes_sent": sum(c.bytes_sent for c in talking),
        "other_bytes_sent": sum(c.bytes_sent for c in talking if c not in large),
        "rounds_known": all(c.rounds_known for c in talking),
    }


def measure(devices: Sequence[jax.Device], case: Case) -> dict[str, Any]:
    """One row of the results."""
    start = time.perf_counter()
    compiled, weights = compile_step(devices, case)
    cost, memory = compiled.cost_analysis(), compiled.memory_analysis()
    parts = {
        "arguments": memory.argument_size_in_bytes,
        "outputs": memory.output_size_in_bytes,
        "aliased": memory.alias_size_in_bytes,
        "temporaries": memory.temp_size_in_bytes,
    }
    return {
        "compiled_for": devices[0].device_kind,
        **case.names,
        "images_per_device": case.images // case.devices,
        "weights_bytes": weights,
        "flops": cost["flops"],
        "bytes_accessed": cost["bytes accessed"],
        "memory": parts,
        "memory_bytes": sum(parts.values()) - 2 * parts["aliased"],
        "communication": communication(collectives(compiled.as_text())),
        "compile_seconds": round(time.perf_counter() - start, 1),
    }


def planned(arguments: argparse.Namespace) -> list[tuple[int, int]]:
    """(devices, images) to compile: each global batch, then so many a device."""
    counts = [int(n) for n in arguments.devices.split(",")]
    batches = [int(b) for b in arguments.batch.split(",") if b]
    plan = [(n, batch) for batch in batches for n in counts if batch % n == 0]
    own = arguments.images_per_device
    weak = [(n, n * own) for n in counts if own]
    return list(dict.fromkeys(plan + weak))


def group_of(row: dict[str, Any]) -> tuple[Any, ...]:
    """Rows that are shown in one table."""
    return tuple(row[k] for k in ("compiled_for", "dtype", "parameters", "accumulate"))


def key_of(row: dict[str, Any]) -> tuple[Any, ...]:
    return *group_of(row), row["images"], row["devices"]


def arguments_of() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--devices", default="1,2,4,8,16,32,64,128,256")
    parser.add_argument("--batch", default="128", help="global batches; '' for none")
    parser.add_argument("--images-per-device", type=int, default=64, help="0: none")
    parser.add_argument("--dtype", default="float32", choices=("float32", "bfloat16"))
    parser.add_argument("--parameters", default=PARAMETERS[0], choices=PARAMETERS)
    parser.add_argument("--accumulate", type=int, default=1)
    parser.add_argument("--topology", default="", help="of TPUs, such as v5e:2x4")
    parser.add_argument("--fresh", action="store_true", help="compile all again")
    return parser.parse_args()


def main() -> None:
    arguments = arguments_of()
    available = jax.devices("cpu")
    if arguments.topology:
        available = topologies.get_topology_desc(
            platform="tpu", topology_name=arguments.topology
        ).devices
        arguments.devices = str(len(available))
    rows: list[dict[str, Any]] = []
    if RESULTS.exists() and not arguments.fresh:
        rows = json.loads(RESULTS.read_text())["rows"]
    kind = available[0].device_kind
    how = StepSettings(accumulate=arguments.accumulate, parameters=arguments.parameters)
    for devices, images in planned(arguments):
        case = Case(devices, images, arguments.dtype, how)
        if key_of({"compiled_for": kind, **case.names}) in map(key_of, rows):
            continue
        row = measure(available[:devices], case)
        row["bounds"] = {chip.name: bound(row, chip) for chip in ACCELERATORS}
        rows = sorted([*rows, row], key=key_of)
        print(json.dumps(row), flush=True)
        result = {"jax": jax.__version__, "rows": rows}
        RESULTS.write_text(json.dumps(result, indent=1) + "\n")
    for group in sorted(set(map(group_of, rows))):
        chosen = [row for row in rows if group_of(row) == group]
        kind, dtype, parameters, accumulate = group
        print(f"\nCompiled for {kind}, {dtype}, {parameters}, in parts: {accumulate}\n")
        print("\n".join([*cost_table(chosen), "", *bound_table(chosen)]))


if __name__ == "__main__":
    main()
