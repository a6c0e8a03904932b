"""A first training from nothing, on synthetic people, in minutes.

    python train.py --config configs/quickstart.py --workdir runs/quickstart

Hardware: 2 CPU cores, 4 GB of memory.
"""

from ml_collections import ConfigDict

from configs.base import base_config


def get_config() -> ConfigDict:
    config = base_config()
    config.training.steps = 1000
    config.training.batch_size = 32
    config.training.log_every = 10
    config.training.checkpoint_every = 200
    config.training.evaluate_every = 200
    config.training.pictures_every = 200
    config.data.image_size = 64
    config.data.pool = 4000
    config.data.workers = 2
    config.body.name = "free-lite"
    config.semantics.prior = "free-lite"
    config.regressor.backbone = "resnet18"
    config.objective.dsr_start_step = 500
    config.optimizer.learning_rate = 3e-4
    config.evaluation.people = 500
    return config
