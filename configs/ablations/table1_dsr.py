"""Row "+ DSR-C + DSR-MC (Ours)" of the paper's Table 1: both terms.

    python train.py --config configs/ablations/table1_dsr.py --workdir runs/dsr

Published, 3DPW: 57.2 / 99.2 / 116.3 (PA-MPJPE / MPJPE / PVE, mm). All else: see
`table1_c_eft.py`.
"""

from ml_collections import ConfigDict

from configs.ablations.table1_c_eft import get_config as row_without


def get_config() -> ConfigDict:
    config = row_without()
    config.objective.dsr_mc = 0.01
    config.objective.dsr_c = 0.01
    return config
