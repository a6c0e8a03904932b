"""One person's label map: what cleaning makes of it, in numbers and in a picture."""

import dataclasses
from typing import Any

import numpy as np

from dsr_jax.arrays import Float, UInt8
from dsr_jax.data import (
    LabelFileSettings,
    centred_box,
    crop_affine,
    keypoints_to_crop_ndc,
    read_image,
    warp_image,
    warp_labels,
)
from dsr_jax.errors import UserError
from dsr_jax.semantics import (
    CIHP,
    MINIMAL_CLOTHING_LABELS,
    NUM_LABELS,
    CleanedLabels,
    CleaningSettings,
    clean_labels,
    label_validity,
    read_label_map,
    taxonomy_by_name,
)
from dsr_jax.visualization.label_panel import label_panel
from dsr_jax.visualization.labelled_people import LabelledPerson

RESOLUTION = 224
USED, REFUSED, BROKEN, ABSENT = "used", "refused", "broken", "no label map"


@dataclasses.dataclass(frozen=True, eq=False)
class Inspection:
    """What became of one person's label map."""

    name: str
    status: str
    """One of "used", "refused", "broken", "no label map"."""
    why: str
    """The reason of a refusal, the line of a broken file, or what does not count."""
    changed_px: dict[str, int]
    """Pixels of the whole label map that each step changed."""
    label_px: dict[str, int]
    """Pixels of each label in the clean crop."""
    picture: UInt8[np.ndarray, "H W 3"] | None
    """The panel; None for a map that could not be read."""

    def row(self) -> dict[str, Any]:
        """A row of the table."""
        steps = ("others", "specks")
        return {
            "name": self.name,
            "status": self.status,
            "why": self.why,
            **{f"{step}_px": self.changed_px.get(step, "") for step in steps},
            **{label: self.label_px.get(label, "") for label in CIHP.names},
        }


def inspect_person(
    person: LabelledPerson, files: LabelFileSettings, cleaning: CleaningSettings
) -> Inspection:
    """Reads, cleans and draws; a file that cannot be used is a status, no error."""
    if not person.labels.exists():
        return Inspection(person.name, ABSENT, str(person.labels), {}, {}, None)
    try:
        image = read_image(person.photo)
        size = image.shape[0], image.shape[1]
        taxonomy = taxonomy_by_name(files.taxonomy)
        labels = read_label_map(person.labels, size, taxonomy, void=True)
    except UserError as error:
        return Inspection(person.name, BROKEN, str(error), {}, {}, None)
    return inspect_labels(person, image, labels, cleaning)


def inspect_labels(
    person: LabelledPerson,
    image: UInt8[np.ndarray, "H W 3"],
    labels: UInt8[np.ndarray, "H W"],
    cleaning: CleaningSettings,
) -> Inspection:
    """Cleans and draws a photo and a label map that are read already."""
    box = person.box or centred_box((image.shape[0], image.shape[1]))
    cleaned = clean_labels(
        labels, person.keypoints_px, cleaning, box.size_px, person.others_px
    )
    affine = crop_affine(np.array(box.center_px), box.size_px, RESOLUTION)
    crop = warp_labels(cleaned.labels, affine, RESOLUTION)
    counts = np.bincount(crop.ravel(), minlength=NUM_LABELS)
    changed = {change.step: change.pixels for change in cleaned.changes}
    invalid = _not_counting(crop)
    status = USED if cleaned.refused is None else REFUSED
    return Inspection(
        name=person.name,
        status=status,
        why=cleaned.refused or invalid,
        changed_px=changed,
        label_px={name: int(counts[k]) for k, name in enumerate(CIHP.names)},
        picture=_picture(
            person,
            image,
            labels,
            cleaned,
            affine,
            _notes(cleaned, invalid, person.keypoints_px is not None),
        ),
    )


def _not_counting(crop: UInt8[np.ndarray, "R R"]) -> str:
    """Labels of DSR-MC that are in the crop with too few pixels to count."""
    valid, _, _ = label_validity(crop, float(crop.size))
    counts = {n: int((crop == CIHP.index(n)).sum()) for n in MINIMAL_CLOTHING_LABELS}
    few = [
        f"{name} {count} px"
        for (name, count), counting in zip(counts.items(), valid, strict=True)
        if count and not counting
    ]
    return f"too small to count: {', '.join(few)}" if few else ""


def _notes(cleaned: CleanedLabels, invalid: str, located: bool) -> list[str]:
    changed = ", ".join(f"{c.step} {c.pixels} px" for c in cleaned.changes)
    lines = [f"changed: {changed}", invalid]
    if not located:
        lines.append("no keypoints: everybody's labels stay")
    if cleaned.refused is not None:
        lines.insert(0, f"REFUSED: this label map {cleaned.refused}")
    return [line for line in lines if line]


def _picture(
    person: LabelledPerson,
    image: UInt8[np.ndarray, "H W 3"],
    before: UInt8[np.ndarray, "H W"],
    cleaned: CleanedLabels,
    affine: Float[np.ndarray, "2 3"],
    notes: list[str],
) -> UInt8[np.ndarray, "h w 3"]:
    """The panel of the person's crop."""
    keypoints = person.keypoints_px
    if keypoints is None:
        keypoints = np.zeros((49, 3), np.float32)
    changed = {
        c.step: warp_labels(c.where.astype(np.uint8), affine, RESOLUTION) > 0
        for c in cleaned.changes
    }
    return label_panel(
        warp_image(image, affine, RESOLUTION),
        keypoints_to_crop_ndc(keypoints, affine, RESOLUTION),
        warp_labels(before, affine, RESOLUTION),
        warp_labels(cleaned.labels, affine, RESOLUTION),
        changed,
        notes,
    )
