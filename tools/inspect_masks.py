"""Shows what cleaning does to the label maps of a folder, and why.

    python tools/inspect_masks.py --images photos --labels labels --openpose keypoints \
        --output inspected
    python tools/inspect_masks.py --images people/images --labels people/labels \
        --annotations people/annotations.npz --limit 20 --output inspected

The label map of photo `a/b.jpg` is `a/b.png`. For every person it writes a panel, cut
out as training sees them, and a row of `inspected/labels.csv`; broken files are counted
and listed. Without keypoints nothing says whose labels they are, and all of them stay.
"""

import collections
import csv
import io
from pathlib import Path

from absl import flags
from tqdm import tqdm

from dsr_jax.data import make_folder, write_image
from dsr_jax.data.label_files import LabelFileSettings
from dsr_jax.errors import UserError
from dsr_jax.files import write_bytes
from dsr_jax.semantics import TAXONOMIES, CleaningSettings
from dsr_jax.semantics.cleaning.settings import OTHERS
from dsr_jax.training.command_line import require, run_script
from dsr_jax.visualization.label_inspection import Inspection, inspect_person
from dsr_jax.visualization.labelled_people import (
    LabelledPerson,
    annotated_people,
    people_of_photos,
)

FLAGS = flags.FLAGS
flags.DEFINE_string("images", None, "Folder of photos.")
flags.DEFINE_string("labels", None, "Folder of label maps.")
flags.DEFINE_string("openpose", None, "Folder of OpenPose's json files.")
flags.DEFINE_string("annotations", None, "Annotations in SPIN's layout, .npz.")
flags.DEFINE_enum("taxonomy", "cihp", list(TAXONOMIES), "Labels that the files hold.")
flags.DEFINE_enum(
    "others", CleaningSettings().others, OTHERS, "How others are removed."
)
flags.DEFINE_integer("limit", 0, "People to look at; 0 for all.", lower_bound=0)
flags.DEFINE_string("output", None, "Folder; made if it does not exist.")


def main(_: list[str]) -> None:
    """People → what cleaning does to each → panels, table, counts."""
    require(images=FLAGS.images, labels=FLAGS.labels, output=FLAGS.output)
    people = _people()
    output = _output_folder()
    files = LabelFileSettings(taxonomy=FLAGS.taxonomy)
    cleaning = CleaningSettings(others=FLAGS.others)
    inspections = []
    for person in tqdm(people, unit="person"):
        inspection = inspect_person(person, files, cleaning)
        inspections.append(inspection)
        if inspection.picture is not None:
            write_image(output / f"{person.name}.png", inspection.picture)
    write_bytes(output / "labels.csv", _csv(inspections).encode())
    print(_table(inspections))
    print(_summary(inspections, output))


def _output_folder() -> Path:
    """Makes the folder, unless panels would overwrite label maps or photos."""
    for flag, folder in (("labels", FLAGS.labels), ("images", FLAGS.images)):
        if Path(FLAGS.output).resolve() == Path(folder).resolve():
            raise UserError(
                f"--output {FLAGS.output}: is the folder of --{flag}, whose files the "
                "panels would overwrite; give another folder"
            )
    return make_folder(FLAGS.output)


def _people() -> list[LabelledPerson]:
    """Who is to be looked at.

    Raises:
      UserError: a path is missing or of the wrong kind, or there is no label map.
    """
    images, labels = Path(FLAGS.images), Path(FLAGS.labels)
    for flag, folder in (("images", images), ("labels", labels)):
        if not folder.is_dir():
            raise UserError(f"--{flag} {folder}: no such folder; check the path")
    if FLAGS.annotations and FLAGS.openpose:
        raise UserError("--openpose and --annotations are given: choose one")
    if FLAGS.annotations:
        people = annotated_people(Path(FLAGS.annotations), images, labels)
    else:
        people = people_of_photos(
            images, labels, FLAGS.openpose and Path(FLAGS.openpose)
        )
    if not people:
        raise UserError(
            f"--openpose {FLAGS.openpose}: shows nobody with enough confident keypoints"
        )
    if not any(person.labels.exists() for person in people):
        raise UserError(
            f"--labels {labels}: has no label map for any photo; photo a/b.jpg needs "
            f"a/b.png, here {people[0].labels}"
        )
    uses = collections.Counter(person.name for person in people)
    name, count = uses.most_common(1)[0]
    if count > 1:
        raise UserError(
            f"--images {images}: {count} people would be written as '{name}'; rename"
        )
    return people[: FLAGS.limit or None]


def _csv(inspections: list[Inspection]) -> str:
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, list(inspections[0].row()))
    writer.writeheader()
    writer.writerows(inspection.row() for inspection in inspections)
    return buffer.getvalue()


def _table(inspections: list[Inspection]) -> str:
    columns = ("name", "status", "others_px", "specks_px", "why")
    rows = [columns, *([str(i.row()[c]) for c in columns] for i in inspections)]
    widths = [max(len(row[k]) for row in rows) for k in range(len(columns))]
    return "\n".join(
        "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def _summary(inspections: list[Inspection], output: Path) -> str:
    states = [inspection.status for inspection in inspections]
    counts = ", ".join(f"{states.count(s)} {s}" for s in sorted(set(states)))
    return f"{len(states)} people: {counts}; panels and labels.csv are in {output}"


if __name__ == "__main__":
    run_script(main)
