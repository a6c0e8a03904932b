"""DSR with the values of the paper, where they differ from the released code's.

    python train.py --config configs/dsr_paper.py --workdir runs/dsr_paper

Hardware, files and published numbers: see `configs/dsr.py`.
"""

from ml_collections import ConfigDict

from configs.dsr import get_config as released_config


def get_config() -> ConfigDict:
    config = released_config()
    config.training.batch_size = 64  # [P]: SPIN's
    config.optimizer.learning_rate = 5e-5  # [P]: SPIN's
    config.objective.dsr_mc = 0.01  # [P] §4
    config.objective.dsr_c = 0.01  # [P] §4
    config.objective.class_weighting = False  # [P] eq. 4
    config.semantics.visible_only = True  # [P] §3
    return config
