"""Files appear whole or not at all."""

import pytest

from dsr_jax.errors import UserError
from dsr_jax.files import read_bytes, write_bytes


def test_a_write_replaces_the_whole_file(tmp_path):
    path = tmp_path / "x.json"
    write_bytes(path, b"first, and longer")
    write_bytes(path, b"second")
    assert read_bytes(path, "json file") == b"second"
    assert [p.name for p in tmp_path.iterdir()] == ["x.json"]


def test_a_failed_write_leaves_nothing(tmp_path):
    with pytest.raises(UserError, match=r"nowhere/x.json: cannot write"):
        write_bytes(tmp_path / "nowhere" / "x.json", b"{}")
    (tmp_path / "folder").mkdir()
    with pytest.raises(UserError, match="folder: cannot write"):
        write_bytes(tmp_path / "folder", b"{}")
    assert [p.name for p in tmp_path.iterdir()] == ["folder"]
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="file/x: cannot write: Not a directory"):
        write_bytes(tmp_path / "file" / "x", b"{}")


def test_an_interrupted_write_leaves_nothing(tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("os.replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_bytes(tmp_path / "x", b"{}")
    assert not list(tmp_path.iterdir())


def test_a_failed_read_names_the_file_and_its_kind(tmp_path):
    with pytest.raises(UserError, match=r"none.png: cannot read this label map"):
        read_bytes(tmp_path / "none.png", "label map")
