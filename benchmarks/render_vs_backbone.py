"""Is rendering cheaper than the network it supervises? Both, forward and backward.

    python benchmarks/render_vs_backbone.py [--batch 8] [--size 224] [--body free]

Times the semantic rendering of a DSR training step (5 channels, the published sigma and
gamma, people of the synthetic generator's pose sampler filling the crop) and the
ResNet-50 backbone in training mode, interleaved in one process, and prints the medians
and their ratio. Below 1, the network and not the renderer bounds the step.
"""

import argparse
import json
import statistics
import time

import jax
import jax.numpy as jnp
from flax import nnx

from dsr_jax.body import load_body
from dsr_jax.data.synthetic import SyntheticSettings, synthetic_views
from dsr_jax.rasterizer import RasterSettings, rasterize
from dsr_jax.regressor.resnet import resnet50


def rendering(body, batch: int, size: int, channels: int):
    """A function that renders and differentiates, and its argument."""
    people = SyntheticSettings(image_size=size, truncation_probability=0.0)
    _, vertices = synthetic_views(jax.random.key(0), batch, 1, body, people)
    textures = jax.random.uniform(
        jax.random.key(1), (batch, vertices.shape[1], channels)
    )
    settings = RasterSettings(image_size=(size, size))
    weights = jax.random.normal(jax.random.key(2), (batch, size, size, channels + 1))

    def loss(vertices):
        raster = rasterize(vertices, body.faces, settings, vertex_attributes=textures)
        image = jnp.concatenate([raster.attributes, raster.alpha[..., None]], -1)
        return jnp.sum(image * weights)

    return jax.jit(jax.value_and_grad(loss)), vertices


def backbone(batch: int, size: int):
    """The same for a ResNet-50 in training mode."""
    network = resnet50(jnp.dtype("float32"), nnx.Rngs(0))
    network.train()
    graph, params, statistics = nnx.split(network, nnx.Param, ...)
    image = jax.random.normal(jax.random.key(3), (batch, size, size, 3))

    def loss(params):
        network = nnx.merge(graph, params, statistics, copy=True)
        return jnp.sum(network(image))

    return jax.jit(jax.value_and_grad(loss)), params


def seconds(function, argument) -> float:
    start = time.perf_counter()
    jax.block_until_ready(function(argument))
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--channels", type=int, default=5)
    parser.add_argument("--body", default="free")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    body = load_body(arguments.body)
    tasks = {
        "rendering": rendering(
            body, arguments.batch, arguments.size, arguments.channels
        ),
        "backbone": backbone(arguments.batch, arguments.size),
    }
    result: dict[str, object] = {
        "device": jax.devices()[0].device_kind,
        "faces": int(body.faces.shape[0]),
        **vars(arguments),
    }
    times: dict[str, list[float]] = {name: [] for name in tasks}
    for name, (function, argument) in tasks.items():
        result[f"{name}_compile_s"] = round(seconds(function, argument), 2)
    for _ in range(arguments.rounds):
        for name, (function, argument) in tasks.items():
            times[name].append(seconds(function, argument))
    median = {name: statistics.median(values) for name, values in times.items()}
    result |= {f"{name}_ms": round(1e3 * t, 1) for name, t in median.items()}
    result["rendering_over_backbone"] = round(
        median["rendering"] / median["backbone"], 3
    )
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
