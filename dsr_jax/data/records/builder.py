"""The builder of `tensorflow_datasets` behind the records, with Apache Beam by option.

A folder of records is what this builder writes, whichever way it was filled: by
`build_records` in processes of one machine, which is resumable and always gives the
same bytes, or by `download_and_prepare` here, on a cluster with a runner of Beam.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import tensorflow_datasets as tfds
from tensorflow_datasets.core.dataset_info import DatasetIdentity

from dsr_jax.data.person import PeopleSource
from dsr_jax.data.records.features import record_example, record_features
from dsr_jax.data.records.fields import VERSION
from dsr_jax.data.records.journal import DATASET, Journal
from dsr_jax.data.records.kinds import DataSet
from dsr_jax.data.records.screening import Screening, screened_record
from dsr_jax.errors import UserError

_DESCRIPTION = (
    "Annotated people of a data set for dsr-jax, one a record, each with its photo."
)


@dataclasses.dataclass(eq=False)
class PeopleConfig(tfds.core.BuilderConfig):
    """Which data set; the config's name is its kind."""

    data_set: DataSet | None = None
    split: str = "train"
    """Of the records."""
    screening: Screening = dataclasses.field(default_factory=Screening)
    limit: int | None = None
    beam: bool = False
    """Make the records in a pipeline of Apache Beam."""


# Not among the data sets that `tfds.load` knows by name: it needs its config.
class People(
    tfds.core.GeneratorBasedBuilder,
    skip_registration=True,  # type: ignore[call-arg]
):
    """Records of people; one config for each kind of data set."""

    name = DATASET
    VERSION = tfds.core.Version(VERSION)
    # Where checksums of downloads would be looked for, by a package that may be absent.
    code_path = None

    def _info(self) -> tfds.core.DatasetInfo:
        return _dataset_info(self)

    def _split_generators(
        self, dl_manager: tfds.download.DownloadManager
    ) -> dict[str, Any]:
        config = self.builder_config
        assert isinstance(config, PeopleConfig) and config.data_set is not None
        source = config.data_set.open()
        count = min(len(source), config.limit or len(source))
        return {config.split: self._generate_examples(source, config, count)}

    def _generate_examples(
        self, source: PeopleSource, config: PeopleConfig, count: int
    ) -> Any:
        """Pairs of a person's number and the example, or the transform that does."""
        if config.beam:
            return _transform(config, count)
        return _examples(source, config.screening, range(count))


def describe_splits(folder: Path, journals: Sequence[Journal], written: Path) -> None:
    """Writes `dataset_info.json` and `features.json` of finished splits.

    Args:
      folder: of the shards.
      journals: of the splits; at least one, all of one kind.
      written: where the two files go.
    """
    identity = DatasetIdentity(
        name=DATASET,
        version=People.VERSION,
        data_dir=str(folder),
        module_name="",
        config_name=journals[0].made_by["kind"],
    )
    info = _dataset_info(identity)
    info.set_file_format(tfds.core.FileFormat.ARRAY_RECORD)
    splits = [_split_info(folder, journal) for journal in journals]
    info.set_splits(tfds.core.splits.SplitDict(splits))
    info.write_to_directory(str(written))


def prepare_with_beam(
    config: PeopleConfig, output: Path, runner: str, options: Sequence[str]
) -> Path:
    """Builds a split in a pipeline of Apache Beam.

    Args:
      config: the data set, which every worker opens by its paths.
      output: the records go to a folder in it.
      runner: "DirectRunner", "DataflowRunner", ….
      options: of the pipeline, as on Beam's command line.

    Returns:
      The folder of the records.

    Raises:
      UserError: Apache Beam is not installed.
    """
    try:
        from apache_beam.options.pipeline_options import PipelineOptions
    except ImportError as error:
        raise UserError(
            "Apache Beam is not installed; pip install apache-beam, or build without "
            "--beam_runner"
        ) from error
    builder = People(
        config=dataclasses.replace(config, beam=True),
        data_dir=str(output),
        file_format=tfds.core.FileFormat.ARRAY_RECORD,
    )
    pipeline = PipelineOptions(list(options), runner=runner)
    builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(
            beam_options=pipeline, try_download_gcs=False
        )
    )
    return Path(builder.data_dir)


def _dataset_info(builder: People | DatasetIdentity) -> tfds.core.DatasetInfo:
    return tfds.core.DatasetInfo(
        builder=builder,
        description=_DESCRIPTION,
        features=record_features(),
        # The order of the data set: training draws its own.
        disable_shuffling=True,
    )


def _examples(
    source: PeopleSource, screening: Screening, people: Sequence[int]
) -> Iterator[tuple[int, dict[str, Any]]]:
    for index in people:
        record, _ = screened_record(source, index, screening)
        if record is not None:
            yield index, record_example(record)


def _transform(config: PeopleConfig, count: int) -> Any:
    import apache_beam as beam

    return (
        beam.Create(range(count))
        | beam.Reshuffle()
        | beam.FlatMap(_beam_examples, config.data_set, config.screening)
    )


# Opened once a process, not once a person.
_opened: dict[DataSet, PeopleSource] = {}


def _beam_examples(
    index: int, data_set: DataSet, screening: Screening
) -> list[tuple[int, dict[str, Any]]]:
    import apache_beam as beam

    source = _opened.get(data_set)
    if source is None:
        source = _opened.setdefault(data_set, data_set.open())
    record, left_out = screened_record(source, index, screening)
    for one in left_out:
        beam.metrics.Metrics.counter("skipped", one.reason).inc()
    return [] if record is None else [(index, record_example(record))]


def _split_info(folder: Path, journal: Journal) -> tfds.core.SplitInfo:
    shards = [journal.shards[number] for number in range(journal.count)]
    template = tfds.core.ShardedFileTemplate(
        data_dir=folder,
        dataset_name=DATASET,
        split=journal.split,
        filetype_suffix="array_record",
    )
    return tfds.core.SplitInfo(
        name=journal.split,
        shard_lengths=[shard.records for shard in shards],
        num_bytes=sum(shard.bytes for shard in shards),
        filename_template=template,
    )
