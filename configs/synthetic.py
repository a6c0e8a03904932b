"""A full-size network on synthetic people without end.

    python train.py --config configs/synthetic.py --workdir runs/synthetic

Hardware: one GPU; on CPUs take days. New people for every step, of the generator's
whole variety: 16 activities, occluders, people cut off by the frame, other people, held
objects, hair that hangs, layers of clothes, damaged photographs.
"""

from ml_collections import ConfigDict

from configs.base import base_config


def get_config() -> ConfigDict:
    config = base_config()
    config.training.steps = 50_000
    config.training.batch_size = 64
    config.data.pool = 0
    config.optimizer.learning_rate = 1e-4
    config.optimizer.schedule = "cosine"
    config.optimizer.warmup_steps = 500
    # Ten times the usual norm: for the rare batch that would blow up the network.
    config.optimizer.clip_norm = 1000.0
    config.objective.dsr_start_step = 10_000
    config.synthetic.hair_sheet_probability = 0.7
    config.synthetic.leggings_probability = 0.15
    config.synthetic.vest_probability = 0.2
    config.synthetic.object_probability = 0.25
    config.synthetic.bystander_probability = 0.2
    config.synthetic.motion_blur_probability = 0.15
    config.synthetic.low_resolution_probability = 0.3
    config.synthetic.jpeg_probability = 0.5
    # The labels stay exact; `parser_noise` is for studies of supervision by a parser.
    return config
