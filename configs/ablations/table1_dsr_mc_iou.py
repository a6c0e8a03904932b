r"""Row "+ DSR-MC (s-IoU)" of the paper's Table 1: minimal clothing, by soft IoU.

    python train.py --config configs/ablations/table1_dsr_mc_iou.py \
        --workdir runs/dsr_mc_iou

Published, 3DPW: 58.0 / 100.3 / 118.1 (PA-MPJPE / MPJPE / PVE, mm). All else: see
`table1_c_eft.py`.
"""

from ml_collections import ConfigDict

from configs.ablations.table1_c_eft import get_config as row_without


def get_config() -> ConfigDict:
    config = row_without()
    config.objective.dsr_mc = 0.01
    config.objective.dsr_mc_metric = "soft_iou"
    return config
