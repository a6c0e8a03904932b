"""Files beyond which the disk is full: whole records, one line, and the right code."""

import contextlib
import re
import resource
import struct

import numpy as np
import pytest
from tensorboardX.proto.event_pb2 import Event
from tensorboardX.record_writer import RecordWriter

from dsr_jax.data import write_image
from dsr_jax.errors import EnvironmentFault, UserError
from dsr_jax.files import write_bytes
from dsr_jax.training.append_file import AppendFile
from dsr_jax.training.metrics import MetricWriter, read_metrics

VALUES = {"loss": 0.5, "term/pose": 0.25}


@contextlib.contextmanager
def full_beyond(size):
    """No file may grow beyond so many bytes in this process."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@contextlib.contextmanager
def told(path):
    with pytest.raises(EnvironmentFault, match="File too large") as caught:
        yield
    assert str(caught.value).startswith(f"{path}")
    assert "cannot write" in str(caught.value)
    assert "\n" not in str(caught.value) and caught.value.exit_code == 75


def records_of_tensorboard(content):
    """Lengths of whole records, as TFRecord frames them."""
    lengths, place = [], 0
    while place < len(content):
        (length,) = struct.unpack_from("<Q", content, place)
        lengths.append(length)
        place += 16 + length
    assert place == len(content)
    return lengths


def steps_of(folder):
    return len(read_metrics(folder / "metrics.jsonl"))


def test_records_are_whole_or_not_there(tmp_path):
    path = tmp_path / "metrics.jsonl"
    file = AppendFile(path)
    with full_beyond(500), told(path):
        for _ in range(100):
            file.append(b"x" * 119 + b"\n")
    assert path.stat().st_size == 480
    # Once there is room, it goes on.
    file.append(b"y\n")
    assert path.read_bytes().splitlines()[-2:] == [b"x" * 119, b"y"]
    file.close()


def test_events_of_tensorboard(tmp_path):
    """Nobody waits for a thread that the disk has ended."""
    writer = MetricWriter(tmp_path, 0)
    (file,) = tmp_path.glob("events*")
    with full_beyond(2000), told(file):
        for step in range(1, 100):
            writer.write(step, VALUES)
    written = len(records_of_tensorboard(file.read_bytes()))
    # Two at the start and two a record, of which the last lacks one or both.
    assert written in (2 * steps_of(tmp_path), 2 * steps_of(tmp_path) + 1)
    before = file.stat().st_size
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3)).astype(np.uint8)
    with full_beyond(2000), told(file):
        writer.picture(1, "people", noise)
    assert file.stat().st_size == before
    writer.close()


def test_events_are_framed_as_tensorboard_reads_them(tmp_path):
    """As tensorboardX frames them, checksums included."""
    writer = MetricWriter(tmp_path, 6)
    writer.write(7, VALUES)
    writer.close()
    (file,) = tmp_path.glob("events*")
    content, place, events = file.read_bytes(), 0, []
    framed = RecordWriter(str(tmp_path / "theirs"))
    for length in records_of_tensorboard(content):
        events.append(Event.FromString(content[place + 12 : place + 12 + length]))
        framed.write(content[place + 12 : place + 12 + length])
        place += 16 + length
    framed.close()
    assert (tmp_path / "theirs").read_bytes() == content
    assert events[0].file_version == "brain.Event:2"
    assert events[1].step == 7 and events[1].session_log.status == 1
    assert [e.summary.value[0].tag for e in events[2:]] == list(VALUES)
    assert {e.step for e in events[2:]} == {7}


def test_pictures_and_results(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3)).astype(np.uint8)
    with full_beyond(500):
        with told(tmp_path / "step_0000001.png"):
            write_image(tmp_path / "step_0000001.png", noise)
        with told(tmp_path / "evaluation.json"):
            write_bytes(tmp_path / "evaluation.json", b"x" * 1000)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("how", ["deleted", "moved", "replaced"])
def test_a_file_that_is_gone(tmp_path, how):
    folder = tmp_path / "run"
    folder.mkdir()
    file = AppendFile(folder / "metrics.jsonl")
    file.append(b"1\n")
    if how == "deleted":
        (folder / "metrics.jsonl").unlink()
    else:
        folder.rename(tmp_path / "elsewhere")
    if how == "replaced":
        folder.write_text("")
    with pytest.raises(UserError, match=re.escape(f"{folder}/metrics.jsonl: ")) as lost:
        file.append(b"2\n")
    assert lost.value.exit_code == 2
    assert "deleted or moved" in str(lost.value)


def test_damaged_metrics(tmp_path, capsys):
    """What is no record is dropped and counted, whatever it is."""
    file = tmp_path / "metrics.jsonl"
    lines = [b'{"step": 1, "loss": 2.0}', b"\xff\xfe", b"[1]", b'{"loss": 1}', b"{"]
    file.write_bytes(b"\n".join([*lines, b'{"step": 2}', b'{"step": 9}']))
    MetricWriter(tmp_path, 2).close()
    assert capsys.readouterr().err == f"{file}: 4 damaged line(s) dropped\n"
    assert [record["step"] for record in read_metrics(file)] == [1, 2]
    MetricWriter(tmp_path, 2).close()
    assert capsys.readouterr().err == ""
