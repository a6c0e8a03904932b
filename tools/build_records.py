r"""Makes record files of a data set: photos, label maps and annotations in few files.

    python tools/build_records.py --kind 3dpw --root 3DPW --split train \
        --labels 3DPW_labels --output records/3dpw --processes 8

Training reads the folder by the entry ("3dpw", "records/3dpw", "train", "", 0.2) of the
config's `data.datasets`. The same command goes on where it was stopped. What is broken
stops it, or with --broken skip is left out and listed in `skipped_train.csv`.

    python tools/build_records.py --verify --output records/3dpw

compares the files with their checksums. docs/records.md tells of the format.
"""

import re
import sys
from pathlib import Path

from absl import flags
from tqdm import tqdm

from dsr_jax.data.label_files import BROKEN
from dsr_jax.data.records import (
    KINDS,
    BuildSettings,
    DataSet,
    Journal,
    Screening,
    build_records,
    verify_records,
)
from dsr_jax.data.records.journal import skipped_path
from dsr_jax.errors import Interrupted, UserError
from dsr_jax.semantics import TAXONOMIES
from dsr_jax.training.command_line import require, run_script
from dsr_jax.training.interruption import StopRequest
from dsr_jax.training.progress import progress_bar

FLAGS = flags.FLAGS
flags.DEFINE_enum("kind", None, KINDS, "What the data set is.")
flags.DEFINE_string("root", None, "Its folder.")
flags.DEFINE_string("split", "", "Part of it, in its own words.")
flags.DEFINE_string("name", "", "Of the split of records; --split, or train.")
flags.DEFINE_string("labels", "", "Folder of label maps.")
flags.DEFINE_multi_string("option", [], "name=value for the data set's reader.")
flags.DEFINE_string("output", None, "Folder of records; made if it does not exist.")

flags.DEFINE_enum("broken", "stop", BROKEN, "What is broken: stop, or leave it out.")
flags.DEFINE_bool("verify_images", True, "Decode every photo and label map once.")
flags.DEFINE_enum("taxonomy", "cihp", list(TAXONOMIES), "Labels that the maps hold.")
flags.DEFINE_string("shard_size", "256M", "About as many bytes a file: K, M or G.")
flags.DEFINE_integer("limit", None, "Only the first people.", lower_bound=1)
flags.DEFINE_integer("processes", 1, "Each writes files of its own.", lower_bound=1)
flags.DEFINE_bool("overwrite", False, "Replace what was built otherwise before.")
flags.DEFINE_bool("verify", False, "Build nothing: check the records of --output.")

flags.DEFINE_string("beam_runner", None, "Build with Apache Beam: DirectRunner, ….")
flags.DEFINE_multi_string("beam_option", [], "Of Beam's pipeline: --name=value.")

# Reasons that are printed; the list has all.
_NAMED = 10
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


class Bar:
    """A progress bar that is there once the total is known."""

    def __init__(self, unit: str):
        self._unit = unit
        self._bar: tqdm | None = None

    def __call__(self, more: int, total: int) -> None:
        """Adds what is done."""
        if self._bar is None:
            self._bar = progress_bar(total, "records", self._unit, initial=more)
        else:
            self._bar.update(more)

    def close(self) -> None:
        """Leaves the bar as it is."""
        if self._bar is not None:
            self._bar.close()


def main(_: list[str]) -> int:
    """Flags → the data set → records, or records → what is wrong with them."""
    # The empty path would be the folder of the shell.
    require(output=FLAGS.output or None)
    if FLAGS.verify:
        verify()
        return 0
    require(kind=FLAGS.kind, root=FLAGS.root or None)
    with StopRequest() as stop:
        bar = Bar("person")
        try:
            settings = build_settings()
            if FLAGS.beam_runner:
                print(f"records are in {build_with_beam(settings)}")
                return 0
            source = data_set().open()
            stop.check()
            journal = build_records(source, settings, bar, stop.check)
        except Interrupted as interrupted:
            bar.close()
            print("stopped; the same command goes on from here", file=sys.stderr)
            return interrupted.exit_code
        finally:
            bar.close()
    report(journal)
    return 0


def data_set() -> DataSet:
    """What the flags name."""
    options = [option.partition("=") for option in FLAGS.option]
    if not all(separator for _, separator, _ in options):
        raise UserError("command line: write --option name=value")
    return DataSet(
        kind=FLAGS.kind,
        root=FLAGS.root,
        split=FLAGS.split,
        labels=FLAGS.labels,
        broken=FLAGS.broken,
        options=tuple((name, value) for name, _, value in options),
    )


def build_settings() -> BuildSettings:
    """What is built, and where.

    Raises:
      UserError: a flag that cannot be meant.
    """
    try:
        return BuildSettings(
            kind=FLAGS.kind,
            split=FLAGS.name or FLAGS.split or "train",
            output=Path(FLAGS.output),
            screening=Screening(FLAGS.broken, FLAGS.verify_images, FLAGS.taxonomy),
            shard_bytes=number_of_bytes(FLAGS.shard_size),
            limit=FLAGS.limit,
            processes=FLAGS.processes,
            overwrite=FLAGS.overwrite,
        )
    except ValueError as error:
        raise UserError(f"command line: {error}; --name names the split") from error


def number_of_bytes(text: str) -> int:
    """The number that 256M stands for.

    Raises:
      UserError: it is none.
    """
    parts = re.fullmatch(r"(\d+)([KMG]?)B?", text.upper())
    if parts is None or not int(parts[1]):
        raise UserError(f"--shard_size {text}: give bytes, as in 256M")
    return int(parts[1]) * _UNITS[parts[2]]


def build_with_beam(settings: BuildSettings) -> Path:
    """Hands the work to Apache Beam; the folder of the records."""
    # Imported here: `tensorflow_datasets` takes its time.
    from dsr_jax.data.records.builder import PeopleConfig, prepare_with_beam

    config = PeopleConfig(
        name=settings.kind,
        data_set=data_set(),
        split=settings.split,
        screening=settings.screening,
        limit=settings.limit,
    )
    return prepare_with_beam(
        config, settings.output, FLAGS.beam_runner, FLAGS.beam_option
    )


def report(journal: Journal) -> None:
    """How much was written, and what was left out for which reasons."""
    size = sum(shard.bytes for shard in journal.shards.values())
    print(
        f"{journal.records} records of {size / journal.records / 1e3:.1f} kB in "
        f"{journal.count} files are in {FLAGS.output} as split '{journal.split}'"
    )
    reasons = journal.reasons()
    for reason, count in reasons[:_NAMED]:
        print(f"left out: {count}: {reason}")
    if len(reasons) > _NAMED:
        print(f"left out: for {len(reasons) - _NAMED} more reasons")
    if reasons:
        print(f"{skipped_path(Path(FLAGS.output), journal.split)} names them")


def verify() -> None:
    """Checks the records of a folder.

    Raises:
      UserError: something is wrong with them; every file by name before.
    """
    bar = Bar("record")
    try:
        wrong = verify_records(FLAGS.output, FLAGS.name or FLAGS.split, bar)
    finally:
        bar.close()
    for line in wrong:
        print(f"wrong: {line}", file=sys.stderr)
    if wrong:
        raise UserError(
            f"{FLAGS.output}: {len(wrong)} checks failed; copy these files again"
        )
    print(f"{FLAGS.output}: all checksums are right")


if __name__ == "__main__":
    run_script(main)
