"""A training of train.py that starts in seconds: files of people, and their config.

The photos and annotations are random numbers of the right form: there is nothing to
learn from them, but everything that a training does is done.
"""

from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from dsr_jax.data import Batch, write_people

PEOPLE = 23
_LABELLED = slice(4, -4)

_CONFIG = """
from configs.base import base_config

def get_config():
    config = base_config()
    config.training.steps = {steps}
    config.training.batch_size = 4
    config.training.log_every = 1
    config.training.checkpoint_every = {checkpoint_every}
    config.training.evaluate_every = {evaluate_every}
    config.training.pictures_every = 0
    config.training.pictures = 1
    config.data.source = "folder"
    config.data.datasets = (("people", {file!r}, {images!r}, {labels!r}, 1.0),)
    config.data.image_size = {side}
    config.data.workers = 1
    config.cleaning.others = "none"
    config.cleaning.refuse = False
    config.body.name = "free-lite"
    config.semantics.prior = "free-lite"
    config.regressor.backbone = "resnet18"
    config.regressor.hidden = 32
    config.objective.dsr_start_step = 6
    config.evaluation.dataset = "people"
    config.evaluation.datasets = (("people", {file!r}, {images!r}, "folder"),)
    config.evaluation.batch_size = 8
    return config
"""


def write_small_run(
    folder: Path,
    steps: int,
    checkpoint_every: int,
    evaluate_every: int,
    side_px: int = 32,
) -> Path:
    """Writes photos, label maps, annotations; gives the config file that names them."""
    people = folder / "people"
    write_people(people, [random_people(side_px)])
    config = folder / "config.py"
    config.write_text(
        _CONFIG.format(
            steps=steps,
            checkpoint_every=checkpoint_every,
            evaluate_every=evaluate_every,
            side=side_px,
            file=str(people / "annotations.npz"),
            images=str(people / "images"),
            labels=str(people / "labels"),
        )
    )
    return config


def random_people(side_px: int) -> Batch:
    """So many that no batch divides them: epochs end inside of batches."""
    generator = np.random.default_rng(0)
    keypoints = generator.uniform(-0.9, 0.9, (PEOPLE, 49, 3))
    keypoints[..., 2] = generator.integers(0, 2, (PEOPLE, 49))
    keypoints[keypoints[..., 2] == 0] = 0
    poses = Rotation.from_rotvec(generator.normal(0, 0.5, (PEOPLE * 24, 3))).as_matrix()
    shape = (PEOPLE, side_px, side_px)
    labels = np.zeros(shape, np.uint8)
    inner = labels[:, _LABELLED, _LABELLED]
    inner[...] = generator.integers(0, 20, inner.shape)
    image = generator.integers(0, 256, (*shape, 3)).astype(np.uint8)
    ones = np.ones(PEOPLE, np.float32)
    return Batch(
        image=image,
        labels=labels,
        has_labels=ones,
        keypoints_ndc=keypoints.astype(np.float32),
        joints=generator.uniform(-1, 1, (PEOPLE, 24, 4)).astype(np.float32),
        pose=poses.reshape(PEOPLE, 24, 3, 3).astype(np.float32),
        betas=generator.normal(size=(PEOPLE, 10)).astype(np.float32),
        has_body=ones,
        camera=np.zeros((PEOPLE, 3), np.float32),
    )
