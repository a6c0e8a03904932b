"""One mesh over all devices: the batch is split over it, everything else is copied."""

from collections.abc import Sequence
from typing import Any, TypeVar

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec, Sharding

from dsr_jax.errors import UserError

BATCH_AXIS = "batch"

Tree = TypeVar("Tree")


def device_mesh(devices: Sequence[jax.Device] | None = None) -> Mesh:
    """A one-dimensional mesh over `devices`, by default every device there is."""
    chosen = jax.devices() if devices is None else list(devices)
    # A host's devices side by side, so that its part of a batch is one piece.
    chosen = sorted(chosen, key=lambda device: (device.process_index, device.id))
    return Mesh(np.asarray(chosen), (BATCH_AXIS,))


def local_mesh() -> Mesh:
    """A mesh over the devices of this host."""
    return device_mesh(jax.local_devices())


def at_most(mesh: Mesh, count: int) -> Mesh:
    """The first `count` devices of a mesh: more would have nothing to do."""
    return device_mesh(list(mesh.devices.flat)[:count])


def replicated(mesh: Mesh) -> NamedSharding:
    """A full copy on every device."""
    return NamedSharding(mesh, PartitionSpec())


def batch_sharded(mesh: Mesh) -> NamedSharding:
    """The leading axis split evenly over the devices."""
    return NamedSharding(mesh, PartitionSpec(BATCH_AXIS))


def check_batch(batch_size: int, mesh: Mesh, parts: int = 1) -> None:
    """Refuses a batch that does not split evenly over the mesh, and into parts there.

    Raises:
      UserError: names the config key, and what it has to be a multiple of.
    """
    if batch_size % mesh.size:
        raise UserError(
            f"config key 'training.batch_size' is {batch_size}, which does not split "
            f"over {mesh.size} devices: give a multiple of {mesh.size}"
        )
    own = batch_size // mesh.size
    if own % parts:
        raise UserError(
            f"config key 'training.accumulate' is {parts}, which does not divide the "
            f"{own} examples of a device ('training.batch_size' {batch_size} over "
            f"{mesh.size} devices): give a divisor of {own}"
        )


def put_batch(batch: Tree, mesh: Mesh) -> Tree:
    """This host's share of a batch, split over its devices of the mesh."""
    sharding = batch_sharded(mesh)
    return jax.tree.map(
        lambda leaf: jax.make_array_from_process_local_data(sharding, leaf), batch
    )


def put_everywhere(tree: Tree, mesh: Mesh) -> Tree:
    """Arrays that every host has, on every device of the mesh."""
    return jax.tree.map(lambda leaf: put(leaf, replicated(mesh)), tree)


def put(array: Any, sharding: Sharding) -> jax.Array:
    """An array that every host has, on devices of all hosts.

    Not `jax.device_put`: across hosts that compares what they have, by collectives.
    """
    content = np.asarray(array)
    return jax.make_array_from_callback(
        content.shape, sharding, lambda index: content[index]
    )
