"""The builder of `tensorflow_datasets` by itself, and with Apache Beam."""

import importlib.util
import sys

import numpy as np
import pytest

from dsr_jax.data.records import DataSet, RecordSource, verify_records
from dsr_jax.errors import UserError
from tests.people_sources import write_files


@pytest.fixture(scope="module")
def data_set(tmp_path_factory):
    folder = write_files(tmp_path_factory.mktemp("files") / "people")
    return DataSet("synthetic", str(folder))


def assert_holds(folder, source, people):
    records = RecordSource(folder)
    assert len(records) == len(people)
    for place, index in enumerate(people):
        assert records.person(place).name == source.person(index).name
        np.testing.assert_array_equal(
            records.person(place).keypoints_px, source.person(index).keypoints_px
        )
        assert records.image(place).data == source.image(index).data
    assert verify_records(folder) == []


def test_the_builder_writes_what_we_read(data_set, tmp_path):
    import tensorflow_datasets as tfds

    from dsr_jax.data.records.builder import People, PeopleConfig

    config = PeopleConfig(name="synthetic", data_set=data_set, split="val", limit=4)
    builder = People(config=config, data_dir=tmp_path, file_format="array_record")
    builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(try_download_gcs=False)
    )
    assert builder.info.features["image"].shape == (None, None, 3)
    assert_holds(builder.data_dir, data_set.open(), range(4))


def test_without_beam_there_is_one_line(data_set, tmp_path, monkeypatch):
    from dsr_jax.data.records.builder import PeopleConfig, prepare_with_beam

    monkeypatch.setitem(sys.modules, "apache_beam.options", None)
    config = PeopleConfig(name="synthetic", data_set=data_set)
    with pytest.raises(UserError, match="Apache Beam is not installed; pip install"):
        prepare_with_beam(config, tmp_path, "DirectRunner", [])


@pytest.mark.slow
@pytest.mark.skipif(
    importlib.util.find_spec("apache_beam") is None, reason="needs Apache Beam"
)
def test_beam_writes_what_we_read(data_set, tmp_path):
    from dsr_jax.data.records.builder import PeopleConfig, prepare_with_beam

    config = PeopleConfig(name="synthetic", data_set=data_set)
    folder = prepare_with_beam(config, tmp_path, "DirectRunner", [])
    assert_holds(folder, data_set.open(), range(6))
