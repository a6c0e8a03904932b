"""Full disks, unwritable and vanished folders: one line, and nothing half written."""

import contextlib
import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from dsr_jax.errors import UserError
from dsr_jax.training.checkpoint import Checkpoints
from tests.training.tiny_network import DATA, advance, assert_same, make_state

ROOT = Path(__file__).parents[2]


@contextlib.contextmanager
def told(pattern):
    """The error of a save, wherever it comes first."""
    with pytest.raises(UserError, match=pattern) as caught:
        yield
    assert "\n" not in str(caught.value)


def test_a_file_in_place_of_the_folder(tmp_path):
    (tmp_path / "checkpoints").write_text("")
    with told("checkpoints: cannot be written"):
        Checkpoints(tmp_path)


def test_a_file_in_place_of_the_runs_folder(tmp_path):
    (tmp_path / "run").write_text("")
    with told("run/checkpoints: cannot be written"):
        Checkpoints(tmp_path / "run")


def test_a_folder_that_vanishes(tmp_path):
    network, state = make_state()
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(state, DATA)
    checkpoints.wait()
    shutil.rmtree(tmp_path / "checkpoints")
    checkpoints.save(advance(network, state), DATA)
    with told("checkpoints: the checkpoint of step 1 cannot be written"):
        checkpoints.wait()
    assert not (tmp_path / "checkpoints").exists()


def test_a_folder_that_vanishes_while_it_is_written(tmp_path, monkeypatch):
    from dsr_jax.training.checkpoint import writing

    write_item = writing.write_item

    def vanish(folder, item):
        write_item(folder, item)
        shutil.rmtree(tmp_path / "checkpoints", ignore_errors=True)

    monkeypatch.setattr(writing, "write_item", vanish)
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(make_state()[1], DATA)
    with told("checkpoints: the checkpoint of step 0 cannot be written"):
        checkpoints.wait()
    monkeypatch.undo()
    assert Checkpoints(tmp_path).latest_step is None


def test_a_folder_that_cannot_be_written_any_more(tmp_path):
    """A file takes the place that the save needs; permissions would not stop root."""
    network, state = make_state()
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(state, DATA)
    checkpoints.wait()
    (tmp_path / "checkpoints").rename(tmp_path / "elsewhere")
    (tmp_path / "checkpoints").write_text("")
    state = advance(network, state)
    checkpoints.save(state, DATA)
    with told("checkpoints: the checkpoint of step 1 cannot be written"):
        checkpoints.save(advance(network, state), DATA)
    (tmp_path / "checkpoints").unlink()
    (tmp_path / "elsewhere").rename(tmp_path / "checkpoints")
    assert Checkpoints(tmp_path).latest_step == 0


TOO_LARGE = """
    import pathlib, resource, signal, sys
    from dsr_jax.errors import one_line_errors
    from dsr_jax.training.checkpoint import Checkpoints
    from tests.training.test_checkpoint_background import large_state, next_state

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    with one_line_errors():
        checkpoints = Checkpoints(pathlib.Path(sys.argv[1]))
        state = large_state(50_000)
        checkpoints.save(state, data={})
        checkpoints.wait()
        if sys.argv[2] == "limit":
            resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        # Random bits, which cannot be compressed into a small file.
        import jax
        bits = jax.random.normal(jax.random.key(0), (500_000,))
        state = next_state(state)
        checkpoints.save(type(state)(
            state.step, {"w": bits}, state.statistics, state.rng, state.optimizer
        ), data={})
        checkpoints.wait()
"""


def run(script, *arguments):
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)],
        cwd=ROOT,
        # What is too large for the disk is too large for JAX's cache as well.
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "JAX_ENABLE_COMPILATION_CACHE": "false",
        },
        capture_output=True,
        text=True,
        timeout=300,
    )


def check_disk_full(done, folder):
    from tests.training.test_checkpoint_background import large_state

    assert done.returncode == 75, done.stderr
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith(f"error: {folder}/")
    assert "checkpoints: the checkpoint of step 1 cannot be written" in lines[0]
    assert [p.name for p in (folder / "checkpoints").iterdir()] == ["0"]
    state = large_state(50_000)
    assert_same(Checkpoints(folder).restore_latest(state).state, state)


def test_files_that_must_not_grow(tmp_path):
    """A limit on the size of files, such as quotas are."""
    check_disk_full(run(TOO_LARGE, tmp_path, "limit"), tmp_path)


@pytest.fixture
def tiny_disk(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1500k", "tmpfs", str(disk)]
    done = subprocess.run(mount, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.slow
def test_a_full_disk(tiny_disk):
    check_disk_full(run(TOO_LARGE, tiny_disk, "none"), tiny_disk)
