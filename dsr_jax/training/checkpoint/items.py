"""What a checkpoint is made of: two items, each a dictionary from path to array.

`regressor` is what evaluation uses: weights and statistics, or their averages if the
state has any. `training` is every other field. Nothing is in both.
"""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import NamedSharding, PartitionSpec, Sharding

from dsr_jax.training.state import TrainState

REGRESSOR, TRAINING = "regressor", "training"
_AVERAGE = "ema"

Item = dict[str, Any]
"""Path → array, or shape, type and sharding of one; random keys as their raw bits."""


def split_state(state: TrainState) -> dict[str, dict[str, Any]]:
    """The fields of a state by item; what is averaged is evaluated by its average."""
    training = {f.name: getattr(state, f.name) for f in dataclasses.fields(state)}
    regressor = dict(state.evaluated)
    if training.pop(_AVERAGE) is None:
        training = {k: v for k, v in training.items() if k not in regressor}
    return {REGRESSOR: regressor, TRAINING: training}


def join_state(parts: Mapping[str, Mapping[str, Any]], like: TrainState) -> TrainState:
    """The inverse of `split_state`, for a state with an average if `like` has one."""
    if like.ema is not None:
        return dataclasses.replace(like, **parts[TRAINING], ema=dict(parts[REGRESSOR]))
    return dataclasses.replace(like, **parts[REGRESSOR], **parts[TRAINING])


def to_item(tree: Any) -> Item:
    """Path → array, so that the file knows no classes."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {
        jax.tree_util.keystr(path, simple=True, separator="/"): (
            _key_data(leaf) if _is_key(leaf) else leaf
        )
        for path, leaf in leaves
    }


def from_item(item: Mapping[str, Any], like: Any) -> Any:
    """The tree of `like` with the arrays of `item`."""
    leaves, tree = jax.tree_util.tree_flatten(like)
    restored = [
        jax.random.wrap_key_data(value) if _is_key(leaf) else value
        for value, leaf in zip((item[p] for p in to_item(like)), leaves, strict=True)
    ]
    return jax.tree_util.tree_unflatten(tree, restored)


def abstract_item(tree: Any) -> Item:
    """Path → shape, type and sharding."""
    return {
        path: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=leaf.sharding)
        for path, leaf in to_item(tree).items()
    }


def copy_items(items: Mapping[str, Item]) -> dict[str, Item]:
    """Copies on the devices.

    Returns as soon as the work is queued. The originals may be donated at once: the
    runtime keeps them until the copies are made.
    """
    placed = jax.tree.map(jnp.asarray, dict(items))
    leaves, tree = jax.tree.flatten(placed)
    copy = _copier(tree, tuple(leaf.sharding for leaf in leaves))
    return copy(placed)


@functools.lru_cache(maxsize=8)
def _copier(tree: Any, shardings: tuple[Sharding, ...]) -> Any:
    """One compiled function a layout of the state; jax.jit alone would guess places."""
    named = [s for s in shardings if isinstance(s, NamedSharding)]
    everywhere = NamedSharding(named[0].mesh, PartitionSpec()) if named else None
    # A leaf that is on one device among others on all is there by accident.
    places = jax.tree.unflatten(
        tree,
        [s if isinstance(s, NamedSharding) else everywhere or s for s in shardings],
    )
    return jax.jit(lambda items: jax.tree.map(jnp.copy, items), out_shardings=places)


def _is_key(value: Any) -> bool:
    return jax.dtypes.issubdtype(value.dtype, jax.dtypes.prng_key)


def _key_data(keys: Any) -> Any:
    if isinstance(keys, jax.ShapeDtypeStruct):
        data = jax.eval_shape(jax.random.key_data, keys)
        return jax.ShapeDtypeStruct(data.shape, data.dtype, sharding=keys.sharding)
    return jax.random.key_data(keys)
