"""How long a training waits for a checkpoint, and how long the writing goes on.

    python benchmarks/checkpoint_time.py [--backbone resnet50] [--devices 1]

The state is that of configs/base.py: weights, batch statistics, Adam's moments. A
stand-in for the training step, which touches all of it and donates it, runs meanwhile.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backbone", default="resnet50")
    parser.add_argument("--devices", type=int, default=1, help="of the CPU")
    parser.add_argument("--saves", type=int, default=4)
    options = parser.parse_args()
    os.environ["XLA_FLAGS"] = (
        f"--xla_force_host_platform_device_count={options.devices}"
    )
    measure(options.backbone, options.saves)


def measure(backbone: str, saves: int) -> None:
    import jax

    from dsr_jax.training.checkpoint import Checkpoints
    from dsr_jax.training.devices import device_mesh, replicated

    everywhere = replicated(device_mesh())
    step = jax.jit(next_state, donate_argnums=0, out_shardings=everywhere)
    state = jax.block_until_ready(step(first_state(backbone)))
    size = sum(x.nbytes for x in jax.tree.leaves(state))
    print(f"{backbone}: {size / 1e6:.0f} MB on {jax.device_count()} devices")
    with tempfile.TemporaryDirectory() as folder:
        checkpoints = Checkpoints(Path(folder))
        for number in range(saves):
            start = time.perf_counter()
            checkpoints.save(state, data={})
            waited = time.perf_counter() - start
            state = jax.block_until_ready(step(state))
            stepped = time.perf_counter() - start - waited
            checkpoints.wait()
            whole = time.perf_counter() - start
            print(
                f"save {number}: the caller waits {waited * 1e3:.1f} ms, the next step "
                f"takes {stepped * 1e3:.0f} ms, on the disk after {whole:.2f} s"
            )
        like = jax.tree.map(
            lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=everywhere), state
        )
        start = time.perf_counter()
        jax.block_until_ready(step(state))
        print(f"a step alone: {(time.perf_counter() - start) * 1e3:.0f} ms")
        # Twice: the first one compiles the fingerprints.
        for _ in range(2):
            start = time.perf_counter()
            jax.block_until_ready(checkpoints.restore_latest(like).state.params)
            print(f"restored and verified in {time.perf_counter() - start:.2f} s")


def first_state(backbone: str):
    import jax

    from configs.base import base_config
    from dsr_jax.training.devices import device_mesh
    from dsr_jax.training.loading import regressor_builder
    from dsr_jax.training.optimizer import build_optimizer
    from dsr_jax.training.settings import RunSettings
    from dsr_jax.training.state import create_state

    config = base_config()
    config.regressor.backbone = backbone
    settings = RunSettings.from_config(config)
    optimizer = build_optimizer(settings.optimizer, 10)
    build = regressor_builder(settings)
    return create_state(build, optimizer, jax.random.key(0), device_mesh())[1]


def next_state(state):
    """As a step does: touches every number, and counts."""
    import dataclasses

    import jax

    def move(x):
        return x * 0.999 if jax.numpy.issubdtype(x.dtype, jax.numpy.floating) else x

    moved = jax.tree.map(move, state)
    return dataclasses.replace(moved, step=state.step + 1)


if __name__ == "__main__":
    main()
