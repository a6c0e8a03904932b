"""Compiled training steps of a tiny network, and what they say of themselves.

Run by test_compiled_step.py on eight devices: prints one JSON object for all cases.
"""

import dataclasses
import json
import math
import re

import jax
import jax.numpy as jnp
import optax
from flax import nnx

from dsr_jax.losses import ObjectiveSettings
from dsr_jax.pipeline import PipelineSettings
from dsr_jax.rasterizer import RasterSettings
from dsr_jax.training import state as training_state
from dsr_jax.training.compiled import collectives
from dsr_jax.training.devices import device_mesh
from dsr_jax.training.state import state_initializer, state_shardings
from dsr_jax.training.step import StepSettings, jit_train_step
from tests.training.tiny import SIZE, TinyRegressor, make_batch, make_scene, small

WIDTH = 64
# Numbers: more than any array of the network has but the one of `WIDTH` by 157.
SMALLEST_SPLIT = 1 << 13
# Infeed and outfeed, and calls of Python.
_HOST = re.compile(r" (?:infeed|outfeed|send|recv)(?:-start)?\(|callback")


class WideRegressor(TinyRegressor):
    """Most of its weights are in an array that eight devices can split.

    Batch norm in its middle is differentiated, too.
    """

    def __init__(self, rngs: nnx.Rngs):
        super().__init__(rngs)
        wide = nnx.Linear(3, WIDTH, rngs=rngs), nnx.BatchNorm(WIDTH, rngs=rngs)
        self.norm = nnx.Sequential(self.norm, *wide)
        self.linear = nnx.Linear(WIDTH, 157, kernel_init=small, rngs=rngs)


@dataclasses.dataclass(frozen=True)
class Case:
    """What is compiled."""

    a_device: int = 2
    """Images of each device."""
    size: int = SIZE
    how: StepSettings = dataclasses.field(default_factory=StepSettings)


CASES = {
    "plain": Case(),
    "more and larger images": Case(a_device=6, size=2 * SIZE),
    "sharded": Case(how=StepSettings(parameters="sharded", ema_decay=0.9)),
    "in parts": Case(a_device=8, how=StepSettings(accumulate=4)),
}


def describe(case: Case) -> dict:
    """Compiles the step for all devices there are, and reads its program."""
    mesh, optimizer = device_mesh(), optax.adam(1e-3)
    network, initialise = state_initializer(
        WideRegressor, optimizer, case.how.ema_decay > 0
    )
    state = jax.eval_shape(initialise, jax.random.key(0))
    state = jax.tree.map(
        lambda leaf, place: jax.ShapeDtypeStruct(
            leaf.shape, leaf.dtype, sharding=place
        ),
        *(state, state_shardings(state, mesh, case.how.parameters)),
    )
    settings = PipelineSettings(
        objective=ObjectiveSettings(dsr_start_step=3),
        raster=RasterSettings(image_size=(case.size, case.size), sigma=1e-4),
        visible_only=False,
    )
    step = jit_train_step(network, optimizer, settings, mesh, case.how)
    batch = abstract_batch(case.a_device * mesh.size, case.size)
    stop = jax.ShapeDtypeStruct((mesh.size,), jnp.float32)
    compiled = step.lower(state, jax.eval_shape(make_scene), batch, stop).compile()
    text = compiled.as_text()
    weights = [
        leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(state.params)
    ]
    return {
        "devices": mesh.size,
        "collectives": [
            dataclasses.asdict(c) | {"bytes": c.bytes} for c in collectives(text)
        ],
        "host": _HOST.findall(text),
        "weights": weights,
        "state_of_device": sum(map(device_bytes, jax.tree.leaves(state))),
        "aliased": compiled.memory_analysis().alias_size_in_bytes,
    }


def abstract_batch(images: int, size: int):
    """Shapes of a batch of images of that size."""

    def shape(leaf):
        picture = leaf.dtype == jnp.uint8
        rest = (size, size, *leaf.shape[3:]) if picture else leaf.shape[1:]
        return jax.ShapeDtypeStruct((images, *rest), leaf.dtype)

    return jax.tree.map(shape, make_batch())


def device_bytes(leaf: jax.ShapeDtypeStruct) -> int:
    """Of one device's part."""
    return math.prod(leaf.sharding.shard_shape(leaf.shape)) * leaf.dtype.itemsize


if __name__ == "__main__":
    training_state._SMALLEST_SPLIT = SMALLEST_SPLIT
    print(json.dumps({name: describe(case) for name, case in CASES.items()}))
