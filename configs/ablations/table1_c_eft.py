r"""Row "C-EFT" of the paper's Table 1: COCO with EFT's fits, standard terms only.

    python train.py --config configs/ablations/table1_c_eft.py --workdir runs/c_eft

Published, 3DPW: 58.5 / 101.0 / 119.3 (PA-MPJPE / MPJPE / PVE, mm). The other files of
Table 1 start from this one and change what their row names. The paper starts from
SPIN's weights: name their file in `training.start_from`. Hardware and files: see
`configs/dsr.py`. None of the rows has been trained here: COCO and 3DPW cannot be
distributed. To try a row on synthetic people, add

    --config.data.source=synthetic --config.evaluation.dataset=synthetic \
        --config.body.name=free --config.semantics.prior=free \
        --config.body.extra_regressor= --config.body.h36m_regressor= \
        --config.body.mean_parameters=
"""

from ml_collections import ConfigDict

from configs.dsr_paper import get_config as paper_config


def get_config() -> ConfigDict:
    config = paper_config()
    config.data.datasets = (
        ("coco-eft", "data/coco_eft_train.npz", "data/coco", "data/coco_labels", 1.0),
    )
    config.training.steps = 100_000  # [P] §4
    config.objective.dsr_mc = 0.0
    config.objective.dsr_c = 0.0
    config.objective.dsr_fb = 0.0
    return config
