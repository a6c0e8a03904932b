"""Reading records: at random, by threads and processes; what is no records is named."""

import json
import pickle
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import jax
import numpy as np
import pytest

from dsr_jax.data import (
    AugmentationSettings,
    FolderDataset,
    FolderSettings,
    PeopleSource,
    RecordSource,
    SpinSource,
    open_source,
)
from dsr_jax.data.records import BuildSettings, build_records, verify_records
from dsr_jax.errors import UserError
from tests.people_sources import make_source, write_files

AUGMENTATION = AugmentationSettings()


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("records") / "built"
    build_records(
        make_source(), BuildSettings("spin", "train", folder, shard_bytes=5000)
    )
    return folder


@pytest.fixture
def records(built, tmp_path):
    """A copy that may be damaged."""
    return shutil.copytree(built, tmp_path / "records")


def shards(folder):
    return sorted(folder.glob("*array_record*"))


def test_it_is_a_source_that_travels(built):
    records = RecordSource(built)
    assert isinstance(records, PeopleSource) and records.split == "train"
    assert records.person(7).name == "photos/007.jpg"
    again = pickle.loads(pickle.dumps(records))
    assert again.person(7).name == "photos/007.jpg"
    # Nothing but the place is sent to worker processes.
    assert len(pickle.dumps(records)) < 3000
    with pytest.raises(IndexError):
        records.person(10)


def test_threads_do_not_mix_people(built):
    records, source = RecordSource(built), make_source()
    order = np.random.default_rng(0).integers(0, 10, 400).tolist()

    def is_right(index):
        name = records.person(index).name
        photo, labels = records.image(index).data, records.label_map(index)
        return (
            name == source.people[index].name
            and photo == source.photos[index]
            and (labels and labels.data) == source.labels[index]
            and len(records.others(index)) == len(source.others(index))
        )

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as pool:
            assert all(pool.map(is_right, order))
    finally:
        sys.setswitchinterval(before)


def test_crops_are_those_of_the_files(tmp_path):
    """Bit for bit, augmented or not."""
    files = write_files(tmp_path / "files")
    source = SpinSource(files / "annotations.npz", files / "images", files / "labels")
    build_records(source, BuildSettings("spin", "train", tmp_path / "records"))
    common = {"resolution": 24, "images": "", "labels": None}
    from_records = FolderDataset(
        FolderSettings(**common | {"annotations": str(tmp_path / "records")}),
        AUGMENTATION,
    )
    paths = {"annotations": "annotations.npz", "images": "images", "labels": "labels"}
    given = {name: str(files / path) for name, path in paths.items()}
    from_files = FolderDataset(FolderSettings(**common | given), AUGMENTATION)
    assert len(from_records) == len(from_files) == 6
    # The last two share a photo.
    assert from_records.source.person(5).name == "004.jpg#2"
    assert len(from_records.source.others(5)) == 1
    for index in range(6):
        for seed in (None, 1, 2):
            generators = (seed and np.random.default_rng(seed) for _ in range(2))
            first, second = (
                dataset.example(index, generator)
                for dataset, generator in zip(
                    (from_records, from_files), generators, strict=True
                )
            )
            jax.tree.map(np.testing.assert_array_equal, first, second)


def test_a_split_is_named_where_photos_are_named(built):
    assert len(open_source(built, "train", "")) == 10
    assert len(open_source(built)) == 10


def test_what_is_no_records_is_named(built, tmp_path):
    (tmp_path / "empty").mkdir()
    for path, images, labels, words in (
        (tmp_path / "empty", "", "", "holds no records"),
        (tmp_path / "empty", "photos", "", "is a folder without records"),
        (tmp_path / "nowhere", "", "", "cannot read this annotation file"),
        (built, "", "labels", "records hold their own label maps"),
        (built, "photos", "", "has no split 'photos'"),
    ):
        with pytest.raises(UserError, match=words) as error:
            open_source(path, images, labels)
        assert str(path) in str(error.value)
    with pytest.raises(UserError, match="no such folder of records"):
        RecordSource(tmp_path / "nowhere")


def test_shards_that_are_missing_or_cut_off(records):
    first, second, *_ = shards(records)
    whole = first.read_bytes()
    first.write_bytes(whole[:-1])
    with pytest.raises(UserError, match=f"{first}: this shard has .* bytes; copy"):
        RecordSource(records)
    first.write_bytes(whole)
    second.unlink()
    with pytest.raises(UserError, match=f"{second}: this shard is missing"):
        RecordSource(records)


def test_without_a_journal_the_shards_tell_their_length(records):
    """As of records that Beam made."""
    (records / "build_train.json").unlink()
    assert len(RecordSource(records)) == 10
    path = shards(records)[1]
    path.write_bytes(path.read_bytes()[:-70000])
    with pytest.raises(UserError, match=f"{path}: this shard does not hold"):
        RecordSource(records)


def test_a_damaged_record_is_named_when_it_is_read(records):
    path = shards(records)[0]
    data = bytearray(path.read_bytes())
    data[600] ^= 1
    path.write_bytes(data)
    source = RecordSource(records)
    with pytest.raises(UserError, match=r"record 0: cannot be read: .*; copy the sh"):
        source.person(0)
    assert source.person(9).name == "photos/009.jpg"


def _edit(path, change):
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def test_descriptions_of_something_else(records):
    info, features = records / "dataset_info.json", records / "features.json"
    journal = records / "build_train.json"
    stored = {path: path.read_text() for path in (info, features, journal)}
    for path, change, words in (
        (info, lambda c: c.update(version="2.0.0"), "version 2.0.0, this .* 1.0.0"),
        (info, lambda c: c.update(name="mnist"), "holds the data set 'mnist'"),
        (info, lambda c: c.pop("splits"), "is damaged"),
        (features, lambda c: c["featuresDict"]["features"].pop("pose"), "of version"),
        (features, lambda c: c.clear(), "is damaged"),
        (journal, lambda c: c.update(version="2.0.0"), "records of version 2.0.0"),
        (journal, lambda c: c.update(shards=3), "damaged"),
    ):
        _edit(path, change)
        with pytest.raises(UserError, match=words) as error:
            RecordSource(records)
        assert str(records) in str(error.value)
        path.write_text(stored[path])
    info.write_text("{")
    with pytest.raises(UserError, match="is damaged"):
        RecordSource(records)


def test_no_code_that_a_folder_names_runs(records, tmp_path, monkeypatch):
    (tmp_path / "module_of_strangers.py").write_text("raise SystemExit('it ran')")
    monkeypatch.syspath_prepend(tmp_path)

    def change(content):
        for feature in content["featuresDict"]["features"].values():
            feature["pythonClassName"] = "module_of_strangers.Image"

    _edit(records / "features.json", change)
    assert RecordSource(records).person(7).name == "photos/007.jpg"
    assert "module_of_strangers" not in sys.modules


def _of_split(**values):
    return lambda content: content["splits"][0].update(values)


def _of_shard(**values):
    return lambda content: content["shards"]["0"].update(values)


def _renumbered(content):
    content["shards"]["99"] = content["shards"].pop("0")


@pytest.mark.parametrize(
    "file, change, words",
    [
        ("dataset_info.json", _of_split(shardLengths=["a"]), "damaged"),
        ("dataset_info.json", _of_split(shardLengths=None), "damaged"),
        ("dataset_info.json", _of_split(shardLengths=[float("inf")]), "damaged"),
        ("dataset_info.json", _of_split(shardLengths=["5"]), "differ in the number"),
        ("dataset_info.json", _of_split(filepathTemplate="/etc/{SPLIT}"), "damaged"),
        ("dataset_info.json", _of_split(name="../train"), "damaged"),
        ("dataset_info.json", lambda c: c.update(splits=[1]), "damaged"),
        ("dataset_info.json", lambda c: c.update(version="1.x"), "damaged"),
        ("dataset_info.json", lambda c: c.update(fileFormat="riegeli"), "of format"),
        ("build_train.json", lambda c: c.update(version=1), "damaged"),
        ("build_train.json", lambda c: c.update(version=None), "damaged"),
        ("build_train.json", lambda c: c.update(skipped=[[1, 2]]), "damaged"),
        ("build_train.json", lambda c: c["made_by"].update(shards=0), "damaged"),
        (
            "build_train.json",
            lambda c: c["made_by"].update(shards=float("inf")),
            "damaged",
        ),
        ("build_train.json", _of_shard(records=float("inf")), "damaged"),
        ("build_train.json", _of_shard(records=5), "differ in the number"),
        ("build_train.json", _of_shard(sha256=""), "damaged"),
        ("build_train.json", _renumbered, "damaged"),
    ],
)
def test_descriptions_that_were_edited(records, file, change, words):
    _edit(records / file, change)
    for use in (RecordSource, verify_records):
        with pytest.raises(UserError, match=words):
            use(records)


@pytest.mark.parametrize(
    "file", ["dataset_info.json", "features.json", "build_train.json"]
)
def test_descriptions_that_are_nested_without_end(records, file):
    (records / file).write_text("[" * 100_000 + "]" * 100_000)
    with pytest.raises(UserError, match="damaged"):
        RecordSource(records)


def test_shards_have_the_last_word_on_their_length(records):
    """Both files agree on a number that is not that of the records."""
    shard = json.loads((records / "build_train.json").read_text())["shards"]["0"]

    def more(content):
        content["splits"][0]["shardLengths"][0] = str(shard["records"] + 1)

    _edit(records / "dataset_info.json", more)
    _edit(records / "build_train.json", _of_shard(records=shard["records"] + 1))
    with pytest.raises(UserError, match=f"does not hold {shard['records'] + 1} rec"):
        RecordSource(records)


def test_tfds_reads_the_folder_and_nothing_needs_tensorflow(built):
    """In a process of its own, as others may have loaded it in this one."""
    code = f"""
import sys
import dsr_jax.data
slow = [m for m in ("tensorflow_datasets", "array_record") if m in sys.modules]
assert not slow, slow
import tensorflow_datasets as tfds
people = tfds.builder_from_directory({str(built)!r}).as_data_source("train")
assert len(people) == 10 and people[4]["image"].shape == (30, 40, 3)
assert people[4]["name"] == b"photos/004.jpg"
assert people[2]["others_px"].shape == (2, 49, 3)
records = dsr_jax.data.RecordSource({str(built)!r})
assert records.person(4).name == "photos/004.jpg"
assert "tensorflow" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
