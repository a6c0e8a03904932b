"""Building: the same bytes by any number of processes, stopped or not, or one line."""

import csv
import dataclasses
import hashlib
from pathlib import Path

import numpy as np
import pytest

from dsr_jax.data.records import (
    BuildSettings,
    RecordSource,
    build_records,
    read_journal,
    verify_records,
)
from dsr_jax.data.records import shard as shard_module
from dsr_jax.data.records.survey import Survey, survey_people
from dsr_jax.errors import UserError
from tests.people_sources import MemorySource, make_person, make_source

# Three shards of the ten people.
SHARD_BYTES = 14_000


def settings_for(folder, **changes):
    settings = BuildSettings("spin", "train", folder, shard_bytes=SHARD_BYTES)
    return dataclasses.replace(settings, **changes)


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_no_file_is_to_be_empty():
    survey = Survey(count=7, digest="", twice={}, mean_bytes=1000.0)
    assert [survey.shards(size) for size in (10_000, 3_500, 1)] == [1, 2, 7]


class Stop(Exception):
    pass


def stop_after(calls):
    left = [calls]

    def check():
        left[0] -= 1
        if left[0] < 0:
            raise Stop

    return check


def test_everything_is_read_back_in_order(tmp_path):
    source = make_source()
    journal = build_records(source, settings_for(tmp_path / "a"))
    assert (journal.records, journal.count, journal.skipped) == (10, 3, ())
    records = RecordSource(tmp_path / "a")
    assert len(records) == 10
    for index in range(10):
        assert records.image(index).data == source.image(index).data
        for name, value in vars(source.person(index)).items():
            np.testing.assert_array_equal(getattr(records.person(index), name), value)
        np.testing.assert_array_equal(records.others(index), source.others(index))
    assert records.label_map(3) is None
    assert records.label_map(4).data == source.labels[4]


@pytest.mark.slow
def test_two_processes_write_the_same_bytes(tmp_path):
    told = []
    build_records(make_source(), settings_for(tmp_path / "one"))
    build_records(
        make_source(),
        settings_for(tmp_path / "two", processes=2),
        lambda more, total: told.append((more, total)),
    )
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    assert sum(more for more, _ in told) == 10 and {total for _, total in told} == {10}


def test_a_stopped_build_goes_on_and_keeps_what_is_finished(tmp_path):
    build_records(make_source(), settings_for(tmp_path / "whole"))
    folder = tmp_path / "stopped"
    with pytest.raises(Stop):
        # Ten people are surveyed, five are written.
        build_records(make_source(), settings_for(folder), check=stop_after(15))
    (first,) = folder.glob("*array_record*")
    assert not list(folder.glob(".*")), "no part of a shard is left"
    with pytest.raises(UserError, match="not complete, 1 of 3 shards"):
        RecordSource(folder)
    # What a process that was killed leaves behind.
    (folder / f".{first.name}.x.partial").write_bytes(b"part")
    (folder / first.name.replace("00000-of", "00001-of")).write_bytes(b"unknown")
    before = first.stat().st_mtime_ns
    told = []
    build_records(
        make_source(), settings_for(folder), lambda more, total: told.append(more)
    )
    assert first.stat().st_mtime_ns == before and told[0] == 3
    assert contents(folder) == contents(tmp_path / "whole")


def test_a_finished_shard_that_was_cut_off_is_built_again(tmp_path):
    build_records(make_source(), settings_for(tmp_path))
    whole = contents(tmp_path)
    cut = sorted(tmp_path.glob("*array_record*"))[1]
    cut.write_bytes(cut.read_bytes()[:-10])
    build_records(make_source(), settings_for(tmp_path))
    assert contents(tmp_path) == whole


def test_checksums_are_those_of_the_files(tmp_path):
    build_records(make_source(), settings_for(tmp_path))
    journal = read_journal(tmp_path, "train")
    for number, shard in journal.shards.items():
        data = (tmp_path / journal.shard_name(number)).read_bytes()
        assert shard.sha256 == hashlib.sha256(data).hexdigest()
        assert shard.bytes == len(data)
    assert verify_records(tmp_path) == []
    path = tmp_path / journal.shard_name(2)
    data = bytearray(path.read_bytes())
    data[500] ^= 1
    path.write_bytes(data)
    wrong = verify_records(tmp_path)
    assert wrong[0].startswith(f"{path}: not the bytes") and len(wrong) == 2
    assert f"{path}: record 0" in wrong[1]


def test_who_stopped_at_something_broken_may_skip_it(tmp_path):
    source = make_source()
    source.photos[9] = b"no photo"
    with pytest.raises(UserError, match="photo 9: not an image"):
        build_records(source, settings_for(tmp_path))
    skip = dataclasses.replace(settings_for(tmp_path).screening, broken="skip")
    journal = build_records(source, settings_for(tmp_path, screening=skip))
    assert journal.records == 9 and len(RecordSource(tmp_path)) == 9
    # The other way it would keep what was left out.
    with pytest.raises(UserError, match="built with another 'broken'"):
        build_records(source, settings_for(tmp_path))


def test_what_was_built_otherwise_is_not_mixed(tmp_path):
    build_records(make_source(), settings_for(tmp_path))
    before = contents(tmp_path)
    other = make_source()
    other.people[5] = make_person(5, frame=7)
    for source, changes, key in (
        (other, {}, "annotations"),
        (make_source(), {"limit": 4}, "people"),
        (make_source(), {"shard_bytes": 20_000}, "shards"),
    ):
        with pytest.raises(UserError, match=f"built with another '{key}'"):
            build_records(source, settings_for(tmp_path, **changes))
    with pytest.raises(UserError, match="records of 'spin', not of 'coco'"):
        build_records(make_source(), settings_for(tmp_path, kind="coco", split="val"))
    assert contents(tmp_path) == before
    build_records(make_source(), settings_for(tmp_path, limit=4, overwrite=True))
    assert len(RecordSource(tmp_path)) == 4
    assert (
        len(list(tmp_path.glob("*array_record*")))
        == read_journal(tmp_path, "train").count
    )


def test_splits_share_a_folder(tmp_path):
    build_records(make_source(), settings_for(tmp_path))
    build_records(make_source(4), settings_for(tmp_path, split="val", limit=2))
    assert len(RecordSource(tmp_path, "train")) == 10
    assert len(RecordSource(tmp_path, "val")) == 2
    with pytest.raises(UserError, match="has 2 splits: choose one of: train, val"):
        RecordSource(tmp_path)
    with pytest.raises(UserError, match="no split 'vall': did you mean 'val'"):
        RecordSource(tmp_path, "vall")


def test_a_full_disk_is_one_line_and_leaves_no_shard(tmp_path, monkeypatch):
    from array_record.python import array_record_module

    class FullDisk:
        """The library says so at the end."""

        def __init__(self, path, options):
            Path(path).write_bytes(b"what fitted")

        def write(self, data):
            pass

        def ok(self):
            return False

        def close(self):
            raise RuntimeError("write() failed: No space left on device; writing x")

    monkeypatch.setattr(array_record_module, "ArrayRecordWriter", FullDisk)
    with pytest.raises(UserError, match="cannot write: No space left on device; check"):
        build_records(make_source(), settings_for(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["build_train.json"]


def test_an_interruption_closes_the_writer_and_leaves_no_part(tmp_path):
    path = tmp_path / "people"
    with pytest.raises(Stop):
        shard_module.write_shard(
            path,
            make_source(),
            range(10),
            {},
            settings_for(tmp_path).screening,
            stop_after(4),
        )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("changes", [{"split": "a-b"}, {"processes": 0}, {"split": ""}])
def test_settings_that_cannot_be_meant(tmp_path, changes):
    with pytest.raises(ValueError):
        settings_for(tmp_path, **changes)


def test_nobody_is_an_error(tmp_path):
    with pytest.raises(UserError, match="holds no person"):
        build_records(MemorySource([], [], []), settings_for(tmp_path))


def test_shards_hold_all_people_once(tmp_path):
    survey = survey_people(make_source(), settings_for(tmp_path).screening)
    for shards in (1, 3, 7, 10, 13):
        bounds = survey.bounds(shards)
        assert bounds[0] == 0 and bounds[-1] == 10 and len(bounds) == shards + 1
        assert bounds == sorted(bounds)


def test_the_list_of_what_was_left_out_has_a_header(tmp_path):
    build_records(make_source(), settings_for(tmp_path))
    with (tmp_path / "skipped_train.csv").open() as file:
        assert list(csv.reader(file)) == [["what", "reason"]]
