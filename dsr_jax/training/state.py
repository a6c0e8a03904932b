"""What a training step changes: weights, statistics, random keys, optimizer, step."""

import dataclasses
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from dsr_jax.arrays import Array, Int, Key
from dsr_jax.training.devices import BATCH_AXIS, replicated

REPLICATED, SHARDED = "replicated", "sharded"
PARAMETERS = (REPLICATED, SHARDED)

# Numbers in an array from which on splitting it is worth a transfer of its own.
_SMALLEST_SPLIT = 1 << 14


# JAX rebuilds it with whatever a tree map returns: shapes, shardings, None.
@typing.no_type_check
@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class TrainState:
    """Everything a run needs to continue, as one pytree of arrays.

    The data stream is a function of the seed and the step, so `step` is also the data
    position.
    """

    step: Int[Array, ""]
    """Number of finished steps."""
    params: nnx.State
    """Trained weights."""
    statistics: nnx.State
    """Batch-norm running statistics and other constants of the network."""
    rng: nnx.State
    """Keys and counters of the dropout streams."""
    optimizer: optax.OptState
    """Adam's moments and count."""
    ema: dict[str, nnx.State] | None = None
    """Moving averages of `params` and `statistics`, which are then what is evaluated;
    None if the run keeps none."""
    fault: Int[Array, ""] = dataclasses.field(
        default_factory=lambda: jnp.zeros((), jnp.int32)
    )
    """0, or the number of the first step whose loss or gradient was not finite: its
    update was left out, and so is every later one."""

    @property
    def evaluated(self) -> dict[str, nnx.State]:
        """The weights and statistics that predict best: averaged ones if there are."""
        if self.ema is not None:
            return self.ema
        return {"params": self.params, "statistics": self.statistics}


@dataclass(frozen=True)
class Network:
    """The static half of a regressor; its arrays are in `TrainState`."""

    training: Any
    """NNX graph definition: dropout on, batch norm with the batch's own statistics."""
    evaluation: Any
    """NNX graph definition: dropout off, batch norm uses the running statistics."""

    def for_training(
        self,
        params: nnx.State,
        rng: nnx.State,
        statistics: nnx.State,
        axis_name: str | None = None,
    ) -> nnx.Module:
        """The regressor in training mode.

        A copy: what a call updates in it must not leak out of a derivative's trace.

        Args:
          params: weights.
          rng: random streams.
          statistics: running statistics.
          axis_name: of the mesh axis over whose devices batch norm's statistics are
            taken; None outside of a mapped function.
        """
        model = nnx.merge(self.training, params, rng, statistics, copy=True)
        model.set_attributes(axis_name=axis_name, raise_if_not_found=False)
        return model

    def for_evaluation(self, state: TrainState) -> nnx.Module:
        """The regressor in evaluation mode."""
        parts = state.evaluated
        model = nnx.merge(
            self.evaluation, parts["params"], state.rng, parts["statistics"], copy=True
        )
        return model


def split_regressor(
    regressor: nnx.Module,
) -> tuple[Network, nnx.State, nnx.State, nnx.State]:
    """Static halves, then weights, random state and statistics of a regressor."""
    regressor.eval()
    evaluation = nnx.graphdef(regressor)
    regressor.train()
    training, *states = nnx.split(regressor, nnx.Param, nnx.RngState, ...)
    params, rng, statistics = states
    return Network(training, evaluation), params, rng, statistics


def changed_by_call(regressor: nnx.Module) -> tuple[nnx.State, nnx.State]:
    """Random state and statistics, which a call in training mode has moved on."""
    _, *states = nnx.split(regressor, nnx.Param, nnx.RngState, ...)
    _, rng, statistics = states
    return rng, statistics


def state_initializer(
    build_regressor: Callable[[nnx.Rngs], nnx.Module],
    optimizer: optax.GradientTransformation,
    ema: bool = False,
) -> tuple[Network, Callable[[Key[Array, ""]], TrainState]]:
    """The static half of the regressor, and key → state at step 0; computes nothing.

    Args:
      build_regressor: makes the regressor from random streams.
      optimizer: the transformation whose state is created beside the weights.
      ema: whether the state keeps moving averages.
    """
    network, *_ = split_regressor(
        nnx.eval_shape(lambda: build_regressor(nnx.Rngs(jax.random.key(0))))
    )

    def initialise(key: Key[Array, ""]) -> TrainState:
        _, params, rng, statistics = split_regressor(build_regressor(nnx.Rngs(key)))
        return TrainState(
            step=jnp.zeros((), jnp.int32),
            params=params,
            statistics=statistics,
            rng=rng,
            optimizer=optimizer.init(params),
            ema=start_average(params, statistics) if ema else None,
        )

    return network, initialise


def create_state(
    build_regressor: Callable[[nnx.Rngs], nnx.Module],
    optimizer: optax.GradientTransformation,
    key: Key[Array, ""],
    mesh: Mesh,
    parameters: str = REPLICATED,
    ema: bool = False,
) -> tuple[Network, TrainState]:
    """Shapes first, then one compiled initialisation straight onto the devices.

    Args:
      build_regressor: makes the regressor from random streams.
      optimizer: the transformation whose state is created beside the weights.
      key: seeds weights and dropout.
      mesh: where the state lives.
      parameters: how it lies there, one of `PARAMETERS`.
      ema: whether the state keeps moving averages.
    """
    network, initialise = state_initializer(build_regressor, optimizer, ema)
    shardings = state_shardings(jax.eval_shape(initialise, key), mesh, parameters)
    return network, jax.jit(initialise, out_shardings=shardings)(key)


def start_average(params: nnx.State, statistics: nnx.State) -> dict[str, nnx.State]:
    """`TrainState.ema` of a state that was not averaged yet: a copy of its own."""
    average = {"params": params, "statistics": statistics}
    # Not the same buffers: the step gives both away.
    return jax.tree.map(jnp.copy, average)


def begin_with(
    state: TrainState, params: nnx.State, statistics: nnx.State
) -> TrainState:
    """The state with other weights, from which a moving average starts anew."""
    ema = None if state.ema is None else start_average(params, statistics)
    return dataclasses.replace(state, params=params, statistics=statistics, ema=ema)


def state_shardings(state: TrainState, mesh: Mesh, parameters: str) -> TrainState:
    """Where every array of a state lives, as a state of shardings.

    Args:
      state: arrays or shapes.
      mesh: of all devices.
      parameters: "replicated", or "sharded": weights, moments and averages are split
        along their longest axis that the devices divide; small ones are copied.
    """

    def place(leaf: Any) -> NamedSharding:
        split = split_axis(leaf, mesh.size) if parameters == SHARDED else None
        spec = () if split is None else (*(None,) * split, BATCH_AXIS)
        return NamedSharding(mesh, PartitionSpec(*spec))

    everywhere = jax.tree.map(lambda _: replicated(mesh), state)
    return dataclasses.replace(
        everywhere,
        params=jax.tree.map(place, state.params),
        optimizer=jax.tree.map(place, state.optimizer),
        ema=jax.tree.map(place, state.ema),
    )


def split_axis(leaf: Any, parts: int) -> int | None:
    """The longest axis that `parts` divides; None if it is not worth it."""
    axes = [axis for axis, size in enumerate(leaf.shape) if size % parts == 0]
    if not axes or leaf.size < _SMALLEST_SPLIT:
        return None
    return max(axes, key=lambda axis: leaf.shape[axis])
