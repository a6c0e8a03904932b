"""Checkpoints of a run: the latest state to continue from, and the best regressor.

A checkpoint holds two items, so that evaluation reads only the first: `regressor`
(weights and batch-norm statistics) and `training` (step, optimizer, dropout keys). The
step is the data position too: the data stream is a function of the seed and the step.
Orbax writes into a temporary folder that takes its name when it is complete.
"""

import contextlib
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp
from jax.sharding import Sharding
from orbax.checkpoint import checkpoint_managers

from dsr_jax.errors import UserError
from dsr_jax.training.run_folder import CHECKPOINTS
from dsr_jax.training.state import TrainState

REGRESSOR, TRAINING = "regressor", "training"
SCORE = "score"


class Checkpoints:
    """The `checkpoints` folder of a run."""

    def __init__(self, workdir: Path, read_only: bool = False):
        policy = checkpoint_managers.AnyPreservationPolicy(
            [
                checkpoint_managers.LatestN(1),
                # Reversed: the lowest score comes last, and the last one is kept.
                checkpoint_managers.BestN(
                    get_metric_fn=lambda metrics: metrics[SCORE],
                    reverse=True,
                    n=1,
                    keep_checkpoints_without_metrics=False,
                ),
            ]
        )
        self._folder = workdir / CHECKPOINTS
        with _quiet_orbax():
            options = ocp.CheckpointManagerOptions(
                best_fn=lambda metrics: metrics[SCORE],
                best_mode="min",
                preservation_policy=policy,
                # In the background it would read buffers that the next step donates.
                enable_async_checkpointing=False,
                cleanup_tmp_directories=not read_only,
                read_only=read_only,
            )
            handlers = {
                name: ocp.StandardCheckpointHandler() for name in (REGRESSOR, TRAINING)
            }
            self._manager = ocp.CheckpointManager(
                self._folder, options=options, item_handlers=handlers
            )

    @property
    def latest_step(self) -> int | None:
        """Step of the newest checkpoint."""
        return self._manager.latest_step()

    @property
    def best_step(self) -> int | None:
        """Step of the checkpoint with the lowest score; the newest if none has one."""
        best = self._manager.best_step()
        return self.latest_step if best is None else best

    def save(self, state: TrainState, score: float | None = None) -> None:
        """Saves `state` under its step; nothing to do if that step is there already.

        Args:
          state: what to save.
          score: 1.5·PA-MPJPE + MPJPE of this state, if it was evaluated.

        Raises:
          UserError: the folder cannot be written.
        """
        step = int(state.step)
        if step in self._manager.all_steps():
            return
        items = ocp.args.Composite(
            **{
                REGRESSOR: ocp.args.StandardSave(_to_dict(_regressor_item(state))),
                TRAINING: ocp.args.StandardSave(_to_dict(_training_item(state))),
            }
        )
        metrics = None if score is None else {SCORE: float(score)}
        try:
            with _quiet_orbax():
                self._manager.save(step, args=items, metrics=metrics)
        except OSError as error:
            raise UserError(
                f"{self._folder}: the checkpoint of step {step} cannot be written "
                f"({error}); free some space or give another --workdir"
            ) from error

    def restore_latest(self, like: TrainState) -> TrainState:
        """The newest state, placed as `like` is.

        Raises:
          UserError: the checkpoint is damaged or belongs to another network.
        """
        step = self.latest_step
        if step is None:
            raise UserError(f"{self._folder}: holds no checkpoint; start the run anew")
        regressor = self._restore(step, REGRESSOR, _regressor_item(like))
        training = self._restore(step, TRAINING, _training_item(like))
        return TrainState(**regressor, **training)

    def restore_regressor(self, step: int, like: Mapping[str, Any]) -> dict[str, Any]:
        """`params` and `statistics` at `step`, shaped and placed as in `like`.

        Raises:
          UserError: the checkpoint is damaged or belongs to another network.
        """
        return self._restore(step, REGRESSOR, dict(like))

    def close(self) -> None:
        """Releases Orbax's resources."""
        with _quiet_orbax():
            self._manager.close()

    def _restore(self, step: int, item: str, like: dict[str, Any]) -> dict[str, Any]:
        folder = self._folder / str(step)
        target = _to_dict(like)
        abstract = {path: _abstract(value) for path, value in target.items()}
        try:
            with _quiet_orbax():
                self._check_shapes(step, item, abstract)
                restored = self._manager.restore(
                    step,
                    args=ocp.args.Composite(
                        **{item: ocp.args.StandardRestore(abstract)}
                    ),
                )[item]
        except UserError:
            raise
        # Orbax and tensorstore raise ValueError, KeyError, OSError, TypeError, … for
        # one cause, a file that is cut or gone.
        except Exception as error:
            raise UserError(
                f"{folder}: the checkpoint is damaged ({type(error).__name__} in "
                f"'{item}'); delete this folder to go back to an earlier one"
            ) from error
        return _from_dict(restored, like)

    def _check_shapes(self, step: int, item: str, abstract: dict[str, Any]) -> None:
        saved = self._manager.item_metadata(step)[item]
        tree = saved if isinstance(saved, dict) else saved.tree
        for path in sorted(abstract.keys() | tree.keys()):
            ours = tuple(abstract[path].shape) if path in abstract else "nothing"
            theirs = tuple(tree[path].shape) if path in tree else "nothing"
            if ours != theirs:
                raise UserError(
                    f"{self._folder / str(step)}: holds {theirs} for '{path}' where "
                    f"the config's network has {ours}; give the config of this run"
                )


def _regressor_item(state: TrainState) -> dict[str, Any]:
    return {"params": state.params, "statistics": state.statistics}


def _training_item(state: TrainState) -> dict[str, Any]:
    return {"step": state.step, "rng": state.rng, "optimizer": state.optimizer}


def _is_key(value: Any) -> bool:
    return jax.dtypes.issubdtype(value.dtype, jax.dtypes.prng_key)


def _to_dict(tree: Any) -> dict[str, Any]:
    """Path → array, random keys as their raw bits: the file knows no classes."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {
        jax.tree_util.keystr(path, simple=True, separator="/"): (
            _key_data(leaf) if _is_key(leaf) else leaf
        )
        for path, leaf in leaves
    }


def _key_data(keys: Any) -> Any:
    if isinstance(keys, jax.ShapeDtypeStruct):
        data = jax.eval_shape(jax.random.key_data, keys)
        return jax.ShapeDtypeStruct(data.shape, data.dtype, sharding=keys.sharding)
    return jax.random.key_data(keys)


def _from_dict(values: Mapping[str, Any], like: Any) -> Any:
    leaves, tree = jax.tree_util.tree_flatten(like)
    restored = [
        jax.random.wrap_key_data(value) if _is_key(leaf) else value
        for value, leaf in zip((values[p] for p in _to_dict(like)), leaves, strict=True)
    ]
    return jax.tree_util.tree_unflatten(tree, restored)


def _abstract(value: Any) -> jax.ShapeDtypeStruct:
    sharding: Sharding | None = value.sharding
    return jax.ShapeDtypeStruct(value.shape, value.dtype, sharding=sharding)


@contextlib.contextmanager
def _quiet_orbax() -> Iterator[None]:
    """Keeps Orbax's progress notes and abandoned tasks off the user's terminal."""
    notes, tasks = logging.getLogger("absl"), logging.getLogger("asyncio")
    levels = notes.level, tasks.level
    notes.setLevel(logging.CRITICAL)
    # After a failure it stays so: abandoned tasks complain when they are collected.
    tasks.setLevel(logging.CRITICAL)
    try:
        yield
        tasks.setLevel(levels[1])
    finally:
        notes.setLevel(levels[0])
