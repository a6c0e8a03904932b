"""Row "+ DSR-MVP" of the paper's Table 1: one label a vertex instead of probabilities.

    python train.py --config configs/ablations/table1_dsr_mvp.py --workdir runs/dsr_mvp

Published, 3DPW: 58.1 / 100.3 / 117.8 (PA-MPJPE / MPJPE / PVE, mm). All else: see
`table1_c_eft.py`.
"""

from ml_collections import ConfigDict

from configs.ablations.table1_c_eft import get_config as row_without


def get_config() -> ConfigDict:
    config = row_without()
    config.objective.dsr_mc = 0.01
    config.objective.dsr_c = 0.01
    # With certain labels, the soft IoU is a differentiable stand-in for the hard one.
    config.semantics.most_likely = True
    return config
