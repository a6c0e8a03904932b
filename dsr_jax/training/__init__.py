"""Training: state, optimizer, devices, data, the step, the loop, and run folders."""

from dsr_jax.training.loading import load_regressor
from dsr_jax.training.run_folder import read_run_config
from dsr_jax.training.settings import RunSettings

__all__ = ["RunSettings", "load_regressor", "read_run_config"]
