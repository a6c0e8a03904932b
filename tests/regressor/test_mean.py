import numpy as np
import pytest

from dsr_jax.body import mirror_pose
from dsr_jax.errors import UserError
from dsr_jax.regressor import default_mean_parameters, load_mean_parameters
from dsr_jax.rotations import matrix_to_axis_angle, rotation_6d_to_matrix


def test_default_body_stands_upright_and_faces_the_camera():
    mean = default_mean_parameters()
    rotations = np.asarray(rotation_6d_to_matrix(mean.rotation_6d))
    # Body up (y) is camera up (−y); body forwards (z) is towards the camera (−z).
    np.testing.assert_allclose(rotations[0] @ [0, 1, 0], [0, -1, 0], atol=1e-7)
    np.testing.assert_allclose(rotations[0] @ [0, 0, 1], [0, 0, -1], atol=1e-7)
    np.testing.assert_array_equal(mean.betas, np.zeros(10))
    assert mean.camera[0] > 0


def test_default_pose_is_symmetric_and_within_reach():
    pose = rotation_6d_to_matrix(default_mean_parameters().rotation_6d)
    np.testing.assert_allclose(mirror_pose(pose), pose, rtol=0, atol=1e-6)
    angles = np.linalg.norm(matrix_to_axis_angle(pose)[1:], axis=-1)
    # No joint of a person who stands at ease is turned further than a right angle.
    assert angles.max() < np.pi / 2


def _arrays():
    random = np.random.default_rng(0)
    return {
        "pose": random.normal(size=144),
        "shape": random.normal(size=10).astype(np.float32),
        "cam": random.normal(size=3),
    }


def test_reads_spins_file(tmp_path):
    path, arrays = tmp_path / "mean.npz", _arrays()
    np.savez(path, **arrays)
    mean = load_mean_parameters(path)
    np.testing.assert_allclose(
        mean.rotation_6d, arrays["pose"].reshape(24, 6), rtol=1e-6
    )
    np.testing.assert_allclose(mean.betas, arrays["shape"], rtol=1e-6)
    np.testing.assert_allclose(mean.camera, arrays["cam"], rtol=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cam": None}, "lacks the array 'cam'"),
        ({"pose": np.zeros(72)}, "expected 144 floats"),
        ({"shape": np.zeros(10, int)}, "expected 10 floats"),
        ({"shape": np.full(10, np.nan)}, "holds NaN"),
    ],
)
def test_refuses_other_contents_by_name(tmp_path, change, message):
    path = tmp_path / "mean.npz"
    arrays = {k: v for k, v in {**_arrays(), **change}.items() if v is not None}
    np.savez(path, **arrays)
    with pytest.raises(UserError, match=message):
        load_mean_parameters(path)


def test_refuses_what_is_no_npz(tmp_path):
    path = tmp_path / "mean.npz"
    with pytest.raises(UserError, match="no such file"):
        load_mean_parameters(path)
    path.write_bytes(b"PK\x03\x04 nothing else")
    with pytest.raises(UserError, match="not a readable npz"):
        load_mean_parameters(path)
    np.save(tmp_path / "mean.npy", np.zeros(3))
    with pytest.raises(UserError, match="not a readable npz"):
        load_mean_parameters(tmp_path / "mean.npy")
