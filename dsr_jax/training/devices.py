"""One mesh over all devices: the batch is split over it, everything else is copied."""

from collections.abc import Sequence
from typing import TypeVar

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

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


def check_divisible(count: int, mesh: Mesh, key: str) -> None:
    """Refuses a number of examples that does not split evenly over the mesh.

    Raises:
      UserError: `count`, which the config calls `key`, is no multiple of the devices.
    """
    if count % mesh.size:
        raise UserError(
            f"config key '{key}' is {count}, which does not split over {mesh.size} "
            f"devices: give a multiple of {mesh.size}"
        )


def put_batch(batch: Tree, mesh: Mesh) -> Tree:
    """This host's share of a batch, split over its devices of the mesh."""
    sharding = batch_sharded(mesh)
    return jax.tree.map(
        lambda leaf: jax.make_array_from_process_local_data(sharding, leaf), batch
    )
