"""What a training step changes: weights, statistics, random keys, optimizer, step."""

import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jax.sharding import NamedSharding

from dsr_jax.arrays import Array, Int, Key


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


@dataclass(frozen=True)
class Network:
    """The static half of a regressor; its arrays are in `TrainState`."""

    training: Any
    """NNX graph definition: dropout on, batch norm with the batch's own statistics."""
    evaluation: Any
    """NNX graph definition: dropout off, batch norm uses the running statistics."""

    def for_training(self, state: TrainState, params: nnx.State) -> nnx.Module:
        """The regressor in training mode, with `params` in place of the state's.

        A copy: what a call updates in it must not leak out of a derivative's trace.
        """
        return nnx.merge(self.training, params, state.rng, state.statistics, copy=True)

    def for_evaluation(self, state: TrainState) -> nnx.Module:
        """The regressor in evaluation mode."""
        parts = state.params, state.rng, state.statistics
        return nnx.merge(self.evaluation, *parts, copy=True)


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
) -> tuple[Network, Callable[[Key[Array, ""]], TrainState]]:
    """The static half of the regressor, and key → state at step 0; computes nothing.

    Args:
      build_regressor: makes the regressor from random streams.
      optimizer: the transformation whose state is created beside the weights.
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
        )

    return network, initialise


def create_state(
    build_regressor: Callable[[nnx.Rngs], nnx.Module],
    optimizer: optax.GradientTransformation,
    key: Key[Array, ""],
    sharding: NamedSharding,
) -> tuple[Network, TrainState]:
    """Shapes first, then one compiled initialisation straight onto the devices.

    Args:
      build_regressor: makes the regressor from random streams.
      optimizer: the transformation whose state is created beside the weights.
      key: seeds weights and dropout.
      sharding: where the state lives.
    """
    network, initialise = state_initializer(build_regressor, optimizer)
    return network, jax.jit(initialise, out_shardings=sharding)(key)
