"""Which photos are to be parsed, and who is to be looked at closely in each."""

import dataclasses
from pathlib import Path, PurePosixPath

import numpy as np

from dsr_jax.data import (
    IMAGE_SUFFIXES,
    PersonBox,
    SpinAnnotations,
    read_bbox,
    read_openpose_boxes,
    read_spin_npz,
)
from dsr_jax.data.crop import BOX_PIXELS_PER_SCALE
from dsr_jax.data.photo_folder import printable, stays_in_folder
from dsr_jax.errors import UserError


@dataclasses.dataclass(frozen=True)
class Job:
    """A photo to parse."""

    name: str
    """Relative to the folder of photos: `a/b.jpg`."""
    people: tuple[PersonBox, ...] = ()
    """Empty: the photo as a whole."""

    @property
    def label_name(self) -> str:
        """Its label map, relative to the folder of labels, where training looks."""
        return str(PurePosixPath(self.name).with_suffix(".png"))


def find_jobs(
    images: str | Path,
    annotations: str | Path | None = None,
    openpose: str | Path | None = None,
    box: str | Path | None = None,
) -> list[Job]:
    """Photos in the order of their names; photos themselves are not opened.

    Args:
      images: a folder of photos, folders in it included.
      annotations: a file in SPIN's layout: its photos only, with its boxes.
      openpose: a folder with OpenPose's `a/b.json` or `a/b_keypoints.json` for photo
        `a/b.jpg`. Photos that show nobody with enough keypoints get no people.
      box: a folder of {"bbox": [x, y, w, h]} files, named alike.

    Raises:
      UserError: more than one source of people, a path that is missing, a file that
        cannot be used, no photo, or two photos with one label map.
    """
    if sum(given is not None for given in (annotations, openpose, box)) > 1:
        raise UserError("give one of --annotations, --openpose and --box, not several")
    folder = Path(images)
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; check --images")
    if annotations is not None:
        jobs = _jobs_of_annotations(annotations)
    else:
        jobs = [
            Job(name, _people(Path(name), openpose, box))
            for name in _photo_names(folder)
        ]
    _check_label_names(jobs)
    return jobs


def _jobs_of_annotations(path: str | Path) -> list[Job]:
    """One job a photo, with all of its people in the order of the rows."""
    rows = read_spin_npz(path)
    people: dict[str, list[PersonBox]] = {}
    for number, name in enumerate(map(str, rows.imgname)):
        if not stays_in_folder(name):
            raise UserError(
                f"{path}: imgname '{printable(name)}' leads out of the folder of "
                "photos; make it relative to --images"
            )
        people.setdefault(name, []).append(_box(rows, number))
    if not people:
        raise UserError(f"{path}: holds no person; add some")
    return [Job(name, tuple(people[name])) for name in sorted(people)]


def _box(rows: SpinAnnotations, number: int) -> PersonBox:
    u, v = np.asarray(rows.center[number], np.float64)
    side = BOX_PIXELS_PER_SCALE * float(rows.scale[number])
    return PersonBox((float(u), float(v)), side)


def _photo_names(folder: Path) -> list[str]:
    # Names that begin with a dot are other programs' notes, not photos.
    names = sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.suffix.lower() in IMAGE_SUFFIXES
        and not any(p.startswith(".") for p in path.relative_to(folder).parts)
    )
    if not names:
        known = ", ".join(IMAGE_SUFFIXES)
        raise UserError(f"{folder}: holds no photo; give a folder with {known} files")
    return names


def _people(
    name: Path, openpose: str | Path | None, box: str | Path | None
) -> tuple[PersonBox, ...]:
    if openpose is not None:
        found = read_openpose_boxes(_json_path(name, Path(openpose), "--openpose"))
        return tuple(person for person in found if person is not None)
    if box is not None:
        return (read_bbox(_json_path(name, Path(box), "--box")),)
    return ()


def _json_path(name: Path, folder: Path, flag: str) -> Path:
    if not folder.is_dir():
        raise UserError(f"{folder}: {flag} must be a folder, as --images is one")
    stem = folder / name.with_suffix("")
    candidates = [stem.with_name(f"{stem.name}{e}.json") for e in ("", "_keypoints")]
    for candidate in candidates:
        if candidate.exists():
            return candidate
    raise UserError(f"{candidates[0]}: no such file for photo {name}; add it")


def _check_label_names(jobs: list[Job]) -> None:
    owners: dict[str, str] = {}
    for job in jobs:
        other = owners.setdefault(job.label_name, job.name)
        if other != job.name:
            raise UserError(
                f"photos '{other}' and '{job.name}' would both be labelled by "
                f"'{job.label_name}'; rename one"
            )
