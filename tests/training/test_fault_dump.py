"""A dump has the state and the batch to the last bit, or one line says why not."""

import dataclasses
import json
import shutil

import jax
import numpy as np
import pytest

from dsr_jax.errors import UserError
from dsr_jax.training import fault_dump
from dsr_jax.training.devices import device_mesh, put_batch
from dsr_jax.training.fault_dump import read_dump, write_dump
from dsr_jax.training.optimizer import build_optimizer
from dsr_jax.training.state import create_state
from tests.training.test_step import OPTIMIZER
from tests.training.test_step_on_devices import Wide, raw
from tests.training.tiny import make_batch

NOTES = {"step": 7, "not_finite": "it is", "examples": [], "batch": list("abcd")}


def make_state(how="replicated"):
    optimizer = build_optimizer(OPTIMIZER, 10)
    return create_state(
        Wide, optimizer, jax.random.key(3), device_mesh(), how, ema=True
    )[1]


@pytest.fixture(scope="module")
def state():
    return make_state()


@pytest.fixture
def folder(tmp_path, state):
    return write_dump(tmp_path, state, put_batch(make_batch(), device_mesh()), NOTES)


@pytest.mark.parametrize("how", ["replicated", "sharded"])
def test_what_is_read_is_what_was_dumped(tmp_path, monkeypatch, how):
    monkeypatch.setattr("dsr_jax.training.state._SMALLEST_SPLIT", 8)
    state = make_state(how)
    batch = put_batch(make_batch(), device_mesh())
    folder = write_dump(tmp_path, state, batch, NOTES)
    assert folder == tmp_path / "faults" / "step_0000007"
    again, read, notes = read_dump(folder, jax.eval_shape(lambda: state))
    for ours, theirs in zip(raw(again), raw(state), strict=True):
        np.testing.assert_array_equal(ours, theirs)
        assert ours.dtype == theirs.dtype
    for field in dataclasses.fields(read):
        expected = getattr(make_batch(), field.name)
        np.testing.assert_array_equal(getattr(read, field.name), expected)
    assert notes == NOTES | {"processes": 1, "devices": 4}


def test_every_process_writes_its_own_rows(folder, tmp_path, state):
    """As two processes would have: the rows of the second come first in its file."""
    with np.load(folder / "batch_00000.npz") as whole:
        arrays = dict(whole)
    for process, rows in enumerate(([3, 2], [0, 1])):
        part = {name: array[rows] for name, array in arrays.items()}
        np.savez(folder / f"batch_{process:05d}.npz", **part)
    notes = json.loads((folder / "fault.json").read_text())
    (folder / "fault.json").write_text(json.dumps(notes | {"processes": 2}))
    _, read, _ = read_dump(folder, state)
    np.testing.assert_array_equal(read.image, make_batch().image)
    (folder / "batch_00001.npz").unlink()
    with pytest.raises(UserError, match=r"batch_00001.npz: cannot read"):
        read_dump(folder, state)
    shutil.copy(folder / "batch_00000.npz", folder / "batch_00001.npz")
    with pytest.raises(UserError, match="copy the whole folder"):
        read_dump(folder, state)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("fault.json", b"{", "is no note of a fault"),
        ("fault.json", b"\xff\xfe", "is no note of a fault"),
        ("fault.json", b"[]", "is no note of a fault"),
        ("fault.json", b'{"step": 1, "processes": 1}', "is no note of a fault"),
        ("fault.json", None, "cannot read this note of a fault"),
        ("state.npz", b"PK", "truncated or not an npz"),
        ("state.npz", None, "cannot read this dumped state"),
        ("batch_00000.npz", b"", "truncated or not an npz"),
    ],
)
def test_a_damaged_dump_is_one_line(folder, state, name, content, message):
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_bytes(content)
    with pytest.raises(UserError, match=message) as caught:
        read_dump(folder, state)
    assert name in str(caught.value) and "\n" not in str(caught.value)


def test_a_file_that_lacks_a_field(folder, state):
    np.savez(folder / "batch_00000.npz", rows=np.arange(4))
    with pytest.raises(UserError, match=r"batch_00000.npz: lacks 'betas'"):
        read_dump(folder, state)


def test_a_dump_of_another_network(folder, state):
    other = dataclasses.replace(state, ema=None)
    with pytest.raises(UserError, match=r"state.npz: .*'ema/.* of another run"):
        read_dump(folder, other)


def test_only_a_whole_dump_has_its_notes(tmp_path, state, monkeypatch):
    """They are written last."""

    def fail(path, content):
        raise UserError("no space")

    monkeypatch.setattr(fault_dump, "write_bytes", fail)
    with pytest.raises(UserError, match="no space"):
        write_dump(tmp_path, state, put_batch(make_batch(), device_mesh()), NOTES)
    assert not list(tmp_path.glob("faults/*/*"))
