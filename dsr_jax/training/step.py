"""The training step: one compiled function, (state, batch) → (state, metrics)."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jax.sharding import Mesh, PartitionSpec

from dsr_jax.arrays import Array, Float
from dsr_jax.data import Batch
from dsr_jax.errors import UserError
from dsr_jax.pipeline import PipelineSettings, Scene, objective, predict
from dsr_jax.training.devices import BATCH_AXIS, batch_sharded, replicated
from dsr_jax.training.state import Network, TrainState, changed_by_call

Metrics = dict[str, Float[Array, ""]]
TrainStep = Callable[[TrainState, Scene, Batch], tuple[TrainState, Metrics]]


def build_train_step(
    network: Network,
    optimizer: optax.GradientTransformation,
    settings: PipelineSettings,
    mesh: Mesh,
) -> TrainStep:
    """Compiles `(state, scene, batch) → (state, metrics)`; the old state is given away.

    The semantic terms start at `dsr_start_step` by a branch on the traced step: nothing
    is rendered before, and nothing is compiled again after.

    Metrics: `loss`; `term/<name>` before and `weighted/<name>` after weighting, the
    latter summing up to the loss; `valid/<name>`, the fraction of the batch that has
    the annotation; `gradient_norm` before clipping.
    """

    def per_device(function: Callable) -> Callable:
        split = PartitionSpec(BATCH_AXIS)
        return jax.shard_map(
            function,
            mesh=mesh,
            in_specs=(PartitionSpec(), split, split),
            out_specs=split,
            # The rasterizer's loops start from constants, which the check refuses.
            check_vma=False,
        )

    def step(
        state: TrainState, scene: Scene, batch: Batch
    ) -> tuple[TrainState, Metrics]:
        use_dsr = state.step >= settings.objective.dsr_start_step

        def loss_of(params: nnx.State) -> tuple[Array, Any]:
            regressor = network.for_training(state, params)
            prediction = predict(regressor, jnp.asarray(batch.image))
            loss, means = objective(
                scene, prediction, batch, use_dsr, settings, per_device
            )
            rng, statistics = changed_by_call(regressor)
            return loss, (means, rng, statistics)

        (_, aux), gradient = jax.value_and_grad(loss_of, has_aux=True)(state.params)
        means, rng, statistics = aux
        with jax.named_scope("optimizer"):
            updates, moments = optimizer.update(gradient, state.optimizer, state.params)
            params = optax.apply_updates(state.params, updates)
        metrics = _named(means, settings)
        metrics["gradient_norm"] = optax.tree.norm(gradient)
        return TrainState(state.step + 1, params, statistics, rng, moments), metrics

    everywhere = replicated(mesh)
    return jax.jit(
        step,
        in_shardings=(everywhere, everywhere, batch_sharded(mesh)),
        out_shardings=(everywhere, everywhere),
        donate_argnums=0,
    )


def check_finite(step: int, metrics: Mapping[str, float]) -> None:
    """Stops a run whose loss or gradient is no longer a number.

    Raises:
      UserError: names the step and the terms.
    """
    bad = [name for name, value in metrics.items() if not math.isfinite(value)]
    if bad:
        raise UserError(
            f"step {step}: {', '.join(sorted(bad))} not finite; lower "
            "'optimizer.learning_rate' or set 'optimizer.clip_norm', and run the same "
            "command again to continue from the last checkpoint"
        )


def _named(means: Metrics, settings: PipelineSettings) -> Metrics:
    weights = settings.objective
    metrics = {"loss": means["loss"]}
    for name, value in means.items():
        if name.startswith("valid/"):
            metrics[name] = value
        elif name != "loss":
            metrics[f"term/{name}"] = value
            metrics[f"weighted/{name}"] = weights.total * getattr(weights, name) * value
    return metrics
