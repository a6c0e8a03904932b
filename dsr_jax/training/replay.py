"""A step that was not finite, taken once more from its dump."""

import dataclasses
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from dsr_jax.data import Batch
from dsr_jax.training.devices import device_mesh, put_batch, put_everywhere
from dsr_jax.training.examination import Examination, Finding
from dsr_jax.training.fault import Blame, find_blame
from dsr_jax.training.fault_dump import read_dump
from dsr_jax.training.loading import load_scene, regressor_builder
from dsr_jax.training.optimizer import build_optimizer
from dsr_jax.training.run_folder import read_run_config
from dsr_jax.training.settings import RunSettings, TrainingSettings
from dsr_jax.training.state import state_initializer, state_shardings
from dsr_jax.training.step import FAULT, StepSettings, build_train_step


@dataclasses.dataclass(frozen=True)
class Replay:
    """What came of it."""

    notes: dict[str, Any]
    """The dump's fault.json."""
    batch: Batch
    """On the host."""
    devices: int
    """On how many it was taken."""
    metrics: dict[str, float]
    """Of the step."""
    findings: tuple[Finding, ...]
    """All of the examination."""

    @property
    def reproduced(self) -> bool:
        """Whether the step is not finite here either."""
        return self.metrics[FAULT] != 0

    @property
    def blame(self) -> Blame:
        """What is to blame for it here."""
        return find_blame(self.findings, self.metrics)


def replay(folder: Path) -> Replay:
    """Takes the step with the network of the run that the dump lies in.

    Args:
      folder: a folder of a run's faults/.

    Raises:
      UserError: the dump, the run's config.json or a file that it names is missing or
        damaged, or they do not belong together.
    """
    settings = RunSettings.from_config(read_run_config(folder.absolute().parents[1]))
    training = settings.training
    optimizer = build_optimizer(settings.optimizer, training.steps)
    network, initialise = state_initializer(
        regressor_builder(settings), optimizer, settings.optimizer.ema_decay > 0
    )
    like = jax.eval_shape(initialise, jax.random.key(0))
    state, batch, notes = read_dump(folder, like)
    # The mark of the fault itself: with it no step is taken.
    state = dataclasses.replace(state, fault=jnp.zeros_like(state.fault))
    mesh = _mesh_for(training)
    scene = put_everywhere(load_scene(settings), mesh)
    given = put_batch(batch, mesh)
    how = StepSettings.of(settings)
    step = build_train_step(network, optimizer, settings.pipeline, mesh, how)
    examine = Examination(network, settings.pipeline, mesh, training.accumulate)
    state = jax.device_put(state, state_shardings(state, mesh, training.parameters))
    findings = tuple(examine(state, scene, given))
    _, metrics = step(state, scene, given)
    values = {name: float(value) for name, value in metrics.items()}
    return Replay(notes, batch, mesh.size, values, findings)


def _mesh_for(training: TrainingSettings) -> Mesh:
    """As many devices as the batch and its parts can be split over."""
    parts = training.batch_size // training.accumulate
    available = jax.local_devices()
    count = max(n for n in range(1, len(available) + 1) if parts % n == 0)
    return device_mesh(available[:count])
