"""What a host computes alone, it computes on its own devices.

A program on the mesh of all hosts runs only if every host starts it. Evaluation and
pictures therefore take a copy of the state on the devices of one host.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, TypeVar

import jax
from jax.sharding import Mesh

from dsr_jax.training.devices import replicated
from dsr_jax.training.state import TrainState

Tree = TypeVar("Tree")


def local_copy(tree: Tree, mesh: Mesh) -> Tree:
    """The arrays on every device of a mesh of this host.

    What lies there already is not copied: it is the same memory, and a step to which
    the original is given away takes the copy with it.

    Args:
      tree: arrays on this host, or on a mesh that this host is part of. If any is split
        over the devices of several hosts, all of them must call this: the parts are
        gathered.
      mesh: devices of this host.
    """
    leaves, structure = jax.tree.flatten(tree)
    split = [place for place, leaf in enumerate(leaves) if _is_split_over_hosts(leaf)]
    if split:
        gather = _gatherer(leaves[split[0]].sharding.mesh)
        whole = gather([leaves[place] for place in split])
        for place, leaf in zip(split, whole, strict=True):
            leaves[place] = leaf
    copies = [_on_devices(leaf, mesh) for leaf in leaves]
    return jax.tree.unflatten(structure, copies)


def for_prediction(state: TrainState) -> TrainState:
    """The state with what predicts alone; the rest need not be gathered."""
    params, statistics = (state.evaluated[k] for k in ("params", "statistics"))
    return dataclasses.replace(
        state, params=params, statistics=statistics, optimizer=(), ema=None
    )


def _is_split_over_hosts(leaf: Any) -> bool:
    if not isinstance(leaf, jax.Array):
        return False
    return not (leaf.is_fully_addressable or leaf.is_fully_replicated)


@functools.cache  # One compilation, however often a run evaluates.
def _gatherer(mesh: Mesh) -> Callable[[list[jax.Array]], list[jax.Array]]:
    return jax.jit(lambda leaves: leaves, out_shardings=replicated(mesh))


def _on_devices(leaf: Any, mesh: Mesh) -> jax.Array:
    if isinstance(leaf, jax.Array) and leaf.is_fully_replicated:
        here = {shard.device: shard.data for shard in leaf.addressable_shards}
        if here.keys() >= set(mesh.devices.flat):
            parts = [here[device] for device in mesh.devices.flat]
            return jax.make_array_from_single_device_arrays(
                leaf.shape, replicated(mesh), parts
            )
    return jax.device_put(leaf, replicated(mesh))
