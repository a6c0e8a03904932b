r"""Row "+ DSR-FB (s-DistM)" of the paper's Table 1: inside the silhouette.

    python train.py --config configs/ablations/table1_dsr_fb_distm.py \
        --workdir runs/dsr_fb_distm

Published, 3DPW: 58.0 / 100.2 / 117.8 (PA-MPJPE / MPJPE / PVE, mm). All else: see
`table1_c_eft.py`.
"""

from ml_collections import ConfigDict

from configs.ablations.table1_c_eft import get_config as row_without


def get_config() -> ConfigDict:
    config = row_without()
    config.objective.dsr_fb = 0.01
    config.objective.dsr_fb_metric = "soft_distance"
    return config
