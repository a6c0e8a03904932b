"""One process of a job that saves and restores checkpoints; a test starts several.

python -m tests.training.checkpoint_process PORT COUNT NUMBER FOLDER ACTION
"""

import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from dsr_jax.errors import UserError
from dsr_jax.training.checkpoint import Checkpoints, writing
from dsr_jax.training.devices import BATCH_AXIS, device_mesh
from dsr_jax.training.state import TrainState

SIZE = 64


def expected(step):
    """A state at `step`, on the host."""
    grid = np.arange(SIZE * 24, dtype=np.float32).reshape(SIZE, 24) + step
    return TrainState(
        step=np.int32(step),
        params={"kernel": grid, "bias": grid[0]},
        statistics={"mean": grid[1]},
        rng={"count": np.uint32(step)},
        optimizer={"kernel": -grid, "count": np.int32(step)},
    )


def placements(sharded):
    """Shapes on all devices; kernels split over them, or copied."""
    mesh = device_mesh()

    def place(path, leaf):
        split = sharded and "kernel" in jax.tree_util.keystr(path)
        spec = PartitionSpec(BATCH_AXIS) if split else PartitionSpec()
        sharding = NamedSharding(mesh, spec)
        return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding)

    return jax.tree_util.tree_map_with_path(place, expected(0))


def on_devices(state, like):
    return jax.tree.map(
        lambda x, s: jax.make_array_from_callback(
            s.shape, s.sharding, lambda index: np.asarray(x)[index]
        ),
        state,
        like,
    )


def check(state, step, like):
    """Every part that this process holds is what it should be, where it should be."""
    for found, wanted, place in zip(
        *map(jax.tree.leaves, (state, expected(step), like)), strict=True
    ):
        assert found.sharding == place.sharding
        for shard in found.addressable_shards:
            np.testing.assert_array_equal(shard.data, wanted[shard.index])


def save(folder):
    """Two saves while steps with collectives run on, and one that a process fails."""
    like = placements(sharded=True)
    checkpoints = Checkpoints(folder)
    everywhere = NamedSharding(device_mesh(), PartitionSpec())
    total = jax.jit(lambda s: jnp.sum(s.params["kernel"]), out_shardings=everywhere)
    step = jax.jit(lambda s: jax.tree.map(lambda x: x * 1, s), donate_argnums=0)
    for number in (1, 2):
        state = on_devices(expected(number), like)
        checkpoints.save(state, {"position": 10 * number}, score=5.0 - number)
        for _ in range(20):
            state = step(state)
            float(total(state))
    checkpoints.wait()
    if jax.process_index() == 2:
        writing.write_item = full_disk
    checkpoints.save(on_devices(expected(3), like), {"position": 30})
    try:
        checkpoints.close()
    except UserError as error:
        print(f"told: {error}")
    print(f"left: {checkpoints.latest_step} {checkpoints.best_step}")


def full_disk(folder, item):
    raise OSError(28, "No space left on device")


def restore(folder):
    """The newest that is whole, first sharded, then copied; then the next one saved."""
    checkpoints = Checkpoints(folder)
    for sharded in (True, False):
        like = placements(sharded)
        found = checkpoints.restore_latest(like)
        check(found.state, found.step, like)
        assert found.data == {"position": 10 * found.step}
        print(f"found: {found.step} of {found.processes}")
    checkpoints.save(on_devices(expected(7), like), {"position": 70})
    checkpoints.close()


if __name__ == "__main__":
    port, count, number, place, action = sys.argv[1:]
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    jax.distributed.initialize(f"localhost:{port}", int(count), int(number))
    {"save": save, "restore": restore}[action](Path(place))
    jax.distributed.shutdown()
