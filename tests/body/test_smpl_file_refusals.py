"""Files that are no SMPL body end in one clear line, and run nothing."""

import os
import pickle

import numpy as np
import pytest
from smpl_fakes import VERTICES, smpl_arrays

from dsr_jax.body import load_body
from dsr_jax.errors import UserError


def refused(path):
    with pytest.raises(UserError) as caught:
        load_body(path)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    return message


class _Attack:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", [0, 2, 5])
@pytest.mark.parametrize(
    "where", ["whole file", "a key nobody reads", "inside an array"]
)
@pytest.mark.parametrize("attack", ["system", "eval", "getattr", "open"])
def test_pickles_that_run_code_are_refused(tmp_path, protocol, where, attack):
    mark = tmp_path / "mark"
    bomb = {
        "system": _Attack(os.system, f"touch {mark}"),
        "eval": _Attack(eval, f"open({str(mark)!r}, 'w')"),
        "getattr": _Attack(getattr, _Attack(__import__, "os"), "system"),
        "open": _Attack(open, str(mark), "w"),
    }[attack]
    if where == "inside an array":
        bomb = np.array([bomb], object)
    content = bomb if where == "whole file" else smpl_arrays() | {"extra": bomb}
    path = tmp_path / "SMPL.pkl"
    path.write_bytes(pickle.dumps(content, protocol=protocol))
    message = refused(path)
    named = {"system": "posix.system", "open": "io.open"}
    assert named.get(attack, f"'builtins.{attack}'") in message
    assert not mark.exists()


def test_npz_that_runs_code_is_refused(tmp_path):
    mark = tmp_path / "mark"
    bomb = np.array([_Attack(os.system, f"touch {mark}")], object)
    path = tmp_path / "SMPL.npz"
    np.savez(path, **(smpl_arrays() | {"J_regressor": bomb}))
    assert "posix.system" in refused(path)
    assert not mark.exists()


@pytest.mark.parametrize(
    ("key", "value", "complaint"),
    [
        ("v_template", np.zeros((VERTICES, 2)), "shape"),
        ("shapedirs", np.zeros((VERTICES, 3, 9)), "9 shape components"),
        ("shapedirs", np.zeros((VERTICES + 1, 3, 10)), f"({VERTICES}, 3, "),
        ("posedirs", np.zeros((207, 3 * VERTICES)), "207"),
        ("posedirs", np.zeros((VERTICES, 3, 459)), "SMPL+H"),
        ("weights", np.full((VERTICES, 52), 1 / 52), "SMPL+H"),
        ("weights", np.full((VERTICES, 24), 1 / 12), "sum to 1"),
        ("J_regressor", np.full((VERTICES, 24), 1 / 24), "shape"),
        ("J_regressor", np.zeros((24, VERTICES)), "sum to 1"),
        ("kintree_table", np.zeros((2, 24), np.uint32), "tree"),
        ("f", np.full((5, 3), VERTICES, np.uint32), f"0 to {VERTICES - 1}"),
        ("f", np.full((5, 3), -1), f"0 to {VERTICES - 1}"),
        ("f", np.full((5, 3), 1.5), "no vertex indices"),
        ("f", np.zeros((0, 3), np.uint32), "no vertex indices"),
        ("v_template", np.full((VERTICES, 3), np.nan), "finite"),
        ("v_template", "a string", "holds a str"),
        ("v_template", np.array([["a", "b", "c"]] * VERTICES), "of type U1"),
    ],
)
def test_wrong_content_is_one_clear_line(tmp_path, key, value, complaint):
    path = tmp_path / "SMPL.pkl"
    path.write_bytes(pickle.dumps(smpl_arrays() | {key: value}))
    message = refused(path)
    assert f"'{key}'" in message
    assert complaint in message


@pytest.mark.parametrize("suffix", [".pkl", ".npz"])
def test_missing_key_is_named(tmp_path, suffix):
    arrays = smpl_arrays()
    del arrays["posedirs"]
    path = tmp_path / f"SMPL{suffix}"
    if suffix == ".npz":
        np.savez(path, **arrays)
    else:
        path.write_bytes(pickle.dumps(arrays))
    assert "'posedirs'" in refused(path)


@pytest.mark.parametrize("suffix", [".pkl", ".npz"])
def test_truncated_files(tmp_path, suffix):
    whole = tmp_path / f"whole{suffix}"
    if suffix == ".npz":
        np.savez_compressed(whole, **smpl_arrays())
    else:
        whole.write_bytes(pickle.dumps(smpl_arrays()))
    data = whole.read_bytes()
    path = tmp_path / f"SMPL{suffix}"
    for length in (0, 3, 10, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:length])
        assert "truncated" in refused(path) or length < 4
    if suffix == ".npz":  # its members carry checksums
        third = len(data) // 3
        path.write_bytes(data[:third] + bytes(100) + data[third + 100 :])
        refused(path)


def test_unusable_paths(tmp_path):
    assert "folder" in refused(tmp_path)
    assert "no such file" in refused(tmp_path / "SMPL.pkl")
    (tmp_path / "list.pkl").write_bytes(pickle.dumps([1, 2]))
    assert "no dictionary" in refused(tmp_path / "list.pkl")
    with pytest.raises(UserError, match="did you mean 'free-lite'"):
        load_body("free-light")
    with pytest.raises(UserError, match="its own joint sets"):
        load_body("free", extra_regressor=tmp_path / "J_regressor_extra.npy")


def test_regressors_of_another_mesh_are_refused(tmp_path):
    np.savez(tmp_path / "body.npz", **smpl_arrays())
    np.save(tmp_path / "regressor.npy", np.zeros((17, 6890)))
    with pytest.raises(UserError, match=r"regressor\.npy.*\(17, 30\)"):
        load_body(tmp_path / "body.npz", h36m_regressor=tmp_path / "regressor.npy")
    with pytest.raises(UserError, match="6890 vertices of SMPL"):
        load_body(tmp_path / "body.npz", extra_regressor=tmp_path / "regressor.npy")
    (tmp_path / "text.npy").write_text("0 1 2")
    with pytest.raises(UserError, match="not an npy file"):
        load_body(tmp_path / "body.npz", h36m_regressor=tmp_path / "text.npy")
    np.save(tmp_path / "bomb.npy", np.array([_Attack(os.getcwd)], object))
    with pytest.raises(UserError, match=r"posix\.getcwd"):
        load_body(tmp_path / "body.npz", h36m_regressor=tmp_path / "bomb.npy")
