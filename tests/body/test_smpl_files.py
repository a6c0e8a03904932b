"""SMPL files of every vintage load, and joint sets come from the known sources."""

import io
import pickle
import struct
import sys
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.sparse
from smpl_fakes import VERTICES, smpl_arrays

from dsr_jax.body import PARENTS, body_joints, load_body, pose_body
from dsr_jax.body.model import BodyMesh, BodyParams
from dsr_jax.errors import UserError


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
    # As SPIN has it: base joints 0-23, 24-34 surface, 45-53 extra regressor
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
