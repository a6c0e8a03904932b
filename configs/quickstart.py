"""A first training from nothing, on synthetic people, in minutes.

    python train.py --config configs/quickstart.py --workdir runs/quickstart

Hardware: 2 CPU cores, 4 GB of memory. Time: 10 minutes (Intel Xeon). Expected, in mm on
the synthetic test split: MPJPE 165 and PA-MPJPE 94, the mean body 268 and 153.

The people are easier than the generator's default: fewer activities, clear gestures, no
occluders, nobody cut off by the frame; the camera still goes all around them. The
semantic terms start half-way.
"""

from ml_collections import ConfigDict

from configs.base import base_config


def get_config() -> ConfigDict:
    config = base_config()
    config.training.steps = 1200
    config.training.batch_size = 32
    config.training.log_every = 20
    config.training.checkpoint_every = 200
    config.training.evaluate_every = 400
    config.training.pictures_every = 400
    config.data.image_size = 64
    config.data.pool = 8000
    config.data.workers = 2
    config.synthetic.activities = (
        ("standing", 0.3),
        ("straddling", 0.15),
        ("walking", 0.15),
        ("lunging", 0.1),
        ("sitting", 0.1),
        ("kicking", 0.1),
        ("crouching", 0.1),
    )
    config.synthetic.gestures = (
        ("hanging", 0.15),
        ("hands on hips", 0.15),
        ("arms spread", 0.2),
        ("reaching up", 0.2),
        ("waving", 0.15),
        ("hands behind head", 0.15),
    )
    config.synthetic.gesture_probability = 0.8
    config.synthetic.pose_spread = 0.6
    config.synthetic.frontal_probability = 0.7
    config.synthetic.truncation_probability = 0.0
    config.synthetic.occluder_probability = 0.0
    config.synthetic.scale_range = (0.95, 1.1)
    config.synthetic.shift_range = 0.04
    config.synthetic.pattern_probability = 0.2
    config.synthetic.dress_probability = 0.05
    config.synthetic.coat_probability = 0.05
    config.synthetic.blur = (0.0, 0.2)
    config.synthetic.noise = (0.0, 0.01)
    config.augmentation.channel_noise = 0.2
    config.body.name = "free-lite"
    config.semantics.prior = "free-lite"
    config.regressor.backbone = "resnet18"
    # Dropout protects from overfitting; minutes of training are far from it.
    config.regressor.dropout = 0.0
    config.objective.dsr_start_step = 600
    config.optimizer.learning_rate = 5e-4
    config.optimizer.schedule = "cosine"
    config.optimizer.warmup_steps = 50
    # Ten times the usual norm: for the rare batch that would blow up the network.
    config.optimizer.clip_norm = 1000.0
    config.evaluation.people = 500
    return config
