"""The builder of `tensorflow_datasets` by itself, and with Apache Beam."""

import importlib.util
import pickle
import sys

import numpy as np
import pytest

from dsr_jax.data.records import (
    BuildSettings,
    DataSet,
    RecordSource,
    Screening,
    build_records,
    verify_records,
)
from dsr_jax.errors import UserError
from tests.data.miniatures.threedpw import Sequence, write_3dpw
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


def test_every_reader_opens_by_its_kind(tmp_path):
    """3DPW as it is downloaded, with a photo of two people that is cut off."""
    generator = np.random.default_rng(0)
    write_3dpw(tmp_path / "3DPW", [Sequence(people=2)], generator)
    photo = next((tmp_path / "3DPW").rglob("image_00001.jpg"))
    photo.write_bytes(photo.read_bytes()[:-20])
    opened = DataSet(
        "3dpw",
        str(tmp_path / "3DPW"),
        "test",
        broken="skip",
        options=(("minimum_limbs", "0"),),
    )
    source = opened.open()
    assert pickle.loads(pickle.dumps(opened)) == opened
    settings = BuildSettings(
        "3dpw", "test", tmp_path / "records", screening=Screening(broken="skip")
    )
    journal = build_records(source, settings)
    kept = [k for k in range(8) if source.person(k).frame != 1]
    assert_holds(tmp_path / "records", source, kept)
    assert [one.reason for one in journal.skipped] == ["photo: cut off"] * 2
    assert journal.skipped[0].what == source.person(1).name


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((("minimum_limb", "1"),), "has no option 'minimum_limb': did you mean"),
        ((("minimum_limbs", "many"),), "the option 'minimum_limbs' cannot be 'many'"),
    ],
)
def test_options_that_cannot_be_meant(tmp_path, options, message):
    write_3dpw(tmp_path, [Sequence(people=1)], np.random.default_rng(0))
    with pytest.raises(UserError, match=message):
        DataSet("3dpw", str(tmp_path), "test", options=options).open()


@pytest.mark.slow
@pytest.mark.skipif(
    importlib.util.find_spec("apache_beam") is None, reason="needs Apache Beam"
)
def test_beam_writes_what_we_read(data_set, tmp_path):
    from dsr_jax.data.records.builder import PeopleConfig, prepare_with_beam

    config = PeopleConfig(name="synthetic", data_set=data_set)
    folder = prepare_with_beam(config, tmp_path, "DirectRunner", [])
    assert_holds(folder, data_set.open(), range(6))
