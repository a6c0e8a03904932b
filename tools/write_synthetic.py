"""Writes synthetic people as a data set on disk: photos, label maps, annotations.

    python tools/write_synthetic.py --count 64 --split train --output people

makes `people/images/`, `people/labels/` and `people/annotations.npz` in SPIN's layout,
which `dsr_jax.data.FolderDataset` reads. The same seed and split give the same people,
and a larger count only adds to them.

    python tools/write_synthetic.py --scans --count 64 --views 10 --output scans

writes them as scans instead, each person from all sides, with the cameras: what
`tools/learn_prior.py --scans` learns from.
"""

import operator
from collections.abc import Iterator

import jax
from absl import flags
from tqdm import tqdm

from dsr_jax.body import load_body
from dsr_jax.data import Batch, write_people
from dsr_jax.data.scans import write_synthetic_scans
from dsr_jax.data.synthetic import (
    SPLITS,
    SyntheticSettings,
    split_key,
    synthetic_people,
    synthetic_views,
    whole_people,
)
from dsr_jax.errors import UserError
from dsr_jax.training.command_line import require, run_script

FLAGS = flags.FLAGS
flags.DEFINE_string("body", "free", "Body that is dressed: free, free-lite, or a file.")
flags.DEFINE_integer("count", 64, "How many people.", lower_bound=1)
flags.DEFINE_enum("split", "train", SPLITS, "No two splits share a person.")
flags.DEFINE_integer("seed", 0, "Another seed gives other people.")
flags.DEFINE_integer("image_size", 224, "Side of the photos in pixels.")
flags.DEFINE_enum("format", "jpg", ["jpg", "png"], "Of the photos.")
flags.DEFINE_bool("scans", False, "Write scans: views of whole people, and cameras.")
flags.DEFINE_integer("views", 10, "Cameras before each person of a scan.", 1)
flags.DEFINE_string("output", None, "Folder; made if it does not exist.")

# People made at a time; it decides who they are, so it is no flag.
_CHUNK = 8
_SCANS_CHUNK = 2


def main(_: list[str]) -> None:
    """Settings → people, a few at a time → files."""
    require(output=FLAGS.output)
    try:
        settings = SyntheticSettings(image_size=FLAGS.image_size)
    except ValueError as error:
        raise UserError(f"--image_size {FLAGS.image_size}: {error}") from error
    if FLAGS.scans:
        _write_scans()
        print(f"{FLAGS.count} scans are in {FLAGS.output}")
        return
    written = write_people(FLAGS.output, _people(settings), f".{FLAGS.format}")
    print(f"{written} people are in {FLAGS.output}")


def _people(settings: SyntheticSettings) -> Iterator[Batch]:
    model = load_body(FLAGS.body)
    with tqdm(total=FLAGS.count, unit="person") as bar:
        for start in range(0, FLAGS.count, _CHUNK):
            key = split_key(FLAGS.seed, FLAGS.split, start // _CHUNK)
            people = jax.device_get(synthetic_people(key, _CHUNK, model, settings))
            wanted = slice(0, min(_CHUNK, FLAGS.count - start))
            yield jax.tree.map(operator.itemgetter(wanted), people)
            bar.update(wanted.stop)


def _write_scans() -> None:
    """All people of whole chunks are made; those beyond the count are left out."""
    model, settings = load_body(FLAGS.body), whole_people(FLAGS.image_size)
    with tqdm(total=FLAGS.count, unit="scan") as bar:
        for start in range(0, FLAGS.count, _SCANS_CHUNK):
            wanted = min(_SCANS_CHUNK, FLAGS.count - start)
            key = split_key(FLAGS.seed, FLAGS.split, start // _SCANS_CHUNK)
            made, _ = synthetic_views(key, _SCANS_CHUNK, FLAGS.views, model, settings)
            write_synthetic_scans(FLAGS.output, made, FLAGS.views, model, start, wanted)
            bar.update(wanted)


if __name__ == "__main__":
    run_script(main)
