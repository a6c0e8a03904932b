"""Row "+ DSR-C" of the paper's Table 1: clothing only.

    python train.py --config configs/ablations/table1_dsr_c.py --workdir runs/dsr_c

Published, 3DPW: 57.6 / 99.8 / 117.6 (PA-MPJPE / MPJPE / PVE, mm). All else: see
`table1_c_eft.py`.
"""

from ml_collections import ConfigDict

from configs.ablations.table1_c_eft import get_config as row_without


def get_config() -> ConfigDict:
    config = row_without()
    config.objective.dsr_c = 0.01
    return config
