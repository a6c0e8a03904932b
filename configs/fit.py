r"""Fitting bodies to photos: what `fit.py` starts from.

    python fit.py --image photo.jpg --openpose photo.json --labels labels.png \
        --output fits

The objective is the training's, with the joints that OpenPose gives instead of
annotators', and the form of the semantic terms that the study in docs/semantics.md
found to be best.
"""

import dataclasses

from ml_collections import ConfigDict

from configs.base import base_config
from dsr_jax.fitting import ExemplarSettings, FitSettings

SECTIONS = (
    *("body", "semantics", "rasterizer", "objective", "synthetic"),
    "cleaning",
)


def get_config() -> ConfigDict:
    base = base_config()
    config = ConfigDict({name: base[name] for name in SECTIONS})
    config.image_size = 224
    # Pictures of a hundred people and more do not fit in memory at once.
    config.people_at_once = 8
    config.fitting = dataclasses.asdict(FitSettings())
    config.exemplar = dataclasses.asdict(ExemplarSettings())
    config.objective.openpose_weight = 1.0
    # The scale of a crop is known well: nobody is far away.
    config.objective.camera = 0.0
    # "ours" of docs/semantics.md: best with 2D joints, and no harm with exact 3D ones.
    config.objective.dsr_mc = 0.002
    config.objective.dsr_c = 0.01
    config.objective.dsr_c_mode = "inside"
    config.objective.inside_plausible = 0.1
    config.objective.inside_tolerance = 1
    config.objective.class_weighting = False
    config.semantics.texture = "posterior"
    return config
