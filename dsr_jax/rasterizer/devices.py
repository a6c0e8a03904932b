"""Batches whose images lie on several devices: each device draws its own."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
from jax.sharding import NamedSharding, PartitionSpec


def on_each_device(
    function: Callable, batch_axes: int, batched: Sequence[bool], *arrays: jax.Array
) -> Any:
    """Calls function(*arrays) on every device for the images it holds.

    The loop over the pairs of face and tile runs over a whole batch; split by a
    partitioner it would gather all images on all devices. Where the type of an array
    says how its leading axes are split (mesh axes of the type Explicit), the loop is
    put under `jax.shard_map`. Otherwise, and inside a shard_map, it is called as is.

    Args:
      function: takes the arrays, returns arrays with the leading axes of the batch.
      batch_axes: number of these axes.
      batched: which of the arrays have them; the first of those that is split decides,
        and others are split alike. Arrays without them are the same on all devices.
      arrays: the arguments.
    """
    if batch_axes == 0:
        return function(*arrays)
    split = [
        jax.typeof(array).sharding
        for array, has_images in zip(arrays, batched, strict=True)
        if has_images and _mesh_axes(array, batch_axes)
    ]
    if not split:
        return function(*arrays)
    mesh, images = split[0].mesh, PartitionSpec(*split[0].spec[:batch_axes])
    specs = tuple(images if b else PartitionSpec() for b in batched)
    arrays = tuple(
        jax.sharding.reshard(array, NamedSharding(mesh, spec))
        for array, spec in zip(arrays, specs, strict=True)
    )
    names = _mesh_axes(arrays[batched.index(True)], batch_axes)
    return jax.shard_map(
        function, mesh=mesh, in_specs=specs, out_specs=images, axis_names=names
    )(*arrays)


def _mesh_axes(array: jax.Array, batch_axes: int) -> set[str]:
    """The mesh axes over which the leading axes are split, by the array's type."""
    names: set[str] = set()
    for entry in tuple(jax.typeof(array).sharding.spec)[:batch_axes]:
        if entry is not None and entry is not PartitionSpec.UNCONSTRAINED:
            names |= {entry} if isinstance(entry, str) else set(entry)
    return names


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
