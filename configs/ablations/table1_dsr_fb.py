"""Row "+ DSR-FB" of the paper's Table 1: the whole silhouette, soft IoU.

    python train.py --config configs/ablations/table1_dsr_fb.py --workdir runs/dsr_fb

Published, 3DPW: 59.8 / 102.1 / 120.3 (PA-MPJPE / MPJPE / PVE, mm). All else: see
`table1_c_eft.py`.
"""

from ml_collections import ConfigDict

from configs.ablations.table1_c_eft import get_config as row_without


def get_config() -> ConfigDict:
    config = row_without()
    config.objective.dsr_fb = 0.01
    # [P] §5.1 speaks of "a per pixel binary classification loss": "cross_entropy".
    config.objective.dsr_fb_metric = "soft_iou"
    return config
