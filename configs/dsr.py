"""DSR with the values of the authors' released code and configuration.

    python train.py --config configs/dsr.py --workdir runs/dsr

Hardware: one GPU of 16 GB or more (batch 128, 224²). Published, with real data: 3DPW
54.1 / 91.7 / 105.8 (PA-MPJPE / MPJPE / PVE, mm), Human3.6M 40.3 / 60.9. It has not been
trained here: none of its data can be distributed.

Put your files where `FILES` says, or change it: SPIN's npz of each data set, its
images, and its label maps (one PNG an image, of Graphonomy's universal model or another
parser with CIHP's labels), SMPL with SPIN's regressors and mean parameters, and the
released prior. 3DPW is measured with the gendered bodies of its annotation.
"""

from ml_collections import ConfigDict

from configs.base import base_config

# (name, annotations, images, label maps, share of a batch): [R]'s shares.
FILES = (
    ("h36m", "data/h36m_train.npz", "data/h36m", "data/h36m_labels", 0.5),
    ("coco-eft", "data/coco_eft_train.npz", "data/coco", "data/coco_labels", 0.3),
    ("mpi-inf", "data/mpi_inf_train.npz", "data/mpi_inf", "data/mpi_inf_labels", 0.2),
)
# (name, annotations, images, protocol)
VALIDATION = (("3dpw", "data/3dpw_test.npz", "data/3dpw", "3dpw"),)


def get_config() -> ConfigDict:
    config = base_config()
    config.data.source = "folder"
    config.data.datasets = FILES
    config.cleaning.others = "keypoint_box"  # [R], which does nothing else
    config.cleaning.speck_px = 0.0
    config.cleaning.refuse = False
    config.evaluation.dataset = "3dpw"
    config.evaluation.datasets = VALIDATION
    config.body.name = "data/SMPL_NEUTRAL.pkl"
    config.body.extra_regressor = "data/J_regressor_extra.npy"
    config.body.h36m_regressor = "data/J_regressor_h36m.npy"
    config.body.male = "data/SMPL_MALE.pkl"
    config.body.female = "data/SMPL_FEMALE.pkl"
    config.body.mean_parameters = "data/smpl_mean_params.npz"
    config.semantics.prior = "data/semantic_prior.npy"
    return config
