"""A network with every kind of variable, its training state, and an update of it."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from dsr_jax.training.devices import device_mesh
from dsr_jax.training.state import TrainState, create_state

DATA = {"position": 96, "seed": 3, "datasets": [{"name": "coco", "length": 7}]}


class TinyNetwork(nnx.Module):
    """A weight, batch statistics, dropout and a constant: every kind of variable."""

    def __init__(self, rngs: nnx.Rngs, width: int = 3):
        self.linear = nnx.Linear(4, width, rngs=rngs)
        self.norm = nnx.BatchNorm(width, rngs=rngs)
        self.dropout = nnx.Dropout(0.5, rngs=rngs)
        self.mean = nnx.Variable(jnp.full(width, 7.0))

    def __call__(self, x):
        return self.dropout(self.norm(self.linear(x))) + self.mean[...][None]


def make_state(seed=0, width=3, mesh=None):
    return create_state(
        lambda rngs: TinyNetwork(rngs, width),
        optax.adam(1e-2),
        jax.random.key(seed),
        mesh or device_mesh(),
    )


@functools.partial(jax.jit, static_argnums=0)
def advance(network, state):
    """A real update, so that every part of the state differs from its start."""

    def loss(params):
        model = network.for_training(params, state.rng, state.statistics)
        value = jnp.sum(model(jnp.linspace(0.0, 1.0, 20).reshape(5, 4)) ** 2)
        _, _, rng, statistics = nnx.split(model, nnx.Param, nnx.RngState, ...)
        return value, (rng, statistics)

    gradient, (rng, statistics) = jax.grad(loss, has_aux=True)(state.params)
    updates, optimizer = optax.adam(1e-2).update(gradient, state.optimizer)
    return TrainState(
        step=state.step + 1,
        params=optax.apply_updates(state.params, updates),
        statistics=statistics,
        rng=rng,
        optimizer=optimizer,
    )


def raw(tree):
    return [
        np.asarray(jax.random.key_data(x))
        if jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key)
        else np.asarray(x)
        for x in jax.tree.leaves(tree)
    ]


def assert_same(first, second):
    assert jax.tree.structure(first) == jax.tree.structure(second)
    for a, b in zip(raw(first), raw(second), strict=True):
        np.testing.assert_array_equal(a, b)
