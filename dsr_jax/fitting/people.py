"""Who is fitted: people of photos, with OpenPose's keypoints and label maps."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import jax
import numpy as np

from dsr_jax.arrays import Float
from dsr_jax.data import (
    Batch,
    PersonBox,
    crop_affine,
    find_photos,
    keypoints_to_crop_ndc,
    read_image,
    warp_image,
    warp_labels,
)
from dsr_jax.errors import UserError
from dsr_jax.semantics import Taxonomy, clean_label_map, read_label_map


@dataclasses.dataclass(frozen=True)
class FitPerson:
    """One person of a photo."""

    name: str
    """Of the person's files."""
    photo: Path
    box: PersonBox
    keypoints_px: Float[np.ndarray, "25 3"]
    """OpenPose's BODY_25: u, v in pixels of the photo, confidence."""
    labels: Path | None
    """Label map of the photo."""


def find_people(
    image: str | Path, openpose: str | Path, labels: str | Path | None
) -> list[FitPerson]:
    """Everybody with enough confident keypoints, in the order of the photos' names.

    Args:
      image: a photo, or a folder of photos.
      openpose: the photo's json, or a folder of them; see `find_photos`.
      labels: the photo's label map, or a folder in which that of `a.jpg` is `a.png`;
        photos without one are fitted to their keypoints alone.

    Raises:
      UserError: as `find_photos`; label maps of the wrong kind of path, or for no
        photo.
    """
    people = []
    for photo in find_photos(image, openpose=openpose):
        map_path = _labels_of(photo.path, Path(image).is_dir(), labels)
        for (name, box), keypoints in zip(
            photo.people, photo.keypoints_px, strict=True
        ):
            if box is not None:
                people.append(FitPerson(name, photo.path, box, keypoints, map_path))
    if labels is not None and not any(person.labels for person in people):
        raise UserError(
            f"{labels}: has no label map for any photo; that of a.jpg is a.png"
        )
    return people


def person_batch(
    people: Sequence[FitPerson], resolution: int, taxonomy: Taxonomy
) -> Batch:
    """Crops of photos and label maps, with the keypoints as OpenPose's 25 of 49.

    Labels far from the person's own keypoints are dropped.

    Raises:
      UserError: a photo or a label map is missing or damaged.
    """
    examples = [_example(person, resolution, taxonomy) for person in people]
    return jax.tree.map(lambda *leaves: np.stack(leaves), *examples)


def _example(person: FitPerson, resolution: int, taxonomy: Taxonomy) -> Batch:
    image = read_image(person.photo)
    center = np.array(person.box.center_px)
    affine = crop_affine(center, person.box.size_px, resolution)
    labels = np.zeros((resolution, resolution), np.uint8)
    if person.labels is not None:
        size = (image.shape[0], image.shape[1])
        whole = read_label_map(person.labels, size, taxonomy, void=True)
        cleaned = np.asarray(clean_label_map(whole, person.keypoints_px))
        labels = warp_labels(cleaned, affine, resolution)
    keypoints = np.zeros((49, 3))
    keypoints[:25] = person.keypoints_px
    return Batch(
        image=warp_image(image, affine, resolution),
        labels=labels,
        has_labels=np.asarray(person.labels is not None, np.float32),
        keypoints_ndc=keypoints_to_crop_ndc(keypoints, affine, resolution),
        joints=np.zeros((24, 4), np.float32),
        pose=np.zeros((24, 3, 3), np.float32),
        betas=np.zeros(10, np.float32),
        has_body=np.asarray(0, np.float32),
        camera=np.zeros(3, np.float32),
    )


def _labels_of(photo: Path, of_folder: bool, labels: str | Path | None) -> Path | None:
    if labels is None:
        return None
    given = Path(labels)
    if of_folder != given.is_dir():
        kind = "a folder" if of_folder else "one photo"
        raise UserError(f"{labels}: --image is {kind}, so --labels must be one, too")
    if not of_folder:
        return given
    path = given / f"{photo.stem}.png"
    return path if path.exists() else None
