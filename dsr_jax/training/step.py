"""The training step: one compiled function, (state, batch) → (state, metrics)."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh, PartitionSpec

from dsr_jax.arrays import Array, Float
from dsr_jax.data import Batch
from dsr_jax.pipeline import PipelineSettings, Scene
from dsr_jax.training.devices import BATCH_AXIS, batch_sharded, put_batch, replicated
from dsr_jax.training.gradient import BatchGradient, DeviceGradient, Means
from dsr_jax.training.settings import RunSettings
from dsr_jax.training.state import Network, TrainState, state_shardings

Metrics = dict[str, Array]

# Metrics that tell the loop something and are no measurement: `TrainState.fault` after
# the step, and how many devices' hosts were asked to stop.
FAULT, STOP = "fault", "stop"
SIGNALS = (FAULT, STOP)


@dataclasses.dataclass(frozen=True)
class StepSettings:
    """How a step is computed."""

    accumulate: int = 1
    """Parts of every device's examples that are taken one after the other: memory of
    one, gradient of all. Batch norm sees one part at a time, of all devices, and its
    running statistics move once a part."""
    parameters: str = "replicated"
    """How weights and moments lie on the devices, one of `state.PARAMETERS`."""
    ema_decay: float = 0.0
    """Decay of the moving average of the weights; 0: the state keeps none."""

    @classmethod
    def of(cls, settings: RunSettings) -> "StepSettings":
        """Those of a run."""
        training = settings.training
        ema_decay = settings.optimizer.ema_decay
        return cls(training.accumulate, training.parameters, ema_decay)


class TrainStep:
    """`(state, scene, batch, stop) → (state, metrics)`, compiled once.

    The old state is given away. The semantic terms start at `dsr_start_step` by a
    branch on the traced step: nothing is rendered before, and nothing is compiled again
    after.

    Metrics: `loss`; `term/<name>` before and `weighted/<name>` after weighting, the
    latter summing up to the loss; `valid/<name>`, the fraction of the batch that has
    the annotation; `gradient_norm` before clipping; and `SIGNALS`. They are of the
    whole batch, on every host.

    A step whose loss or gradient is not finite changes nothing but `state.fault`, and
    no step after it changes anything: the state stays the one before the fault.
    """

    def __init__(self, compiled: Callable[..., Any], mesh: Mesh):
        self.compiled = compiled
        count = len(mesh.local_devices)
        self._asked = tuple(
            put_batch(np.full(count, value, np.float32), mesh) for value in (0, 1)
        )

    def __call__(
        self, state: TrainState, scene: Scene, batch: Batch, stop: bool = False
    ) -> tuple[TrainState, Metrics]:
        """Takes one step.

        Args:
          state: given away.
          scene: body and prior, on every device.
          batch: split over the devices.
          stop: whether this host was asked to stop.
        """
        # Nothing may travel between host and devices here but what is named above.
        with jax.transfer_guard("disallow"):
            return self.compiled(state, scene, batch, self._asked[stop])


def build_train_step(
    network: Network,
    optimizer: optax.GradientTransformation,
    settings: PipelineSettings,
    mesh: Mesh,
    how: StepSettings = StepSettings(),
) -> TrainStep:
    """Makes the step of a run; it is compiled when it is called first.

    Args:
      network: the regressor's static half.
      optimizer: moves the weights.
      settings: drawing and objective.
      mesh: of all devices.
      how: accumulation, sharding and averaging.
    """
    return TrainStep(jit_train_step(network, optimizer, settings, mesh, how), mesh)


def jit_train_step(
    network: Network,
    optimizer: optax.GradientTransformation,
    settings: PipelineSettings,
    mesh: Mesh,
    how: StepSettings = StepSettings(),
) -> Any:
    """The jitted function of a `TrainStep`, which also lowers for devices in name."""

    def step(
        state: TrainState, scene: Scene, batch: Batch, stop: Float[Array, "D"]
    ) -> tuple[TrainState, Metrics]:
        shardings = state_shardings(state, mesh, how.parameters)
        use_dsr = state.step >= settings.objective.dsr_start_step
        found = _mapped(network, settings, mesh, how.accumulate, shardings.params)(
            (state.params, state.rng, state.statistics), use_dsr, scene, batch, stop
        )
        with jax.named_scope("optimizer"):
            norm = optax.tree.norm(found.gradient)
            finite = jnp.isfinite(found.means["loss"]) & jnp.isfinite(norm)
            finite &= state.fault == 0
            # A branch: a choice number by number would copy both moments first.
            new = jax.lax.cond(
                finite,
                lambda: _updated(state, found, optimizer, how.ema_decay),
                lambda: state,
            )
            first = jnp.where(state.fault == 0, state.step + 1, state.fault)
            new = dataclasses.replace(new, fault=jnp.where(finite, 0, first))
        new = jax.lax.with_sharding_constraint(new, shardings)
        metrics = _named(found, settings, batch.image.shape[0])
        metrics |= {"gradient_norm": norm, FAULT: new.fault, STOP: found.stop}
        return new, metrics

    everywhere, split = replicated(mesh), batch_sharded(mesh)
    return jax.jit(
        step,
        in_shardings=(None, everywhere, split, split),
        out_shardings=(None, everywhere),
        donate_argnums=0,
    )


def _mapped(
    network: Network,
    settings: PipelineSettings,
    mesh: Mesh,
    parts: int,
    shardings: Any,
) -> Callable[..., BatchGradient]:
    """`DeviceGradient` on every device; weights that are split are gathered for it."""
    everywhere, split = PartitionSpec(), PartitionSpec(BATCH_AXIS)
    specs = jax.tree.map(lambda sharding: sharding.spec, shardings)
    return jax.shard_map(
        DeviceGradient(network, settings, parts, specs),
        mesh=mesh,
        in_specs=(everywhere, everywhere, everywhere, split, split),
        out_specs=BatchGradient(specs, *(everywhere,) * 5),  # type: ignore[arg-type]
        # The rasterizer's loops start from constants, which the check refuses.
        check_vma=False,
    )


def _updated(
    state: TrainState,
    found: BatchGradient,
    optimizer: optax.GradientTransformation,
    ema_decay: float,
) -> TrainState:
    updates, moments = optimizer.update(found.gradient, state.optimizer, state.params)
    params = optax.apply_updates(state.params, updates)
    ema = state.ema
    if ema is not None:
        now = {"params": params, "statistics": found.statistics}
        # Young averages forget faster, or the start would stay in them for long.
        age = state.step.astype(jnp.float32)
        weight = 1 - jnp.minimum(ema_decay, (1 + age) / (10 + age))
        # In this form what does not change stays the same to the last bit.
        ema = jax.tree.map(lambda old, new: old + weight * (new - old), ema, now)
    return TrainState(
        state.step + 1, params, found.statistics, found.rng, moments, ema, state.fault
    )


def _named(found: BatchGradient, settings: PipelineSettings, batch_size: int) -> Means:
    weights = settings.objective
    metrics = {"loss": found.means["loss"]}
    for name, count in found.counts.items():
        value = found.means[name]
        metrics[f"valid/{name}"] = count / batch_size
        metrics[f"term/{name}"] = value
        metrics[f"weighted/{name}"] = weights.total * getattr(weights, name) * value
    return metrics
