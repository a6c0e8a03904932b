"""Every key of a config, with the source of its value; the others start from here.

Sources: [P] the DSR paper, [R] the authors' released code and configuration, [S]
SoftRas, [F] the field's usage (SPIN, EFT). Where paper and release disagree, `dsr.py`
holds the release's value and `dsr_paper.py` the paper's.

A value can be changed on the command line, `--config.optimizer.learning_rate=1e-4`; a
tuple as text, `--config.data.datasets='(("coco", "coco.npz", "images", "", 1.0),)'`.
"""

import dataclasses

from ml_collections import ConfigDict

from dsr_jax.data.synthetic import SyntheticSettings


def base_config() -> ConfigDict:
    config = ConfigDict()
    config.training = {
        "seed": 0,
        "steps": 100_000,  # [P]
        "batch_size": 128,  # [R]
        "accumulate": 1,
        "parameters": "replicated",
        "start_from": "",
        "log_every": 50,
        "checkpoint_every": 1000,
        "keep_latest": 2,
        "keep_best": 1,
        "keep_every": 0,
        "evaluate_every": 5000,
        "pictures_every": 1000,
        "pictures": 4,
    }
    config.data = {
        "source": "synthetic",
        "image_size": 224,  # [P], [R], [F]
        "pool": 0,
        "datasets": (),
        "broken_photos": "stop",
        "workers": 8,
        "worker_processes": 0,
        "timeout_seconds": 600.0,
    }
    # How the label maps of files are read, cleaned and refused; what is not marked is
    # ours, and docs/semantics.md gives the measurements behind it.
    config.labels = {
        "taxonomy": "cihp",  # [R]
        "broken": "stop",
    }
    config.cleaning = {
        "others": "components",
        "keypoint_confidence": 0.3,  # [R]
        "box_margin_px": 30.0,  # [R]
        "reach": 0.6,
        "split_touching": True,
        "near_px": 8.0,
        "speck_px": 8.0,
        "refuse": True,
        "keypoints_on_person": 0.5,
        "smallest_share": 0.01,
        "largest_share": 0.9,
        "refuse_swapped_sides": True,
    }
    # What the synthetic people look like: dsr_jax/data/synthetic/settings.py says what
    # each key means. The size of their crops is data.image_size.
    config.synthetic = dataclasses.asdict(SyntheticSettings())
    del config.synthetic.image_size
    # Synthetic people of a pool are mirrored and recoloured only.
    config.augmentation = {
        "flip_probability": 0.5,  # [R], [F]
        "channel_noise": 0.4,  # [R], [F]
        "rotation_std_degrees": 30.0,  # [R], [F]; clipped at 60
        "no_rotation_probability": 0.6,  # [R], [F]
        "scale_std": 0.25,  # [R], [F]
    }
    config.body = {
        "name": "free",
        "extra_regressor": "",
        "h36m_regressor": "",
        "male": "",
        "female": "",
        "mean_parameters": "",
    }
    config.semantics = {
        "prior": "free",
        "visible_only": False,  # [R]; the paper says True
        "texture": "prior",  # [P], [R]
        "most_likely": False,  # [P]: True is its baseline DSR-MVP
    }
    config.regressor = {
        "backbone": "resnet50",  # [F]
        "iterations": 3,  # [F] HMR
        "hidden": 1024,  # [F] HMR
        "dropout": 0.5,  # [F] HMR
        "compute_dtype": "float32",
    }
    config.rasterizer = {
        "sigma": 1e-5,  # [P], and [R]'s configuration
        "gamma": 1e-1,  # [P], [R]
        "near": 1.0,  # [S]
        "far": 100.0,  # [S]
        "background_depth": 1e-3,  # [S]
        "support": 1e-4,  # [S]
        "distance": "euclidean",  # [S]
        "color": "softmax",  # [S]
        "alpha": "product",  # [S]
        "background": 0.0,  # [R]
        "cull_backfaces": False,  # [R]
        "perspective_correct": False,  # [S]
        "anti_aliasing": False,  # [R]
        "pairs_at_once": 0,  # what suits the platform
    }
    config.objective = {
        "total": 60.0,  # [R]
        "keypoints_2d": 5.0,  # [R], [F]
        "joints_3d": 5.0,  # [R], [F]
        "pose": 1.0,  # [R], [F]
        "betas": 0.001,  # [R], [F]
        "camera": 1.0,  # [R], [F]
        "dsr_mc": 0.1,  # [R]'s configuration
        "dsr_c": 0.1,  # [R]'s configuration
        "dsr_fb": 0.0,  # a baseline of [P]
        "openpose_weight": 0.0,  # [R]
        "annotated_weight": 1.0,  # [R]
        "dsr_mc_metric": "soft_iou",  # [P], and [R]'s configuration
        "dsr_c_mode": "softmax",  # [P], [R]
        "inside_plausible": 1.0,
        "inside_tolerance": 0,
        "dsr_fb_metric": "soft_iou",
        "class_weighting": True,  # [R]
        "dsr_start_step": 10_000,  # [P]
        "grouping": "clothing_4",  # [P], with torso-skin among minimal clothing
    }
    config.optimizer = {
        "learning_rate": 3e-5,  # [R]
        "b1": 0.9,  # [R], [F]
        "b2": 0.999,  # [R], [F]
        "eps": 1e-8,  # [R], [F]
        "schedule": "constant",  # [R]
        "warmup_steps": 0,
        "final_fraction": 0.0,
        "step_boundaries": (),
        "step_factor": 0.1,
        "clip_norm": 0.0,
        "ema_decay": 0.0,
    }
    config.evaluation = {
        "dataset": "synthetic",
        "datasets": (),
        "people": 1000,
        "batch_size": 64,
    }
    return config
