"""The regressor and data of `configs/dsr.py` without semantic rendering.

    python train.py --config configs/hmr_baseline.py --workdir runs/hmr_baseline

Hardware and files: see `configs/dsr.py`; label maps are not needed. The paper's
counterpart is row "C-EFT" of its Table 1 (COCO alone): 58.5 / 101.0 / 119.3 on 3DPW.
"""

from ml_collections import ConfigDict

from configs.dsr import get_config as dsr_config


def get_config() -> ConfigDict:
    config = dsr_config()
    config.data.datasets = tuple(
        (name, annotations, images, "", share)
        for name, annotations, images, _, share in config.data.datasets
    )
    # Never reached: the semantic terms are neither rendered nor counted.
    config.objective.dsr_start_step = 2**31 - 1
    config.objective.dsr_mc = 0.0
    config.objective.dsr_c = 0.0
    return config
