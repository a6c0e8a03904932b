"""What the rasterizer costs: forward, forward + backward, compilation, memory.

    python benchmarks/rasterizer.py                       # the whole table, 10 minutes
    python benchmarks/rasterizer.py --suite dsr --peers   # with PyTorch3D and deodr
    python benchmarks/rasterizer.py --suite dsr growth --gate

Times are medians in one process, for the whole batch; the derivative is with respect to
vertices and attributes. Memory is what XLA reserves: arguments, results, temporaries.
`--gate` compares ratios, not times, with the committed table: the machine cancels out
in forward + backward over a fixed piece of arithmetic, in backward over forward, and in
growth. It ends with exit code 1 if any has become worse than it may.
"""

import argparse
import json
import pathlib
import statistics
import sys
import time
from collections.abc import Callable

import jax
import jax.numpy as jnp

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from benchmarks import rasterizer_peers
from benchmarks.rasterizer_scenes import Load, growth, loads, mesh_of, screen
from dsr_jax.rasterizer import RasterSettings, rasterize

RESULTS = pathlib.Path(__file__).parent / "results"
# How much worse than the committed table a ratio may be: two cores of a shared machine
# repeat themselves within a quarter.
TOLERANCE = 1.5
LARGEST_GROWTH = 2.2
LARGEST_BACKWARD = 3.0  # in forward passes


def median_ms(function: Callable, *arguments, seconds: float = 3.0) -> float:
    """Median of at least three calls, after one that is not counted."""
    jax.block_until_ready(function(*arguments))
    times: list[float] = []
    while len(times) < 3 or (sum(times) < seconds and len(times) < 25):
        start = time.perf_counter()
        jax.block_until_ready(function(*arguments))
        times.append(time.perf_counter() - start)
    return 1e3 * statistics.median(times)


def reference_ms() -> float:
    """A fixed piece of arithmetic in the cache: what this machine can do today."""
    x = jnp.linspace(-4, 4, 65536).reshape(4096, 16)

    @jax.jit
    def work(x):
        step = lambda _, y: jnp.log1p(jnp.exp(-jnp.abs(y))) * y + 0.1  # noqa: E731
        return jax.lax.fori_loop(0, 400, step, x)

    return median_ms(work, x)


def measure(load: Load) -> dict[str, float]:
    """One row of the table."""
    _, faces = mesh_of(load.mesh)
    vertices = jnp.asarray(screen(load))
    shape = (load.batch, vertices.shape[1], load.channels)
    colors = jax.random.uniform(jax.random.key(0), shape)
    cotangent = jax.random.normal(
        jax.random.key(1), (load.batch, *load.image_size, load.channels + 1)
    )
    settings = RasterSettings(image_size=load.image_size)

    def draw(vertices, colors):
        raster = rasterize(
            vertices, jnp.asarray(faces), settings, vertex_attributes=colors
        )
        return raster.attributes, raster.alpha

    def both(vertices, colors):
        (image, _), pullback = jax.vjp(draw, vertices, colors)
        return image, *pullback((cotangent[..., :-1], cotangent[..., -1]))

    forward = jax.jit(draw).lower(vertices, colors).compile()
    start = time.perf_counter()
    backward = jax.jit(both).lower(vertices, colors).compile()
    seconds = time.perf_counter() - start
    memory = backward.memory_analysis()
    used = (
        memory.temp_size_in_bytes
        + memory.argument_size_in_bytes
        + memory.output_size_in_bytes
    )
    return {
        "faces": len(faces),
        "forward_ms": round(median_ms(forward, vertices, colors), 2),
        "both_ms": round(median_ms(backward, vertices, colors), 2),
        "compile_s": round(seconds, 1),
        "memory_mb": round(used / 1e6, 1),
    }


def check(result: dict, committed: dict) -> list[str]:
    """What has become worse than it may: one line each."""
    wrong = []
    for name, row in result["loads"].items():
        backward = row["both_ms"] / row["forward_ms"] - 1
        if name.endswith("N8") and backward > LARGEST_BACKWARD:
            wrong.append(f"{name}: backward costs {backward:.1f} forward passes")
        before = committed["loads"].get(name)
        if before is None:
            continue
        now, then = (
            r["both_ms"] / t["reference_ms"]
            for r, t in ((row, result), (before, committed))
        )
        if now > TOLERANCE * then:
            wrong.append(f"{name}: {now / then:.2f} × the committed cost")
    for what, factor in result.get("growth", {}).items():
        if factor > LARGEST_GROWTH:
            wrong.append(f"twice the {what} costs {factor:.2f} × the time")
    return wrong


def grown(rows: dict[str, dict]) -> dict[str, float]:
    """Cost of twice as much, where both loads were measured."""
    return {
        what: round(rows[after.name]["both_ms"] / rows[before.name]["both_ms"], 2)
        for what, (before, after) in growth().items()
        if before.name in rows and after.name in rows
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    suites = sorted({load.suite for load in loads()})
    parser.add_argument("--suite", nargs="*", choices=suites, default=suites)
    parser.add_argument("--peers", action="store_true", help="measure other renderers")
    parser.add_argument("--gate", action="store_true", help="compare and judge")
    parser.add_argument("--output", type=pathlib.Path, help="where to write the JSON")
    arguments = parser.parse_args()
    device = jax.devices()[0]
    committed = RESULTS / f"rasterizer_{device.platform}.json"
    result: dict = {
        "device": f"{device.platform}: {device.device_kind}",
        "cores": len(jax.devices()) if device.platform != "cpu" else _cores(),
        "jax": jax.__version__,
        "reference_ms": round(reference_ms(), 2),
        "loads": {},
        "peers": {},
    }
    print(f"{'load':34}{'faces':>8}{'forward':>10}{'both':>10}{'compile':>9}{'MB':>8}")
    for load in loads():
        if load.suite not in arguments.suite or load.name in result["loads"]:
            continue
        row = result["loads"][load.name] = measure(load)
        print(
            f"{load.name:34}{row['faces']:8}{row['forward_ms']:8.1f}ms"
            f"{row['both_ms']:8.1f}ms{row['compile_s']:8.1f}s{row['memory_mb']:8.0f}",
            flush=True,
        )
        if arguments.peers and load.peers:
            for name, times in rasterizer_peers.measure(load).items():
                times["over_ours"] = round(times["both_ms"] / row["both_ms"], 2)
                result["peers"][f"{name}, {load.name}"] = times
                print(f"    {name}: {times}", flush=True)
    result["growth"] = grown(result["loads"])
    if result["growth"]:
        print("cost of twice as many:", result["growth"])
    if arguments.output:
        arguments.output.parent.mkdir(parents=True, exist_ok=True)
        arguments.output.write_text(json.dumps(result, indent=1) + "\n")
    if not arguments.gate:
        return 0
    if not committed.exists():
        print(f"no committed table for {device.platform}: {committed} is missing")
        return 1
    wrong = check(result, json.loads(committed.read_text()))
    print("\n".join(wrong) if wrong else "gate: passed")
    return 1 if wrong else 0


def _cores() -> int:
    import os

    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1


if __name__ == "__main__":
    sys.exit(main())
