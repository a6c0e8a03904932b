"""Who is fitted: people of photos, with keypoints, 3D joints and label maps."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import jax
import numpy as np

from dsr_jax.arrays import Float, UInt8
from dsr_jax.data import (
    Batch,
    PersonBox,
    crop_affine,
    find_photos,
    keypoints_to_crop_ndc,
    read_image,
    read_spin_npz,
    warp_image,
    warp_labels,
)
from dsr_jax.data.crop import BOX_PIXELS_PER_SCALE
from dsr_jax.errors import UserError
from dsr_jax.semantics import CleaningSettings, Taxonomy, clean_labels, read_label_map


@dataclasses.dataclass(frozen=True)
class FitPerson:
    """One person of a photo."""

    name: str
    """Of the person's files."""
    photo: Path
    box: PersonBox
    keypoints_px: Float[np.ndarray, "49 3"]
    """OpenPose's 25 and annotators' 24: u, v in pixels of the photo, confidence."""
    joints: Float[np.ndarray, "24 4"]
    """Metres, camera axes, confidence."""
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
                whole = np.zeros((49, 3))
                whole[:25] = keypoints
                nowhere = np.zeros((24, 4), np.float32)
                people.append(
                    FitPerson(name, photo.path, box, whole, nowhere, map_path)
                )
    _check_labels(people, labels)
    return people


def find_annotated_people(
    annotations: str | Path, images: str | Path, labels: str | Path | None, limit: int
) -> list[FitPerson]:
    """The first people of a data set in SPIN's layout, with whatever joints it has.

    Args:
      annotations: the `.npz`; see `dsr_jax.data.spin_npz`.
      images: the folder that `imgname` is relative to.
      labels: the folder of label maps: that of `a/b.jpg` is `a/b.png`.
      limit: how many people at most.

    Raises:
      UserError: a file is missing, damaged or empty, or there is no label map for
        anybody.
    """
    known = read_spin_npz(annotations)
    if not len(known):
        raise UserError(f"{annotations}: holds no person; add some")
    people = []
    for index in range(min(limit, len(known))):
        name = Path(str(known.imgname[index]))
        keypoints = np.zeros((49, 3))
        if known.openpose is not None:
            keypoints[:25] = known.openpose[index]
        if known.part is not None:
            keypoints[25:] = known.part[index]
        center = known.center[index]
        box = PersonBox(
            (float(center[0]), float(center[1])),
            BOX_PIXELS_PER_SCALE * float(known.scale[index]),
        )
        joints = np.zeros((24, 4), np.float32) if known.S is None else known.S[index]
        path = None if labels is None else (Path(labels) / name).with_suffix(".png")
        path = path if path is not None and path.exists() else None
        people.append(
            FitPerson(
                f"{index:06d}_{name.stem}",
                Path(images) / name,
                box,
                keypoints,
                joints,
                path,
            )
        )
    _check_labels(people, labels)
    return people


def _check_labels(people: Sequence[FitPerson], labels: str | Path | None) -> None:
    if labels is not None and not any(person.labels for person in people):
        raise UserError(
            f"{labels}: has no label map for any photo; that of a.jpg is a.png"
        )


def person_batch(
    people: Sequence[FitPerson],
    others: Sequence[FitPerson],
    resolution: int,
    taxonomy: Taxonomy,
    cleaning: CleaningSettings,
) -> tuple[Batch, list[str]]:
    """Crops of photos and label maps, with all that is known about joints.

    Args:
      people: who is cropped.
      others: everybody found, whose labels are not theirs.
      resolution: side of the crops.
      taxonomy: of the label maps.
      cleaning: what is done to them first.

    Returns:
      The batch, and a line for each person whose label map was refused: fitted to
      keypoints alone.

    Raises:
      UserError: a photo or a label map is missing or damaged.
    """
    examples, refused = [], []
    for person in people:
        image = read_image(person.photo)
        size = (image.shape[0], image.shape[1])
        labels, reason = _labels(person, others, size, taxonomy, cleaning)
        if reason is not None:
            refused.append(f"{person.name}: label map refused: it {reason}")
        examples.append(_example(person, image, labels, resolution))
    return jax.tree.map(lambda *leaves: np.stack(leaves), *examples), refused


def _labels(
    person: FitPerson,
    others: Sequence[FitPerson],
    size: tuple[int, int],
    taxonomy: Taxonomy,
    cleaning: CleaningSettings,
) -> tuple[UInt8[np.ndarray, "H W"] | None, str | None]:
    """Clean labels of the whole photo, and why there are none if they were refused."""
    if person.labels is None:
        return None, None
    neighbours = [
        other.keypoints_px
        for other in others
        if other.photo == person.photo and other.name != person.name
    ]
    cleaned = clean_labels(
        read_label_map(person.labels, size, taxonomy, void=True),
        person.keypoints_px,
        cleaning,
        person.box.size_px,
        np.array(neighbours, np.float64).reshape(-1, 49, 3),
    )
    if cleaned.refused is not None:
        return None, cleaned.refused
    return cleaned.labels, None


def _example(
    person: FitPerson,
    image: UInt8[np.ndarray, "H W 3"],
    labels: UInt8[np.ndarray, "H W"] | None,
    resolution: int,
) -> Batch:
    center = np.array(person.box.center_px)
    affine = crop_affine(center, person.box.size_px, resolution)
    cropped = np.zeros((resolution, resolution), np.uint8)
    if labels is not None:
        cropped = warp_labels(labels, affine, resolution)
    return Batch(
        image=warp_image(image, affine, resolution),
        labels=cropped,
        has_labels=np.asarray(labels is not None, np.float32),
        keypoints_ndc=keypoints_to_crop_ndc(person.keypoints_px, affine, resolution),
        joints=np.asarray(person.joints, np.float32),
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
