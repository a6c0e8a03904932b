"""The tool that makes record files, from files to files."""

import json
import os
import signal
from pathlib import Path

# It defines flags, which would be lost if it did so while flags are saved.
import array_record.python.array_record_data_source  # noqa: F401
import pytest
from absl.testing import flagsaver

from dsr_jax.data import RecordSource
from dsr_jax.training.command_line import run_script
from tests.people_sources import photo_bytes, write_files


@pytest.fixture(scope="module")
def build(load_script):
    return load_script("tools/build_records.py")


@pytest.fixture
def run(monkeypatch, build, tmp_path):
    monkeypatch.chdir(tmp_path)
    write_files(tmp_path / "people")

    def call(arguments, module=build):
        monkeypatch.setattr("sys.argv", ["tool.py", *arguments.split()])
        with flagsaver.flagsaver(), pytest.raises(SystemExit) as stopped:
            run_script(module.main)
        return stopped.value.code or 0

    return call


BUILD = "--kind synthetic --root people --output records"


def test_people_are_built_and_verified(run, tmp_path, capsys):
    assert run(f"{BUILD} --shard_size 4K") == 0
    out = capsys.readouterr().out
    assert "6 records of" in out and "as split 'train'" in out
    assert len(RecordSource(tmp_path / "records")) == 6
    assert run("--verify --output records") == 0
    assert "all checksums are right" in capsys.readouterr().out
    (shard, *_) = (tmp_path / "records").glob("*array_record*")
    data = bytearray(shard.read_bytes())
    data[500] ^= 1
    shard.write_bytes(data)
    assert run("--verify --output records") == 2
    error = capsys.readouterr().err
    assert f"wrong: records/{shard.name}: not the bytes" in error
    assert "error: records: 2 checks failed" in error


def test_files_in_the_layout_of_spin(run, tmp_path):
    arguments = "--kind spin --root people/images --name val --limit 4"
    option = "--option annotations=people/annotations.npz"
    assert run(f"{arguments} {option} --labels people/labels --output records") == 0
    records = RecordSource(tmp_path / "records", "val")
    assert len(records) == 4 and records.label_map(0) is not None


def test_what_is_broken_is_reported(run, tmp_path, capsys):
    (tmp_path / "people/images/001.jpg").write_bytes(photo_bytes(1)[:-30])
    (tmp_path / "people/images/002.jpg").unlink()
    assert run(BUILD) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "error" in line]
    assert line.startswith("error: people/images/001.jpg: this image is truncated")
    assert run(f"{BUILD} --broken skip --overwrite") == 0
    out = capsys.readouterr().out
    assert "left out: 1: photo: cut off" in out
    assert "left out: 1: photo: no such file or directory" in out
    assert "records/skipped_train.csv names them" in out
    assert len(RecordSource(tmp_path / "records")) == 4


def test_ctrl_c_leaves_what_the_next_run_needs(run, build, monkeypatch, capsys):
    original = build.build_records

    def interrupted(source, settings, progress, check):
        def told(more, total):
            # The survey is over, and so are three people.
            progress(more, total)
            left.append(more)
            if sum(left) == 3:
                os.kill(os.getpid(), signal.SIGINT)

        left = []
        return original(source, settings, told, check)

    monkeypatch.setattr(build, "build_records", interrupted)
    assert run(f"{BUILD} --shard_size 4K") == 130
    assert "the same command goes on from here" in capsys.readouterr().err
    assert not json.loads(Path("records/build_train.json").read_text())["complete"]


def test_a_stopped_build_is_continued(run, tmp_path, capsys):
    assert run(f"{BUILD} --shard_size 4K") == 0
    journal = json.loads((tmp_path / "records/build_train.json").read_text())
    name = journal["shards"].pop("1")["file"]
    (tmp_path / "records/build_train.json").write_text(json.dumps(journal))
    kept = tmp_path / "records" / journal["shards"]["0"]["file"]
    before = kept.stat().st_mtime_ns, (tmp_path / "records" / name).stat().st_mtime_ns
    assert run(f"{BUILD} --shard_size 4K") == 0
    after = kept.stat().st_mtime_ns, (tmp_path / "records" / name).stat().st_mtime_ns
    assert before[0] == after[0] and before[1] < after[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--root a --output b", "--kind is missing"),
        ("--kind spin --root a", "--output is missing"),
        ("--kind lsp --root a --output b", "lsp"),
        ("--kind spin --root people/images --output b", "give 'annotations'"),
        (f"{BUILD} --shard_size 3T", "--shard_size 3T: give bytes, as in 256M"),
        (f"{BUILD} --name a/b", "--name names the split"),
        (f"{BUILD} --option x", "write --option name=value"),
        ("--kind synthetic --root nowhere --output b", "nowhere/annotations.npz"),
        ("--verify --output people", "holds no records"),
    ],
)
def test_mistakes_are_one_line(run, tmp_path, capsys, arguments, message):
    assert run(arguments) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("error: ") and message in line
    assert not (tmp_path / "b").exists()


def test_flags_that_would_be_ignored(run, capsys, tmp_path):
    for flags, words in (
        ("--kind synthetic --root people --output=", "--output is missing"),
        ("--kind synthetic --root= --output records", "--root is missing"),
        (f"{BUILD} --option foo=1", "'synthetic' takes no --option foo"),
    ):
        assert run(flags) == 2
        assert words in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["people"]
