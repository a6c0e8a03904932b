"""Photos of people that a user names: one or a folder, with boxes or without."""

import collections
import dataclasses
from pathlib import Path

from dsr_jax.data.image_file import IMAGE_SUFFIXES
from dsr_jax.data.person_box import PersonBox, read_bbox, read_openpose_boxes
from dsr_jax.errors import UserError


@dataclasses.dataclass(frozen=True)
class Photo:
    """A photo and who is to be looked at in it."""

    path: Path
    people: tuple[tuple[str, PersonBox | None], ...]
    """Name for each person's files, and the box; None if the person fills the photo."""


def find_photos(
    image: str | Path,
    openpose: str | Path | None = None,
    box: str | Path | None = None,
) -> list[Photo]:
    """Photos in the order of their names; json files are read, photos are not.

    Args:
      image: a photo, or a folder of photos.
      openpose: OpenPose's json of that photo, or a folder of them: that of `a.jpg` is
        `a.json` or `a_keypoints.json`. A file that lists several people names theirs
        `a_0`, `a_1`, …; those without enough confident keypoints are left out.
      box: a json file with {"bbox": [x, y, w, h]}, or a folder of them.

    Raises:
      UserError: a path is missing or of the wrong kind, a json file cannot be used,
        nobody is found, or two people would get the same name.
    """
    if openpose is not None and box is not None:
        raise UserError("--openpose and --box are given: choose one")
    paths = photo_paths(Path(image))
    photos = [
        Photo(path, _people(path, Path(image).is_dir(), openpose, box))
        for path in paths
    ]
    names = [name for photo in photos for name, _ in photo.people]
    if not names:
        raise UserError(
            f"{openpose}: shows nobody with enough confident keypoints; give --box, or "
            "neither for a centred person"
        )
    name, uses = collections.Counter(names).most_common(1)[0]
    if uses > 1:
        raise UserError(f"{image}: {uses} people would be written as '{name}'; rename")
    return photos


def photo_paths(image: Path) -> list[Path]:
    """The photo, or those of the folder in the order of their names.

    Raises:
      UserError: no such path, or a folder without photos.
    """
    if not image.is_dir():
        if not image.exists():
            raise UserError(f"{image}: no such photo or folder; check --image")
        return [image]
    # Names that begin with a dot are other programs' notes, not photos.
    files = (p for p in image.iterdir() if not p.name.startswith("."))
    paths = sorted(p for p in files if p.suffix.lower() in IMAGE_SUFFIXES)
    if not paths:
        known = ", ".join(IMAGE_SUFFIXES)
        raise UserError(f"{image}: holds no photo; give a folder with {known} files")
    return paths


def _people(
    photo: Path, of_folder: bool, openpose: str | Path | None, box: str | Path | None
) -> tuple[tuple[str, PersonBox | None], ...]:
    if openpose is not None:
        file = _json_path(photo, of_folder, Path(openpose), "--openpose")
        boxes = read_openpose_boxes(file)
        numbered = [(f"{photo.stem}_{k}", person) for k, person in enumerate(boxes)]
        named = numbered if len(boxes) > 1 else [(photo.stem, p) for p in boxes]
        return tuple((name, person) for name, person in named if person is not None)
    if box is not None:
        file = _json_path(photo, of_folder, Path(box), "--box")
        return ((photo.stem, read_bbox(file)),)
    return ((photo.stem, None),)


def _json_path(photo: Path, of_folder: bool, given: Path, flag: str) -> Path:
    if not of_folder:
        if given.is_dir():
            raise UserError(
                f"{given}: is a folder, but --image is one photo; name a file"
            )
        return given
    if not given.is_dir():
        raise UserError(f"{given}: {flag} must be a folder, as --image is one")
    found = find_json(photo, given)
    if found is None:
        raise UserError(f"{given / photo.stem}.json: no such file for {photo}; add it")
    return found


def find_json(photo: Path, folder: Path) -> Path | None:
    """`a.json` or `a_keypoints.json` of photo `a.jpg`; None if neither exists."""
    candidates = [folder / f"{photo.stem}{end}.json" for end in ("", "_keypoints")]
    return next((c for c in candidates if c.exists()), None)
