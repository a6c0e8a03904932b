"""COCO's person keypoints and EFT's fits in small."""

import json

import numpy as np
from scipy.spatial.transform import Rotation

from tests.data.miniatures.photo import write_photo

SPLIT = "train2014"


def photo_file(number):
    return f"COCO_{SPLIT}_{number:012d}.jpg"


def coco_annotation(number, photo, rng, limbs=12):
    """One person as COCO has it: whole pixels, 0 for what is not labelled."""
    keypoints = np.zeros((17, 3), int)
    labelled = np.r_[0, rng.permutation(np.arange(5, 17))[:limbs]]
    keypoints[labelled, :2] = rng.integers(1, 24, (len(labelled), 2))
    keypoints[labelled, 2] = rng.integers(1, 3, len(labelled))
    return {
        "segmentation": [[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]],
        "num_keypoints": len(labelled),
        "area": 100.5,
        "iscrowd": 0,
        "keypoints": keypoints.ravel().tolist(),
        "image_id": photo,
        "bbox": np.round(rng.uniform(2, 20, 4), 2).tolist(),
        "category_id": 1,
        "id": number,
    }


def write_coco(root, annotations, photos, rng):
    """Writes `annotations/` and `train2014/`; returns the path of the json."""
    images = []
    for photo in photos:
        write_photo(root / SPLIT / photo_file(photo), rng)
        images.append(
            {"id": photo, "file_name": photo_file(photo), "height": 24, "width": 32}
        )
    content = {
        "info": {"year": 2014},
        "images": images,
        "licenses": [],
        "annotations": annotations,
        "categories": [{"id": 1, "name": "person"}],
    }
    path = root / "annotations" / f"person_keypoints_{SPLIT}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def eft_row(photo, rng, number=None, keypoints=False):
    """One fit as EFT's files have it."""
    row = {
        "parm_pose": Rotation.random(24, random_state=rng)
        .as_matrix()
        .astype(np.float32)
        .tolist(),
        "parm_shape": rng.normal(0, 1, 10).astype(np.float32).tolist(),
        "parm_cam": rng.normal(0, 1, 3).tolist(),
        "bbox_scale": float(rng.uniform(0.1, 0.3)),
        "bbox_center": rng.uniform(5, 20, 2).tolist(),
        "joint_validity_openpose18": rng.integers(0, 2, 18).astype(float).tolist(),
        "smpltype": "smpl",
        "imageName": photo_file(photo),
    }
    if number is not None:
        row["annotId"] = number
    if keypoints:
        row["gt_keypoint_2d"] = rng.uniform(0, 24, (49, 3)).round(3).tolist()
        row["subjectId"] = f"walk_{photo}"
    return row


def write_eft(path, rows):
    path.write_text(json.dumps({"ver": 0.1, "data": rows}))
    return path
