"""Everything of a person is looked at before it becomes a record."""

import dataclasses

import numpy as np

from dsr_jax.data.image_file import BrokenImage, decode_image
from dsr_jax.data.label_files import BROKEN, STOP
from dsr_jax.data.person import PeopleSource, Person, Skipped
from dsr_jax.data.records.fields import PERSON_FIELDS, Record
from dsr_jax.errors import UserError, nearest
from dsr_jax.semantics import (
    TAXONOMIES,
    BrokenLabelMap,
    decode_label_map,
    taxonomy_by_name,
)

SKIP_HINT = "correct it, or skip it with --broken skip"


@dataclasses.dataclass(frozen=True)
class Screening:
    """What is looked at, and what happens to what cannot be used."""

    broken: str = STOP
    """"stop" ends with one line; "skip" leaves a person out, or only the label map if
    it is the label map that is broken."""
    verify_images: bool = True
    """Decode every photo and label map, and compare their sizes."""
    taxonomy: str = "cihp"
    """Of the label maps."""

    def __post_init__(self) -> None:
        for name, known in (("broken", BROKEN), ("taxonomy", TAXONOMIES)):
            value = getattr(self, name)
            if value not in known:
                raise ValueError(
                    f"{name} '{value}' is unknown: {nearest(value, known)}"
                )


def screened_record(
    source: PeopleSource, index: int, screening: Screening
) -> tuple[Record | None, tuple[Skipped, ...]]:
    """A person as a record, and what had to be left out.

    Returns:
      The record, None if the person is left out, and the reasons.

    Raises:
      UserError: something is broken, and `broken` is "stop".
    """
    try:
        person = read_person(source, index)
        others = _others(source, index, person)
        image, size = _image(source, index, person, screening)
    except BrokenPerson as error:
        if screening.broken == STOP:
            raise
        return None, (error.skipped,)
    try:
        label_map = _label_map(source, index, size, screening)
    except UserError as error:
        if screening.broken == STOP:
            raise
        reason = error.reason if isinstance(error, BrokenLabelMap) else _cause(error)
        left_out = Skipped(person.name, f"label map left out: {reason}")
        return Record(person, others, image, b""), (left_out,)
    return Record(person, others, image, label_map), ()


class BrokenPerson(UserError):
    """A person that cannot become a record; the message is one complete line."""

    def __init__(self, what: str, reason: str, message: str = ""):
        super().__init__(message or f"{what}: {reason}; {SKIP_HINT}")
        self.skipped = Skipped(what, reason)


def read_person(source: PeopleSource, index: int) -> Person:
    """The annotation of a person.

    Raises:
      BrokenPerson: it cannot be used.
    """
    try:
        person = source.person(index)
        for name in PERSON_FIELDS:
            if isinstance(value := getattr(person, name), str):
                value.encode()
        return person
    except UnicodeEncodeError as error:
        raise BrokenPerson(f"person {index}", "name is not text in UTF-8") from error
    except UserError as error:
        what = f"person {index}"
        raise BrokenPerson(what, "annotation unusable", str(error)) from error
    except ValueError as error:
        # A person who is made refuses wrong shapes and values that are not finite.
        raise BrokenPerson(f"person {index}", str(error)) from error


def _others(source: PeopleSource, index: int, person: Person) -> np.ndarray:
    others = np.asarray(source.others(index), np.float32).reshape(-1, 49, 3)
    if not np.isfinite(others).all():
        raise BrokenPerson(person.name, "keypoints of others are not finite")
    # Who is annotated twice is nobody else; cleaning would take all labels away.
    own = np.asarray(person.keypoints_px, np.float32)
    return others[(others != own).any((1, 2))]


def _image(
    source: PeopleSource, index: int, person: Person, screening: Screening
) -> tuple[bytes, tuple[int, int] | None]:
    """The photo's file and its (H, W); None where it is not decoded."""
    try:
        stored = source.image(index)
        if not screening.verify_images:
            return stored.data, None
        height, width = decode_image(stored).shape[:2]
    except UserError as error:
        reason = error.reason if isinstance(error, BrokenImage) else _cause(error)
        raise BrokenPerson(person.name, f"photo: {reason}", str(error)) from error
    center, half = np.asarray(person.box_center_px), person.box_side_px / 2
    if (center + half <= 0).any() or (center - half >= [width, height]).any():
        raise BrokenPerson(person.name, "box outside of the photo")
    return stored.data, (height, width)


def _label_map(
    source: PeopleSource,
    index: int,
    size: tuple[int, int] | None,
    screening: Screening,
) -> bytes:
    stored = source.label_map(index)
    if stored is None:
        return b""
    if size is not None:
        taxonomy = taxonomy_by_name(screening.taxonomy)
        decode_label_map(stored.data, stored.name, size, taxonomy, void=True)
    return stored.data


def _cause(error: UserError) -> str:
    """What the system says, "no such file or directory"."""
    if isinstance(error.__cause__, OSError) and error.__cause__.strerror:
        return error.__cause__.strerror.lower()
    return "unreadable"
