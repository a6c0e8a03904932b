"""People whose label maps are to be looked at, from annotations or a folder."""

import dataclasses
from pathlib import Path

import numpy as np

from dsr_jax.arrays import Float
from dsr_jax.data import PersonBox, read_openpose_keypoints, read_spin_npz
from dsr_jax.data.crop import BOX_PIXELS_PER_SCALE
from dsr_jax.data.person_box import box_of_keypoints
from dsr_jax.data.photos import find_json, photo_paths
from dsr_jax.errors import UserError


@dataclasses.dataclass(frozen=True, eq=False)
class LabelledPerson:
    """One person of a photo with a label map."""

    name: str
    """For the files that are written; unique."""
    photo: Path
    labels: Path
    """It may not exist."""
    keypoints_px: Float[np.ndarray, "49 3"] | None
    """u, v in pixels of the photo and a confidence; None if unknown."""
    others_px: Float[np.ndarray, "P 49 3"]
    """Those of the other people of the photo."""
    box: PersonBox | None
    """None if the person fills the photo."""


def annotated_people(
    annotations: Path, images: Path, labels: Path
) -> list[LabelledPerson]:
    """Every row of a file in SPIN's layout.

    Raises:
      UserError: it cannot be used, or has no row.
    """
    rows = read_spin_npz(annotations)
    if not len(rows):
        raise UserError(f"{annotations}: holds no person; add some")
    keypoints = np.zeros((len(rows), 49, 3), np.float32)
    if rows.openpose is not None:
        keypoints[:, :25] = rows.openpose
    if rows.part is not None:
        keypoints[:, 25:] = rows.part
    people = []
    for index, name in enumerate(str(name) for name in rows.imgname):
        same = np.flatnonzero(rows.imgname == rows.imgname[index])
        center = float(rows.center[index][0]), float(rows.center[index][1])
        people.append(
            LabelledPerson(
                name=f"{index:06d}_{Path(name).stem}",
                photo=images / name,
                labels=labels / Path(name).with_suffix(".png"),
                keypoints_px=keypoints[index],
                others_px=keypoints[same[same != index]],
                box=PersonBox(center, BOX_PIXELS_PER_SCALE * float(rows.scale[index])),
            )
        )
    return people


def people_of_photos(
    images: Path, labels: Path, openpose: Path | None
) -> list[LabelledPerson]:
    """Everybody in OpenPose's files; one person a photo where there is none.

    Raises:
      UserError: no such folder, no photo, or a json file that cannot be used.
    """
    if openpose is not None and not openpose.is_dir():
        raise UserError(f"--openpose {openpose}: no such folder; check the path")
    people = []
    for photo in photo_paths(images):
        map_path = labels / f"{photo.stem}.png"
        file = None if openpose is None else find_json(photo, openpose)
        if file is None:
            nobody = np.zeros((0, 49, 3), np.float32)
            people.append(
                LabelledPerson(photo.stem, photo, map_path, None, nobody, None)
            )
        else:
            people += openpose_people(photo, map_path, file)
    return people


def openpose_people(photo: Path, labels: Path, file: Path) -> list[LabelledPerson]:
    """Everybody in an OpenPose file with enough confident keypoints for a box.

    Raises:
      UserError: the file is missing or is not OpenPose's output with BODY_25.
    """
    found = read_openpose_keypoints(file)
    keypoints = np.zeros((len(found), 49, 3), np.float32)
    keypoints[:, :25] = found
    boxes = [box_of_keypoints(person) for person in found]
    return [
        LabelledPerson(
            name=f"{photo.stem}_{index}" if len(found) > 1 else photo.stem,
            photo=photo,
            labels=labels,
            keypoints_px=keypoints[index],
            others_px=np.delete(keypoints, index, 0),
            box=box,
        )
        for index, box in enumerate(boxes)
        if box is not None
    ]
