"""Batches whose images lie on several devices: each device draws its own."""

from collections.abc import Callable
from typing import Any

import jax
from jax.sharding import PartitionSpec


def on_each_device(function: Callable, batch_axes: int, *arrays: jax.Array) -> Any:
    """Calls function(*arrays) on every device for the images it holds.

    The loop over the pairs of face and tile runs over a whole batch; split by a
    partitioner it would gather all images on all devices. Where the type of the first
    array says how its leading axes are split (mesh axes of the type Explicit), the loop
    is put under `jax.shard_map`. Otherwise, and inside a shard_map, it is called as is.

    Args:
      function: takes the arrays, returns arrays with the leading axes of the first.
      batch_axes: number of leading axes of the first array.
      arrays: the first decides; any other is either split like it, if it has the same
        leading sizes and split, or the same on all devices.
    """
    sharding = jax.typeof(arrays[0]).sharding
    spec = tuple(sharding.spec)[:batch_axes]
    names = set()
    for entry in spec:
        if entry is not None and entry is not PartitionSpec.UNCONSTRAINED:
            names |= {entry} if isinstance(entry, str) else set(entry)
    if not names:
        return function(*arrays)

    def spec_of(array: jax.Array) -> PartitionSpec:
        own = tuple(jax.typeof(array).sharding.spec)[:batch_axes]
        split = any(entry is not None for entry in own)
        return PartitionSpec(*spec) if split else PartitionSpec()

    return jax.shard_map(
        function,
        mesh=sharding.mesh,
        in_specs=tuple(spec_of(a) for a in arrays),
        out_specs=PartitionSpec(*spec),
        axis_names=names,
    )(*arrays)


def varying_like(reference: jax.Array, tree: Any) -> Any:
    """Marks arrays as varying over those axes of a shard_map that `reference` does.

    Outside of shard_map it does nothing.
    """
    axes = _varying_axes(reference)

    def mark(leaf: jax.Array) -> jax.Array:
        missing = tuple(sorted(axes - _varying_axes(leaf)))
        return jax.lax.pcast(leaf, missing, to="varying") if missing else leaf

    return jax.tree.map(mark, tree)


def _varying_axes(array: jax.Array) -> frozenset[str]:
    # JAX 0.10 renamed what used to be `vma`.
    kind = jax.typeof(array)
    axes = getattr(getattr(kind, "manual_axis_type", None), "varying", None)
    return getattr(kind, "vma", frozenset()) if axes is None else axes
