"""Row "SD + DSR" of the paper's Table 3: the same subset, joints and clothing.

    python train.py --config configs/ablations/table3_sd_dsr.py --workdir runs/sd_dsr

Published: 45.1 / 71.3 / 96.6 (PA-MPJPE / MPJPE / PVE, mm). All else: see
`table3_sd.py`.
"""

from ml_collections import ConfigDict

from configs.ablations.table3_sd import get_config as row_without


def get_config() -> ConfigDict:
    config = row_without()
    config.objective.dsr_mc = 0.01
    config.objective.dsr_c = 0.01
    return config
