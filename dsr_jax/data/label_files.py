"""The label maps of a data set: read, cleaned, or said to be no use and why."""

import dataclasses

import numpy as np

from dsr_jax.arrays import Float, UInt8
from dsr_jax.data.person import Person, StoredFile
from dsr_jax.data.trouble import BROKEN_LABEL_MAP, REFUSED_LABEL_MAP, Trouble
from dsr_jax.errors import nearest
from dsr_jax.semantics import (
    TAXONOMIES,
    BrokenLabelMap,
    CleaningSettings,
    clean_labels,
    decode_label_map,
    taxonomy_by_name,
)

STOP, SKIP = "stop", "skip"
BROKEN = (STOP, SKIP)


@dataclasses.dataclass(frozen=True)
class LabelFileSettings:
    """How label maps are read."""

    taxonomy: str = "cihp"
    """What the files hold: one of `dsr_jax.semantics.TAXONOMIES`."""
    broken: str = STOP
    """What a file that cannot be used does: "stop" ends with one line; with "skip" the
    example trains without labels and is counted."""

    def __post_init__(self) -> None:
        for name, known in (("taxonomy", TAXONOMIES), ("broken", BROKEN)):
            value = getattr(self, name)
            if value not in known:
                raise ValueError(
                    f"{name} '{value}' is unknown: {nearest(value, known)}"
                )


def clean_label_file(
    file: StoredFile,
    image_size: tuple[int, int],
    person: Person,
    others_px: Float[np.ndarray, "P N 3"],
    settings: LabelFileSettings,
    cleaning: CleaningSettings,
) -> tuple[UInt8[np.ndarray, "H W"] | None, Trouble | None]:
    """Decodes and cleans the label map of a photo for one of its people.

    Args:
      file: the label map.
      image_size: (H, W) of the photo.
      person: whose labels are wanted.
      others_px: keypoints of other people of the photo.
      settings: how it is decoded.
      cleaning: how it is cleaned.

    Returns:
      CIHP labels and `VOID`, or None and why there are none: refused, or broken while
      `broken` is "skip".

    Raises:
      BrokenLabelMap: it cannot be used and `broken` is "stop".
    """
    taxonomy = taxonomy_by_name(settings.taxonomy)
    try:
        labels = decode_label_map(file.data, file.name, image_size, taxonomy, void=True)
    except BrokenLabelMap as error:
        return None, broken_label_map(file.name, error, settings)
    keypoints_px = np.asarray(person.keypoints_px)
    cleaned = clean_labels(
        labels, keypoints_px, cleaning, person.box_side_px, others_px
    )
    if cleaned.refused is not None:
        return None, Trouble(REFUSED_LABEL_MAP, person.name, cleaned.refused)
    return cleaned.labels, None


def broken_label_map(
    name: str, error: BrokenLabelMap, settings: LabelFileSettings
) -> Trouble:
    """The trouble of a label map that cannot be used.

    Raises:
      BrokenLabelMap: the error itself, where `broken` is "stop".
    """
    if settings.broken == STOP:
        raise error
    return Trouble(BROKEN_LABEL_MAP, name, error.reason, str(error))
