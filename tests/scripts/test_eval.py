"""eval.py from its command line: the numbers of a known regressor, and mistakes."""

import json
import shutil

import jax
import numpy as np
import optax
import pytest
from absl.testing import flagsaver

from dsr_jax.body import load_body
from dsr_jax.data import Batch, write_people
from dsr_jax.evaluation import mpjpe
from dsr_jax.regressor import default_mean_parameters
from dsr_jax.rotations import rotation_6d_to_matrix
from dsr_jax.training.checkpoint import Checkpoints
from dsr_jax.training.command_line import load_config_file, run_script
from dsr_jax.training.devices import device_mesh, replicated
from dsr_jax.training.loading import regressor_builder
from dsr_jax.training.run_folder import open_run_folder
from dsr_jax.training.settings import RunSettings
from dsr_jax.training.state import create_state
