"""MPI-INF-3DHP and Human3.6M, recomputed with SPIN's index lists; what is refused."""

import builtins
import sys

import cv2
import h5py
import numpy as np
import pytest
import scipy.io

from dsr_jax.data.readers import open_people
from dsr_jax.data.readers.frames import cut_video, videos_of
from dsr_jax.data.readers.raw_files import MissingPackageError
from dsr_jax.errors import UserError
from tests.data.miniatures import h36m, mpi_inf_3dhp

# SPIN's preprocessing: columns of the 17 joints, and their rows among the 24.
GLOBAL = [14, 3, 4, 5, 2, 1, 0, 16, 12, 17, 18, 9, 10, 11, 8, 7, 6]
H36M = [11, 6, 7, 8, 1, 2, 3, 12, 24, 14, 15, 17, 18, 19, 25, 26, 27]
MPI_TRAIN = [4, 18, 19, 20, 23, 24, 25, 3, 5, 6, 7, 9, 10, 11, 14, 15, 16]
MPI_TEST = [14, 11, 12, 13, 8, 9, 10, 15, 1, 16, 0, 5, 6, 7, 2, 3, 4]


@pytest.fixture
def generator():
    return np.random.default_rng(7)


def _joints24(millimetres, columns):
    used = millimetres[columns] / 1000
    joints = np.zeros((24, 4))
    joints[GLOBAL, :3], joints[GLOBAL, 3] = used - used[0], 1
    return joints


def _keypoints49(pixels, columns):
    keypoints = np.zeros((49, 3))
    keypoints[25 + np.array(GLOBAL), :2] = pixels[columns]
    keypoints[25 + np.array(GLOBAL), 2] = 1
    return keypoints


def _check(person, pixels, millimetres, columns):
    # float32 of pixels below 2048 and of metres below 10.
    keypoints = _keypoints49(pixels, columns)
    np.testing.assert_allclose(person.keypoints_px, keypoints, atol=2e-4)
    joints = _joints24(millimetres, columns)
    np.testing.assert_allclose(person.joints, joints, atol=2e-6)
    assert not person.has_body


def _check_box(person, pixels):
    low, high = pixels.min(0), pixels.max(0)
    np.testing.assert_allclose(person.box_center_px, (low + high) / 2, atol=2e-4)
    assert person.box_side_px == pytest.approx(1.2 * (high - low).max(), abs=1e-3)


def test_mpi_training_is_recomputed(tmp_path, generator):
    content = mpi_inf_3dhp.write_training_recording(tmp_path, generator, 3, 2)
    source = open_people("mpi-inf-3dhp", tmp_path, "train", cameras=(0, 8))
    assert len(source) == 6 and source.skipped == ()
    for index in range(6):
        camera, frame = (0, 8)[index // 3], 10 * (index % 3)
        person = source.person(index)
        pixels = content["annot2"][camera][frame].reshape(28, 2)
        millimetres = content["annot3"][camera][frame].reshape(28, 3)
        _check(person, pixels, millimetres, MPI_TRAIN)
        _check_box(person, pixels[MPI_TRAIN])
        photo = f"S3/Seq2/imageFrames/video_{camera}/frame_{frame + 1:06d}.jpg"
        assert person.name == person.image_name == photo
        assert source.image(index).data == (tmp_path / photo).read_bytes()
        assert (person.subject, person.sequence) == ("S3", "S3/Seq2")
        assert (person.camera, person.frame) == (str(camera), frame)


def test_mpi_test_is_recomputed(tmp_path, generator):
    valid = np.array([1.0, 0, 1, 1])
    content = mpi_inf_3dhp.write_test_recording(tmp_path, generator, 5, valid=valid)
    source = open_people("mpi-inf-3dhp", tmp_path, "test")
    for frame in range(4):
        person = source.person(frame)
        pixels = content["annot2"][frame, 0]
        _check(person, pixels, content["univ_annot3"][frame, 0], MPI_TEST)
        _check_box(person, pixels[MPI_TEST])
        assert person.valid == bool(valid[frame])
        name = f"mpi_inf_3dhp_test_set/TS5/imageSequence/img_{frame + 1:06d}.jpg"
        assert person.image_name == name
        assert (person.subject, person.frame) == ("TS5", frame)
    every_other = open_people("mpi-inf-3dhp", tmp_path, "test", step=2)
    assert [every_other.person(i).frame for i in range(2)] == [0, 2]


@pytest.mark.parametrize("split", ["train", "test"])
def test_mpi_leaves_out_whose_joints_lie_outside(tmp_path, generator, split):
    if split == "test":
        write, path, size = mpi_inf_3dhp.write_test_recording, None, (40, 60)
        write(tmp_path, generator, size=size)
        path = tmp_path / "mpi_inf_3dhp_test_set/TS1/annot_data.mat"
        with h5py.File(path, "r+") as file:
            file["annot2"][1, 0, 3] = 60, 10  # u reaches the width
            file["annot2"][2, 0, 3] = 59.9, 39.9
        kept, options = [0, 2, 3], {}
    else:
        content = mpi_inf_3dhp.write_training_recording(tmp_path, generator)
        content["annot2"][0][10, 2 * 18] = -0.1  # the left hip's u
        content["annot2"][0][20, 2 * 0] = -5  # spine3 is not used
        path = tmp_path / "S1/Seq1/annot.mat"
        cells = scipy.io.loadmat(path)
        cells["annot2"][0, 0] = content["annot2"][0]
        scipy.io.savemat(path, {k: v for k, v in cells.items() if k[0] != "_"})
        kept, options = [0, 20], {"cameras": (0,)}
    source = open_people("mpi-inf-3dhp", tmp_path, split, **options)
    assert [source.person(i).frame for i in range(len(source))] == kept
    assert [s.reason for s in source.skipped] == ["a joint lies outside the photo"]


def test_mpi_mistakes_are_named(tmp_path, generator):
    with pytest.raises(UserError, match=r"holds no S\[1-8\]/Seq\[12\]/annot.mat"):
        open_people("mpi-inf-3dhp", tmp_path, "train")
    mpi_inf_3dhp.write_training_recording(tmp_path, generator)
    path = tmp_path / "S1/Seq1/annot.mat"
    with pytest.raises(UserError, match=r"frame_000001\.jpg: its photo is missing"):
        open_people("mpi-inf-3dhp", tmp_path, "train")
    source = open_people("mpi-inf-3dhp", tmp_path, "train", broken="skip")
    assert len(source) == 6 and len(source.skipped) == 18
    with pytest.raises(UserError, match="has no camera 14"):
        open_people("mpi-inf-3dhp", tmp_path, "train", cameras=(14,))
    with pytest.raises(UserError, match="'step' is 0"):
        open_people("mpi-inf-3dhp", tmp_path, "train", step=0)
    good = path.read_bytes()
    for data in (b"", good[: len(good) // 2], b"MATLAB 5.0 MAT-file" + bytes(500)):
        path.write_bytes(data)
        with pytest.raises(UserError, match=r"annot\.mat: (not a read|lacks 'annot2')"):
            open_people("mpi-inf-3dhp", tmp_path, "train")
    for key, value, message in (
        ("annot3", np.zeros(4), "'annot3' is no cell array"),
        ("annot3", "few", r"'annot3' of camera 0 has the shape \(21, 83\)"),
        ("annot2", None, "lacks 'annot2'"),
    ):
        path.write_bytes(good)
        cells = {k: v for k, v in scipy.io.loadmat(path).items() if k[0] != "_"}
        if isinstance(value, str):
            cells[key][0, 0] = cells[key][0, 0][:, :83]
        else:
            cells[key] = value
        scipy.io.savemat(path, {k: v for k, v in cells.items() if v is not None})
        with pytest.raises(UserError, match=message):
            open_people("mpi-inf-3dhp", tmp_path, "train", cameras=(0,))


def test_mpi_test_mistakes_are_named(tmp_path, generator):
    for subject in (1, 2, 3, 4):
        mpi_inf_3dhp.write_test_recording(tmp_path, generator, subject)
    folder = tmp_path / "mpi_inf_3dhp_test_set"
    with h5py.File(folder / "TS1/annot_data.mat", "r+") as file:
        file["univ_annot3"][2] = np.nan
    with h5py.File(folder / "TS2/annot_data.mat", "r+") as file:
        del file["valid_frame"]
    data = (folder / "TS3/annot_data.mat").read_bytes()
    (folder / "TS3/annot_data.mat").write_bytes(data[: len(data) // 2])
    with pytest.raises(UserError, match=r"img_000003\.jpg: its 'joints' is not finite"):
        open_people("mpi-inf-3dhp", tmp_path, "test")
    source = open_people("mpi-inf-3dhp", tmp_path, "test", broken="skip")
    assert len(source) == 3 + 4
    assert [s.what.rpartition("/")[2] for s in source.skipped] == [
        "img_000003.jpg",
        "annot_data.mat",
        "annot_data.mat",
    ]
    # The first photo that can be read tells the size.
    first = folder / "TS4/imageSequence/img_000001.jpg"
    first.write_bytes(first.read_bytes()[:100])
    source = open_people("mpi-inf-3dhp", tmp_path, "test", broken="skip")
    assert len(source) == 3 + 4
    for photo in (folder / "TS4/imageSequence").iterdir():
        photo.unlink()
    source = open_people("mpi-inf-3dhp", tmp_path, "test", broken="skip")
    assert len(source) == 3 and "nor can any later photo" in source.skipped[-1].reason


def _mask_box(mask):
    v, u = np.nonzero(mask)
    side = max(u.max() - u.min(), v.max() - v.min()) + 1
    return [(u.min() + u.max()) / 2, (v.min() + v.max()) / 2], 0.9 * side


def test_h36m_is_recomputed(tmp_path, generator):
    content = h36m.write_recording(tmp_path, generator)
    h36m.write_recording(tmp_path, generator, "S11", "WalkTogether", "60457274", 1)
    source = open_people("h36m", tmp_path, "p1")
    assert len(source) == 4 and source.skipped == ()
    for index, frame in enumerate((0, 5, 10)):
        person = source.person(index)
        millimetres = content["positions"][frame].astype(np.float32).astype(float)
        _check(person, content["pixels"][frame], millimetres, H36M)
        center, side = _mask_box(content["masks"][frame])
        np.testing.assert_allclose(person.box_center_px, center)
        assert person.box_side_px == pytest.approx(side)
        name = f"images/S9_Directions_1.54138969_{frame + 1:06d}.jpg"
        assert person.name == person.image_name == name
        assert source.image(index).data == (tmp_path / name).read_bytes()
        assert (person.subject, person.action) == ("S9", "Directions")
        assert (person.sequence, person.camera) == ("S9_Directions_1", "54138969")
        assert person.frame == frame
    frontal = open_people("h36m", tmp_path, "p2")
    assert [frontal.person(i).subject for i in range(len(frontal))] == ["S11"]
    assert frontal.person(0).action == "WalkTogether"


def test_h36m_without_2d_joints_and_with_the_file_of_all(tmp_path, generator):
    h36m.write_recording(tmp_path, generator)
    folder = tmp_path / "S9/MyPoseFeatures"
    (folder / "D3_Positions_mono/_ALL.54138969.cdf").write_bytes(b"not read")
    for path in (folder / "D2_Positions").iterdir():
        path.unlink()
    (folder / "D2_Positions").rmdir()
    source = open_people("h36m", tmp_path, "p1", subjects=["S9"])
    assert not source.person(0).keypoints_px.any() and source.person(0).joints.any()
    with pytest.raises(UserError, match=r"S11/MyPoseFeatures.* holds no \.cdf"):
        open_people("h36m", tmp_path, "p1")
    with pytest.raises(UserError, match="has no split 'p3'"):
        open_people("h36m", tmp_path, "p3")


def test_h36m_mistakes_are_named(tmp_path, generator):
    def recording(action, **changes):
        return h36m.write_recording(tmp_path, generator, action=action, **changes)

    folder, name = tmp_path / "S9", "{}.54138969.{}"
    positions = folder / "MyPoseFeatures/D3_Positions_mono"
    masks = folder / "MySegmentsMat/ground_truth_bb"
    recording("Eating")
    h36m.write_cdf(positions / name.format("Eating", "cdf"), np.zeros((11, 31, 3)))
    recording("Greeting")
    data = (positions / name.format("Greeting", "cdf")).read_bytes()
    (positions / name.format("Greeting", "cdf")).write_bytes(data[:200])
    content = recording("Phoning")
    content["masks"][5][:] = 0
    h36m.write_masks(masks / name.format("Phoning", "mat"), content["masks"][:9])
    recording("Posing")
    (masks / name.format("Posing", "mat")).unlink()
    recording("Sitting")
    pixels = folder / "MyPoseFeatures/D2_Positions"
    h36m.write_cdf(pixels / name.format("Sitting", "cdf"), np.zeros((10, 32, 2)))
    (positions / "Odd.cdf").write_bytes(b"")
    with pytest.raises(UserError, match=r"Eating\.54138969\.cdf: 'Pose' has the shape"):
        open_people("h36m", tmp_path, "p1", subjects=["S9"])
    source = open_people("h36m", tmp_path, "p1", subjects=["S9"], broken="skip")
    assert [source.person(i).frame for i in range(len(source))] == [0]
    found = [(s.what.rpartition("/")[2], s.reason) for s in source.skipped]
    for (what, reason), (wanted, word) in zip(
        found,
        (
            ("Eating.54138969.cdf", "'Pose' has the shape"),
            ("Greeting.54138969.cdf", "not a readable CDF file"),
            ("Odd.cdf", "not named like"),
            ("S9_Phoning.54138969_000006.jpg", "its mask is missing or empty"),
            ("S9_Phoning.54138969_000011.jpg", "its mask is missing or empty"),
            ("Posing.54138969.cdf", r"no such file"),
            ("Sitting.54138969.cdf", "has 10 frames"),
        ),
        strict=True,
    ):
        assert what == wanted and word in reason


def test_a_missing_package_is_one_line(tmp_path, generator, monkeypatch):
    mpi_inf_3dhp.write_test_recording(tmp_path, generator)
    h36m.write_recording(tmp_path, generator)
    real = builtins.__import__

    def without(name, *arguments, **named):
        if name.partition(".")[0] in ("h5py", "cdflib"):
            raise ImportError(name)
        return real(name, *arguments, **named)

    for name in [n for n in sys.modules if n.partition(".")[0] in ("h5py", "cdflib")]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(
        UserError, match=r"needs the package h5py: pip install -e '\.\[raw"
    ):
        open_people("mpi-inf-3dhp", tmp_path, "test")
    # A package that is missing is no broken file: it stops with "skip", too.
    with pytest.raises(MissingPackageError, match="needs the package cdflib"):
        open_people("h36m", tmp_path, "p1", subjects=["S9"], broken="skip")


def _write_video(path, frames, fourcc):
    """Frame k is of brightness 20 k."""
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*fourcc), 50, (64, 48))
    assert writer.isOpened()
    for frame in range(frames):
        writer.write(np.full((48, 64, 3), 20 * frame, np.uint8))
    writer.release()


@pytest.mark.parametrize("kind", ["h36m", "mpi-inf-3dhp"])
def test_videos_become_the_photos_that_are_read(tmp_path, generator, kind):
    if kind == "h36m":
        h36m.write_recording(tmp_path, generator)
        folder, pattern = "images", "S9_Directions_1.54138969_{:06d}.jpg"
        path = tmp_path / "S9/Videos/Directions 1.54138969.mp4"
        _write_video(path.with_name("_ALL.54138969.mp4"), 1, "mp4v")
        options = {"split": "p1", "subjects": ["S9"]}
    else:
        mpi_inf_3dhp.write_training_recording(tmp_path, generator, frames=11)
        folder, pattern = "S1/Seq1/imageFrames/video_0", "frame_{:06d}.jpg"
        path = tmp_path / "S1/Seq1/imageSequence/video_0.avi"
        _write_video(path.with_name("video_3.avi"), 1, "MJPG")
        options = {"split": "train", "cameras": (0,)}
    for photo in (tmp_path / folder).iterdir():
        photo.unlink()
    _write_video(path, 11, "MJPG" if kind == "mpi-inf-3dhp" else "mp4v")
    videos, step = videos_of(kind, tmp_path)
    assert [video.path for video in videos] == [path]
    assert cut_video(videos[0], step) == 11
    source = open_people(kind, tmp_path, **options)
    for index in range(len(source)):
        frame = source.person(index).frame
        photo = tmp_path / folder / pattern.format(frame + 1)
        # Video and JPEG change a grey by a few steps; the next frame is 20 away.
        assert abs(cv2.imread(str(photo)).mean() - 20 * frame) < 6
    assert len(list((tmp_path / folder).iterdir())) == len(source)
    photo.write_bytes(b"kept")
    cut_video(videos[0], step)
    assert photo.read_bytes() == b"kept"


def test_videos_that_cannot_be_read_are_named(tmp_path):
    with pytest.raises(UserError, match="holds no video of h36m"):
        videos_of("h36m", tmp_path)
    with pytest.raises(UserError, match="no videos are known of 'coco'"):
        videos_of("coco", tmp_path)
    path = tmp_path / "S9/Videos/Directions.54138969.mp4"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"no video")
    videos, step = videos_of("h36m", tmp_path)
    with pytest.raises(UserError, match="not a video that can be read"):
        cut_video(videos[0], step)
