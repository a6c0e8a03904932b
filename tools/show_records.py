"""Draws people of record files: box, keypoints, 3D joints, body and labels.

    python tools/show_records.py --records records/3dpw --split train --output pictures

People are taken evenly from the first to the last, or by --people 3,17. An annotation
file in SPIN's layout is drawn as well: --records people.npz --images photos
--labels labels.
"""

from pathlib import Path

from absl import flags
from tqdm import tqdm

from dsr_jax.body import load_body
from dsr_jax.data import PeopleSource, make_folder, open_source, write_image
from dsr_jax.errors import UserError
from dsr_jax.semantics import TAXONOMIES, taxonomy_by_name
from dsr_jax.training.command_line import require, run_script
from dsr_jax.visualization import draw_person

FLAGS = flags.FLAGS
flags.DEFINE_string("records", None, "Folder of records, or an npz file.")
flags.DEFINE_string("split", "", "Of the records; may be left out if they have one.")
flags.DEFINE_string("images", "", "Folder of photos of an npz file.")
flags.DEFINE_string("labels", "", "Folder of label maps of an npz file.")
flags.DEFINE_string("output", None, "Folder of pictures; made if it does not exist.")
flags.DEFINE_integer("count", 16, "How many people.", lower_bound=1)
flags.DEFINE_list("people", [], "Their numbers, from 0.")
flags.DEFINE_string("body", "free", "Body that is posed: free, free-lite, or a file.")
flags.DEFINE_string("extra_regressor", "", "SMPL: the 9 x 6890 regressor of joints.")
flags.DEFINE_enum("taxonomy", "cihp", list(TAXONOMIES), "Labels that the maps hold.")


def main(_: list[str]) -> None:
    """Records → people → pictures."""
    require(records=FLAGS.records, output=FLAGS.output)
    source = open_source(FLAGS.records, FLAGS.split or FLAGS.images, FLAGS.labels)
    people = chosen_people(source)
    body = load_body(FLAGS.body, extra_regressor=FLAGS.extra_regressor or None)
    taxonomy = taxonomy_by_name(FLAGS.taxonomy)
    output = make_folder(FLAGS.output)
    for index in tqdm(people, unit="picture"):
        picture = draw_person(source, index, body, taxonomy)
        name = Path(source.person(index).image_name).stem
        write_image(output / f"{index:06d}_{name}.png", picture)
    print(f"{len(people)} of {len(source)} people are drawn in {output}")


def chosen_people(source: PeopleSource) -> list[int]:
    """Numbers of the people who are drawn.

    Raises:
      UserError: one that is none, or of nobody.
    """
    for text in FLAGS.people:
        if not text.isdecimal() or int(text) >= len(source):
            raise UserError(
                f"--people {text}: give numbers from 0 to {len(source) - 1}"
            )
    if FLAGS.people:
        return [int(text) for text in FLAGS.people]
    count = min(FLAGS.count, len(source))
    return [len(source) * k // count for k in range(count)]


if __name__ == "__main__":
    run_script(main)
