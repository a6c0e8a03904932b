"""COCO's person keypoints.

    annotations/person_keypoints_{train2014,val2014,train2017,…}.json
    train2014/COCO_train2014_000000000009.jpg            or 2017's shorter names

The 17 keypoints become ground-truth joints of confidence 1 where they were labelled,
visible or not. The box is the square around `bbox`, its side 1.2 times the longer one.
Left out by rule: crowds, and people with fewer than 12 labelled limb joints, as SPIN
does; `minimum_limbs` changes that. They stay `others` of those who are used.

COCO's keypoints count pixels from 0, which is our convention; its boxes are measured
from the image's corner, which lies at (-1/2, -1/2) here, and are moved by that.
"""

import collections
import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from dsr_jax.arrays import Float
from dsr_jax.data.person_box import BOX_GROWTH
from dsr_jax.data.readers.joint_orders import COCO_NAMES_17, LIMBS_12, rows_of_49
from dsr_jax.data.readers.json_file import numbers, read_json_lists
from dsr_jax.data.readers.photographed import PhotographedPeople, photographed_people
from dsr_jax.data.readers.screening import Leftovers, Screening
from dsr_jax.data.readers.table import PeopleTable, to_float32

KEYPOINT_ROWS = rows_of_49(COCO_NAMES_17)
SPIN_LIMBS = 12
_LIMBS = [COCO_NAMES_17.index(name) for name in LIMBS_12]


@dataclasses.dataclass(frozen=True)
class CocoPeople:
    """What an annotation file says of people, crowds left out; N of them."""

    path: Path
    ids: list[int]
    photos: list[str]
    """File names, without the folder."""
    boxes: Float[np.ndarray, "N 4"]
    """x, y, w, h; x and y from the image's corner."""
    keypoints_px: Float[np.ndarray, "N 17 3"]
    """Confidence 1 where labelled, else all zeros."""


def open_coco(
    root: Path,
    split: str,
    labels: Path | None = None,
    broken: str = "stop",
    annotations: str | Path | None = None,
    minimum_limbs: int = SPIN_LIMBS,
) -> PhotographedPeople:
    """The people of COCO in the order of the annotation file.

    Args:
      root: the folder of `annotations` and of the photos' folders.
      split: the photos' folder, "train2014".
      labels: folder of label maps, `train2014/….png` in it.
      broken: what a broken annotation does: "stop" or "skip".
      annotations: another file than `annotations/person_keypoints_{split}.json`.
      minimum_limbs: who has fewer labelled limb joints, of 12, is left out.

    Raises:
      UserError: a file that cannot be used, nobody in it, or something broken with
        "stop".
    """
    leftovers = Leftovers(broken)
    path = Path(annotations or root / f"annotations/person_keypoints_{split}.json")
    people = read_coco(path, leftovers)
    screening = Screening(_table(people, split), path, leftovers)
    few = labelled_limbs(people.keypoints_px) < minimum_limbs
    screening.leave_out(few, f"fewer than {minimum_limbs} limb joints are labelled")
    screening.check()
    return photographed_people(root, [screening], labels, leftovers)


def read_coco(path: Path, leftovers: Leftovers) -> CocoPeople:
    """Reads an annotation file.

    Raises:
      UserError: it cannot be used, or an annotation is broken and such are to stop.
    """
    what = "file of COCO's person keypoints"
    images, annotations = read_json_lists(path, ("images", "annotations"), what)
    photos = _photo_names(path, images, leftovers)
    ids: dict[int, None] = {}
    names, boxes, keypoints = [], [], []
    for row, annotation in enumerate(annotations):
        what = f"annotation {row}"
        try:
            if not isinstance(annotation, dict):
                raise ValueError("it is no json object")
            number = annotation.get("id")
            what = f"annotation {number}"
            if annotation.get("iscrowd"):
                leftovers.leave_out(what, "a crowd")
                continue
            if not isinstance(number, int) or number in ids:
                raise ValueError("its 'id' is missing, no number or not the only one")
            name = photos.get(annotation.get("image_id"))
            if name is None:
                raise ValueError("its 'image_id' is of no photo of the file")
            box = numbers(annotation, "bbox", (4,))
            points = _keypoints(annotation)
        except (ValueError, TypeError) as error:
            leftovers.broken(path, what, str(error))
            continue
        ids[number] = None
        names.append(name)
        boxes.append(box)
        keypoints.append(points)
    return CocoPeople(
        path,
        list(ids),
        names,
        np.array(boxes, np.float64).reshape(-1, 4),
        np.array(keypoints, np.float64).reshape(-1, 17, 3),
    )


def labelled_limbs(keypoints_px: Float[np.ndarray, "N 17 3"]) -> np.ndarray:
    """How many of the 12 limb joints are labelled."""
    return (keypoints_px[:, _LIMBS, 2] > 0).sum(1)


def numbered(photos: list[str]) -> np.ndarray:
    """Which person of its photo each is, from 0, in their order."""
    seen: collections.Counter[str] = collections.Counter()
    numbers = []
    for photo in photos:
        numbers.append(seen[photo])
        seen[photo] += 1
    return np.array(numbers, np.int64)


def _table(people: CocoPeople, folder: str) -> PeopleTable:
    corner, extent = people.boxes[:, :2] - 0.5, people.boxes[:, 2:]
    return PeopleTable(
        image_name=np.array([f"{folder}/{photo}" for photo in people.photos], str),
        number=numbered(people.photos),
        box_center_px=corner + extent / 2,
        # A length below 0 is damage, whatever the other one is.
        box_side_px=np.where(
            (extent < 0).any(1), 0, BOX_GROWTH * extent.max(1, initial=0)
        ),
        keypoints_px=to_float32(people.keypoints_px),
        keypoint_rows=KEYPOINT_ROWS,
    )


def _photo_names(path: Path, images: list[Any], leftovers: Leftovers) -> dict[Any, str]:
    """File names by number; a number of two photos is broken and stands for neither."""
    names: dict[Any, str] = {}
    twice = set()
    for image in images:
        name = image.get("file_name") if isinstance(image, dict) else None
        if not isinstance(name, str) or not isinstance(image.get("id"), int):
            continue
        if names.setdefault(image["id"], name) != name:
            twice.add(image["id"])
    for number in sorted(twice):
        leftovers.broken(path, f"image {number}", "another photo has its 'id', too")
        del names[number]
    return names


def _keypoints(annotation: dict[str, Any]) -> Float[np.ndarray, "17 3"]:
    keypoints = numbers(annotation, "keypoints", (17, 3))
    labelled = keypoints[:, 2] > 0
    return np.where(labelled[:, None], [1, 1, 0] * keypoints + [0, 0, 1], 0.0)
