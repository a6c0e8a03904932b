"""Row "Standard Loss (SD)" of the paper's Table 3: a subset of Human3.6M, joints only.

    python train.py --config configs/ablations/table3_sd.py --workdir runs/sd

Published, on the same subset: 47.5 / 73.9 / 99.2 (PA-MPJPE / MPJPE / PVE, mm). "SD
refers to standard joint loss": 2D and 3D joints, no body parameters. The paper does
not say which subset: put its two halves where the paths are. Hardware: see
`configs/dsr.py`.
"""

from ml_collections import ConfigDict

from configs.dsr_paper import get_config as paper_config


def get_config() -> ConfigDict:
    config = paper_config()
    config.data.datasets = (
        ("h36m", "data/h36m_subset_train.npz", "data/h36m", "data/h36m_labels", 1.0),
    )
    config.evaluation.dataset = "h36m-subset"
    config.evaluation.datasets = (
        ("h36m-subset", "data/h36m_subset_test.npz", "data/h36m", "folder"),
    )
    config.objective.pose = 0.0
    config.objective.betas = 0.0
    config.objective.dsr_mc = 0.0
    config.objective.dsr_c = 0.0
    return config
