"""The published training step is ready for accelerators that this machine lacks."""

import jax
import jax.numpy as jnp
import pytest

from configs import dsr
from dsr_jax.data import Batch
from dsr_jax.training.devices import device_mesh
from dsr_jax.training.loading import load_scene, regressor_builder
from dsr_jax.training.optimizer import build_optimizer
from dsr_jax.training.settings import RunSettings
from dsr_jax.training.state import state_initializer
from dsr_jax.training.step import jit_train_step


def dsr_settings():
    """`configs/dsr.py` with the free body in the place of SMPL's files."""
    config = dsr.get_config()
    config.body.update(
        {"name": "free", "extra_regressor": "", "h36m_regressor": ""},
        mean_parameters="",
    )
    config.semantics.prior = "free"
    return RunSettings.from_config(config)


def abstract_batch(count, size):
    def array(*shape, dtype=jnp.float32):
        return jax.ShapeDtypeStruct((count, *shape), dtype)

    return Batch(
        image=array(size, size, 3, dtype=jnp.uint8),
        labels=array(size, size, dtype=jnp.uint8),
        has_labels=array(),
        keypoints_ndc=array(49, 3),
        joints=array(24, 4),
        pose=array(24, 3, 3),
        betas=array(10),
        has_body=array(),
        camera=array(3),
    )


@pytest.mark.slow
@pytest.mark.parametrize("platform", ["tpu", "cuda"])
def test_the_step_lowers_with_static_shapes_and_no_host(platform):
    settings = dsr_settings()
    assert settings.training.batch_size == 128 and settings.data.image_size == 224
    optimizer = build_optimizer(settings.optimizer, settings.training.steps)
    network, initialise = state_initializer(regressor_builder(settings), optimizer)
    mesh = device_mesh()
    step = jit_train_step(network, optimizer, settings.pipeline, mesh)
    exported = jax.export.export(step, platforms=[platform])(
        jax.eval_shape(initialise, jax.random.key(0)),
        jax.eval_shape(lambda: load_scene(settings)),
        abstract_batch(128, 224),
        jax.ShapeDtypeStruct((mesh.size,), jnp.float32),
    )
    assert exported.platforms == (platform,) and exported.nr_devices == 4
    program = exported.mlir_module()
    assert "callback" not in program
    # A dimension of unknown size is a question mark in StableHLO.
    assert "tensor<?" not in program and "x?x" not in program
