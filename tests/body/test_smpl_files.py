"""SMPL files of every vintage load, and nothing else does."""

import io
import os
import pickle
import struct
import sys
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.sparse

from dsr_jax.body import PARENTS, body_joints, load_body, pose_body
from dsr_jax.body.model import BodyMesh, BodyParams
from dsr_jax.errors import UserError

VERTICES = 30


def smpl_arrays(vertices=VERTICES, seed=0):
    """What an official file holds, for a mesh of a few vertices."""
    random = np.random.default_rng(seed)
    parents = np.array(PARENTS)
    regressor = random.dirichlet(np.full(vertices, 0.2), 24)
    regressor[regressor < 1e-3] = 0
    return {
        "v_template": random.normal(0, 0.5, (vertices, 3)),
        "shapedirs": random.normal(0, 0.03, (vertices, 3, 12)),
        "posedirs": random.normal(0, 0.01, (vertices, 3, 207)),
        "weights": random.dirichlet(np.full(24, 0.2), vertices),
        "J_regressor": regressor / regressor.sum(1, keepdims=True),
        "kintree_table": np.stack([parents, np.arange(24)]).astype(np.uint32),
        "f": random.integers(0, vertices, (50, 3)).astype(np.uint32),
    }


class _Python2Pickler(pickle._Pickler):
    """Writes arrays' bytes as Python 2 did: as strings of no declared encoding."""

    dispatch = pickle._Pickler.dispatch.copy()

    def save_bytes(self, data):
        self.write(b"T" + struct.pack("<i", len(data)) + data)

    dispatch[bytes] = save_bytes


@pytest.fixture
def chumpy(monkeypatch):
    """Classes that pickle under chumpy's names; chumpy itself is not installed."""
    modules = {name: types.ModuleType(name) for name in ("chumpy", "chumpy.ch")}
    modules["chumpy.reordering"] = types.ModuleType("chumpy.reordering")
    for module, name in (("chumpy.ch", "Ch"), ("chumpy.reordering", "Select")):
        made = type(name, (), {"__module__": module})
        setattr(modules[module], name, made)
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)

    def constant(array):
        value = modules["chumpy.ch"].Ch()
        value.__dict__ |= {"x": array, "_dirty_vars": {"x"}, "_itr": None}
        return value

    def selection(array, index, shape):
        value = modules["chumpy.reordering"].Select()
        value.__dict__ |= {
            "a": constant(array),
            "idxs": index,
            "preferred_shape": shape,
        }
        return value

    yield constant, selection
    for name in modules:
        monkeypatch.delitem(sys.modules, name)


def official_content(chumpy):
    """As in the release: chumpy constants and a selection, one sparse matrix."""
    constant, selection = chumpy
    arrays = smpl_arrays()
    shapes = np.random.default_rng(5).normal(size=(VERTICES, 3, 20))
    shapes[..., :12] = arrays["shapedirs"]
    index = np.arange(shapes.size).reshape(shapes.shape)[..., :12].ravel()
    return arrays, {
        **arrays,
        "v_template": constant(arrays["v_template"]),
        "weights": constant(np.asfortranarray(arrays["weights"])),
        "shapedirs": selection(shapes, index, (VERTICES, 3, 12)),
        "J_regressor": scipy.sparse.csc_matrix(arrays["J_regressor"]),
        "bs_style": "lbs",
        "J": constant(np.zeros((24, 3))),
    }


def python2_pickle(content):
    stream = io.BytesIO()
    _Python2Pickler(stream, protocol=2).dump(content)
    modern_to_old = {
        b"numpy._core.multiarray": b"numpy.core.multiarray",
        b"scipy.sparse._csc": b"scipy.sparse.csc",
    }
    data = stream.getvalue()
    for modern, old in modern_to_old.items():
        data = data.replace(b"c" + modern + b"\n", b"c" + old + b"\n")
    return data


def check_model(model, arrays):
    np.testing.assert_allclose(model.template, arrays["v_template"], rtol=1e-6)
    np.testing.assert_allclose(
        model.shape_directions, arrays["shapedirs"][..., :10], rtol=1e-6
    )
    np.testing.assert_allclose(model.pose_directions, arrays["posedirs"], rtol=1e-6)
    np.testing.assert_allclose(model.skinning_weights, arrays["weights"], rtol=1e-6)
    np.testing.assert_allclose(model.joint_regressor, arrays["J_regressor"], rtol=1e-6)
    np.testing.assert_array_equal(model.faces, arrays["f"])
    assert model.parents == PARENTS
    assert model.joint_sets == {}


def test_official_python2_pickle_with_chumpy(tmp_path, chumpy):
    arrays, content = official_content(chumpy)
    path = tmp_path / "basicModel.pkl"
    path.write_bytes(python2_pickle(content))
    assert b"numpy.core" in path.read_bytes()
    assert b"scipy.sparse.csc\n" in path.read_bytes()
    check_model(load_body(path), arrays)
    assert "chumpy.ch_ops" not in sys.modules


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
@pytest.mark.parametrize("sparse", ["csc_matrix", "csr_matrix", "coo_matrix"])
def test_python3_pickles(tmp_path, chumpy, protocol, sparse):
    arrays, content = official_content(chumpy)
    matrix = getattr(scipy.sparse, sparse)(arrays["J_regressor"])
    content["J_regressor"] = matrix
    path = tmp_path / "SMPL_NEUTRAL.pkl"
    path.write_bytes(pickle.dumps(content, protocol=protocol))
    check_model(load_body(path), arrays)


def test_npz_dense_and_with_a_pickled_matrix(tmp_path):
    arrays = smpl_arrays()
    path = tmp_path / "SMPL_MALE.npz"
    np.savez(path, **arrays)
    check_model(load_body(path), arrays)
    matrix = scipy.sparse.csc_matrix(arrays["J_regressor"])
    np.savez_compressed(path, **(arrays | {"J_regressor": matrix}))
    check_model(load_body(str(path)), arrays)


def test_a_loaded_body_poses(tmp_path):
    path = tmp_path / "body.npz"
    np.savez(path, **smpl_arrays())
    params = BodyParams(jnp.tile(jnp.eye(3), (24, 1, 1)), jnp.zeros(10))
    mesh = jax.jit(pose_body)(load_body(path), params)
    np.testing.assert_allclose(mesh.vertices, smpl_arrays()["v_template"], atol=1e-6)


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


def smpl_sized_file(tmp_path):
    """All of SMPL's 6890 vertices, with nothing but the template in them."""
    random = np.random.default_rng(6)
    arrays = smpl_arrays()
    count = 6890
    arrays["v_template"] = random.normal(0, 0.5, (count, 3))
    arrays["shapedirs"] = np.zeros((count, 3, 10), np.float32)
    arrays["posedirs"] = np.zeros((count, 3, 207), np.float16)
    arrays["weights"] = np.eye(24, dtype=np.float32)[np.zeros(count, int)]
    arrays["J_regressor"] = np.eye(24, count)
    path = tmp_path / "SMPL_FEMALE.npz"
    np.savez_compressed(path, **arrays)
    return path, arrays["v_template"]


def test_joint_sets_of_smpl_come_from_the_known_sources(tmp_path):
    path, template = smpl_sized_file(tmp_path)
    random = np.random.default_rng(7)
    extra, h36m = random.normal(size=(9, 6890)), random.normal(size=(17, 6890))
    np.save(tmp_path / "extra.npy", extra)
    np.save(tmp_path / "h36m.npy", h36m)
    joints = random.normal(size=(24, 3)).astype(np.float32)
    mesh = BodyMesh(jnp.asarray(template, np.float32), jnp.asarray(joints))

    alone = load_body(path)
    assert set(alone.joint_sets) == {"openpose25"}
    with pytest.raises(UserError, match="extra_regressor"):
        body_joints(alone, mesh, "joints49")
    with pytest.raises(UserError, match="did you mean 'lsp14'"):
        body_joints(alone, mesh, "lsp-14")

    model = load_body(path, tmp_path / "extra.npy", tmp_path / "h36m.npy")
    points = {name: body_joints(model, mesh, name) for name in model.joint_sets}
    # FACTS of SPIN: base joints 0-23, 24-34 surface, 45-53 extra regressor
    surface = [332, 6260, 2800, 4071, 583, 3216, 3226, 3387, 6617, 6624, 6787]
    base = np.concatenate(
        [joints, template[surface], np.full((10, 3), np.nan), extra @ template]
    )
    openpose = [24, 12, 17, 19, 21, 16, 18, 20, 0, 2, 5, 8, 1, 4, 7]
    openpose += [25, 26, 27, 28, 29, 30, 31, 32, 33, 34]
    truth = [8, 5, 45, 46, 4, 7, 21, 19, 17, 16, 18, 20, 47, 48, 49, 50, 51, 52, 53]
    truth += [24, 26, 25, 28, 27]
    close = {"atol": 2e-4}  # sums of 6890 float32 products
    np.testing.assert_allclose(points["joints49"], base[openpose + truth], **close)
    np.testing.assert_allclose(points["gt24"], base[truth], **close)
    np.testing.assert_allclose(points["openpose25"], base[openpose], **close)
    np.testing.assert_allclose(points["h36m17"], h36m @ template, **close)
    lsp = [6, 5, 4, 1, 2, 3, 16, 15, 14, 11, 12, 13, 8, 10]
    np.testing.assert_allclose(points["lsp14"], (h36m @ template)[lsp], **close)


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
