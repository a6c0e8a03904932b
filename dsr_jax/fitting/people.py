"""Who is fitted: people of photos, with keypoints, 3D joints and label maps."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import jax
import numpy as np

from dsr_jax.arrays import Float, UInt8
from dsr_jax.data import (
    Batch,
    crop_affine,
    keypoints_to_crop_ndc,
    read_image,
    read_spin_npz,
    warp_image,
    warp_labels,
)
from dsr_jax.data.photos import find_json, photo_paths
from dsr_jax.errors import UserError
from dsr_jax.semantics import CleaningSettings, Taxonomy, clean_labels, read_label_map
from dsr_jax.visualization.labelled_people import (
    LabelledPerson,
    annotated_people,
    openpose_people,
)

_NO_LABELS = Path()


@dataclasses.dataclass(frozen=True, eq=False)
class FitPerson:
    """One person of a photo, and where the joints are in space, if anybody knows."""

    person: LabelledPerson
    """With keypoints and a box."""
    joints: Float[np.ndarray, "24 4"]
    """Metres, camera axes, confidence."""

    @property
    def name(self) -> str:
        """Of the person's files."""
        return self.person.name


def find_people(
    image: str | Path, openpose: str | Path, labels: str | Path | None
) -> list[FitPerson]:
    """Everybody with enough confident keypoints, in the order of the photos' names.

    Args:
      image: a photo, or a folder of photos.
      openpose: the photo's json, or a folder of them: that of `a.jpg` is `a.json` or
        `a_keypoints.json`.
      labels: the photo's label map, or a folder in which that of `a.jpg` is `a.png`;
        photos without one are fitted to their keypoints alone.

    Raises:
      UserError: a path is missing or of the wrong kind, a json file cannot be used,
        nobody is found, or there is a label map for nobody.
    """
    of_folder = Path(image).is_dir()
    for flag, path in (("--openpose", openpose), ("--labels", labels)):
        if path is not None and Path(path).is_dir() != of_folder:
            kind = "a folder" if of_folder else "one photo"
            raise UserError(f"{path}: --image is {kind}, so {flag} must be one, too")
    found = []
    for photo in photo_paths(Path(image)):
        file = find_json(photo, Path(openpose)) if of_folder else Path(openpose)
        if file is None:
            raise UserError(f"{openpose}: has no {photo.stem}.json for {photo}; add it")
        label_map = _NO_LABELS
        if labels is not None:
            label_map = (
                Path(labels) / f"{photo.stem}.png" if of_folder else Path(labels)
            )
        found += openpose_people(photo, label_map, file)
    if not found:
        raise UserError(f"{openpose}: shows nobody with enough confident keypoints")
    nowhere = np.zeros((24, 4), np.float32)
    people = [FitPerson(person, nowhere) for person in found]
    # A label map that was named must be there; of a folder, some may be missing.
    return _with_labels(people, labels) if of_folder else people


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
    folder = _NO_LABELS if labels is None else Path(labels)
    found = annotated_people(Path(annotations), Path(images), folder)[:limit]
    joints = read_spin_npz(annotations).S
    if joints is None:
        joints = np.zeros((len(found), 24, 4), np.float32)
    people = [FitPerson(p, joints[i]) for i, p in enumerate(found)]
    return _with_labels(people, labels)


def _with_labels(
    people: Sequence[FitPerson], labels: str | Path | None
) -> list[FitPerson]:
    """The people, without the label maps that do not exist."""
    there = [labels is not None and one.person.labels.is_file() for one in people]
    if labels is not None and not any(there):
        raise UserError(
            f"{labels}: has no label map for any photo; that of a.jpg is a.png"
        )
    return [
        one
        if exists
        else dataclasses.replace(
            one, person=dataclasses.replace(one.person, labels=_NO_LABELS)
        )
        for one, exists in zip(people, there, strict=True)
    ]


def person_batch(
    people: Sequence[FitPerson],
    resolution: int,
    taxonomy: Taxonomy,
    cleaning: CleaningSettings,
) -> tuple[Batch, list[str]]:
    """Crops of photos and label maps, with all that is known about joints.

    Args:
      people: who is cropped.
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
    for one in people:
        image = read_image(one.person.photo)
        size = (image.shape[0], image.shape[1])
        labels, reason = _labels(one.person, size, taxonomy, cleaning)
        if reason is not None:
            refused.append(f"{one.name}: label map refused: it {reason}")
        examples.append(_example(one, image, labels, resolution))
    return jax.tree.map(lambda *leaves: np.stack(leaves), *examples), refused


def _labels(
    person: LabelledPerson,
    size: tuple[int, int],
    taxonomy: Taxonomy,
    cleaning: CleaningSettings,
) -> tuple[UInt8[np.ndarray, "H W"] | None, str | None]:
    """Clean labels of the whole photo, and why there are none if they were refused."""
    if person.labels == _NO_LABELS:
        return None, None
    assert person.box is not None
    cleaned = clean_labels(
        read_label_map(person.labels, size, taxonomy, void=True),
        person.keypoints_px,
        cleaning,
        person.box.size_px,
        person.others_px,
    )
    if cleaned.refused is not None:
        return None, cleaned.refused
    return cleaned.labels, None


def _example(
    one: FitPerson,
    image: UInt8[np.ndarray, "H W 3"],
    labels: UInt8[np.ndarray, "H W"] | None,
    resolution: int,
) -> Batch:
    box, keypoints = one.person.box, one.person.keypoints_px
    assert box is not None and keypoints is not None
    affine = crop_affine(np.array(box.center_px), box.size_px, resolution)
    cropped = np.zeros((resolution, resolution), np.uint8)
    if labels is not None:
        cropped = warp_labels(labels, affine, resolution)
    return Batch(
        image=warp_image(image, affine, resolution),
        labels=cropped,
        has_labels=np.asarray(labels is not None, np.float32),
        keypoints_ndc=keypoints_to_crop_ndc(keypoints, affine, resolution),
        joints=np.asarray(one.joints, np.float32),
        pose=np.zeros((24, 3, 3), np.float32),
        betas=np.zeros(10, np.float32),
        has_body=np.asarray(0, np.float32),
        camera=np.zeros(3, np.float32),
    )
