"""3DPW's raw sequences against a recomputation photo by photo, and what is refused."""

import os
import pickle

import cv2
import numpy as np
import pytest

from dsr_jax.data.readers import open_people
from dsr_jax.errors import UserError
from tests.data.miniatures.python2_pickle import python2_pickle
from tests.data.miniatures.threedpw import Sequence, sequence_content, write_3dpw

NAME = "courtyard_small_00"
# Row of the 24 joints ← column of `poses2d`, as EFT's preprocessing has them.
GT24 = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 19, 20, 21, 22, 23]
FROM18 = [10, 9, 8, 11, 12, 13, 4, 3, 2, 5, 6, 7, 0, 15, 14, 17, 16]
# OpenPose's 25 ← its 18: BODY_25 has the mid hip as its ninth.
OPENPOSE25 = [0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18]


@pytest.fixture
def generator():
    return np.random.default_rng(3)


def _expected(content, person, frame):
    """Box, keypoints and pose as SPIN's preprocessing computes them, in float64."""
    points = content["poses2d"][person][frame].T
    seen = points[points[:, 2] > 0]
    low, high = seen[:, :2].min(0), seen[:, :2].max(0)
    pose = content["poses"][person][frame].copy()
    extrinsics = content["cam_poses"][frame][:3, :3]
    turned = extrinsics @ cv2.Rodrigues(pose[:3])[0]
    pose[:3] = cv2.Rodrigues(turned)[0].ravel()
    keypoints = np.zeros((49, 3))
    keypoints[OPENPOSE25] = points
    truth = np.zeros((24, 3))
    truth[GT24] = points[FROM18]
    truth[GT24, 2] = truth[GT24, 2] > 0.3
    keypoints[25:] = truth
    return (low + high) / 2, 1.2 * (high - low).max(), keypoints, pose.reshape(24, 3)


@pytest.mark.parametrize("betas", [10, 300])
def test_every_value_is_recomputed(tmp_path, generator, betas):
    sequence = Sequence(people=2, betas=betas, invalid=((1, 2),))
    content = write_3dpw(tmp_path, [sequence], generator)[NAME]
    source = open_people("3dpw", tmp_path, "test")
    assert len(source) == 8 and source.skipped == ()
    for index in range(8):
        number, frame = divmod(index, 4)
        person = source.person(index)
        center, side, keypoints, pose = _expected(content, number, frame)
        # The reader keeps float32; pixels here are below 64, angles below 2 pi.
        np.testing.assert_allclose(person.box_center_px, center, atol=1e-4)
        assert person.box_side_px == pytest.approx(side, abs=1e-4)
        np.testing.assert_allclose(person.keypoints_px, keypoints, atol=1e-5)
        np.testing.assert_allclose(person.pose, pose, atol=1e-5)
        np.testing.assert_allclose(
            person.betas, content["betas"][number][:10], atol=1e-6
        )
        assert person.has_body and person.gender == "mf"[number]
        assert person.valid == ((number, frame) != (1, 2))
        photo = f"imageFiles/{NAME}/image_{frame:05d}.jpg"
        assert person.image_name == photo
        assert person.name == photo + ("#2" if number else "")
        assert source.person_name(index) == person.name
        assert (person.sequence, person.frame) == (NAME, frame)
        assert person.subject == f"{NAME}_{number}"
        assert not person.joints.any()
        assert source.image(index).data == (tmp_path / photo).read_bytes()
        other = _expected(content, 1 - number, frame)[2]
        np.testing.assert_allclose(source.others(index), other[None], atol=1e-5)


def test_it_travels_to_other_processes(tmp_path, generator):
    write_3dpw(tmp_path, [Sequence(people=2)], generator)
    source = open_people("3dpw", tmp_path, "test")
    copy = pickle.loads(pickle.dumps(source))
    assert [copy.person(i).name for i in range(8)] == [
        source.person(i).name for i in range(8)
    ]
    np.testing.assert_array_equal(copy.others(3), source.others(3))


def test_splits_and_sequences_stand_in_order(tmp_path, generator):
    sequences = [
        Sequence("b_01", frames=2),
        Sequence("a_02", frames=1),
        Sequence("c_03", "train", frames=1),
    ]
    write_3dpw(tmp_path, sequences, generator)
    source = open_people("3dpw", tmp_path, "test")
    assert [source.person(i).sequence for i in range(3)] == ["a_02", "b_01", "b_01"]
    train = open_people("3dpw", tmp_path, "train", minimum_limbs=0)
    assert [train.person(i).sequence for i in range(len(train))] == ["c_03"]
    with pytest.raises(UserError, match=r"no split 'tset': did you mean 'test'"):
        open_people("3dpw", tmp_path, "tset")
    with pytest.raises(UserError, match=r"sequenceFiles/validation: no such folder"):
        open_people("3dpw", tmp_path, "validation")


def test_who_is_not_seen_is_left_out_and_counted(tmp_path, generator):
    write_3dpw(tmp_path, [Sequence(people=2, unseen=((1, 0), (1, 3)))], generator)
    source = open_people("3dpw", tmp_path, "test")
    assert len(source) == 6
    assert [(s.what, s.reason) for s in source.skipped] == [
        (f"imageFiles/{NAME}/image_{i:05d}.jpg#2", "no 2D joints, so no box")
        for i in (0, 3)
    ]
    # The second person keeps the name even where alone, and nobody else is there.
    assert source.person(4).name.endswith("image_00001.jpg#2")
    assert source.others(0).shape == (0, 49, 3)


def test_training_needs_seven_limb_joints(tmp_path, generator):
    content = write_3dpw(tmp_path, [Sequence(split="train", frames=40)], generator)
    limbs = [10, 9, 8, 11, 12, 13, 4, 3, 2, 5, 6, 7]
    confidence = content[NAME]["poses2d"][0][:, 2, limbs]
    enough = (confidence > 0.3).sum(1) > 6
    assert 0 < enough.sum() < 40
    source = open_people("3dpw", tmp_path, "train")
    assert [source.person(i).frame for i in range(len(source))] == list(
        np.flatnonzero(enough)
    )
    # Who is left out is still somebody else's neighbour.
    assert len(source.skipped) == 40 - enough.sum()


def test_label_maps_are_matched_by_name(tmp_path, generator):
    write_3dpw(tmp_path, [Sequence(frames=2)], generator)
    labels = tmp_path / "labels"
    labels.mkdir()
    with pytest.raises(UserError, match="has no label map for any photo"):
        open_people("3dpw", tmp_path, "test", labels=labels)
    path = labels / "imageFiles" / NAME / "image_00001.png"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"a map")
    source = open_people("3dpw", tmp_path, "test", labels=labels)
    assert source.label_map(0) is None
    assert source.label_map(1).data == b"a map"


def _write(tmp_path, change, generator):
    """One good sequence, and one with a change."""
    write_3dpw(tmp_path, [Sequence("good_00", frames=2)], generator)
    sequence = Sequence("wrong_00", frames=3)
    content = sequence_content(sequence, generator)
    write_3dpw(tmp_path, [sequence], generator)
    change(content)
    path = tmp_path / "sequenceFiles/test/wrong_00.pkl"
    path.write_bytes(python2_pickle(content))
    return path


def _set(key, value):
    def change(content):
        content[key] = value(content[key])

    return change


FILE_MISTAKES = {
    "missing key": (lambda c: c.pop("poses2d"), r"poses2d"),
    "shape": (
        _set("poses", lambda p: [p[0][:, :71]]),
        r"'poses' has the shape \(3, 71",
    ),
    "count": (_set("betas", lambda b: b * 2), "'betas' has 2 entries, not 1"),
    "short betas": (
        _set("betas", lambda b: [b[0][:9]]),
        "'betas' has fewer than 10 numbers",
    ),
    "no people": (_set("poses", lambda p: []), "'poses' is empty"),
    "frames": (_set("cam_poses", lambda c: c[:2]), r"'poses' has the shape \(3, 72\)"),
    "text": (_set("poses", lambda p: ["pose"]), "'poses' holds a str"),
    "none": (_set("poses2d", lambda p: None), "'poses2d' holds a NoneType"),
    "name": (_set("sequence", lambda s: 5), "'sequence' is no name"),
    "valid": (
        _set("campose_valid", lambda v: [np.full(3, np.nan)]),
        "'campose_valid' is not finite",
    ),
    "genders": (_set("genders", lambda g: [1]), "'genders' holds no letters"),
}


@pytest.mark.parametrize("case", FILE_MISTAKES)
def test_wrong_files_stop_or_are_counted(tmp_path, generator, case):
    change, message = FILE_MISTAKES[case]
    path = _write(tmp_path, change, generator)
    with pytest.raises(UserError, match=rf"wrong_00\.pkl: .*{message}"):
        open_people("3dpw", tmp_path, "test")
    source = open_people("3dpw", tmp_path, "test", broken="skip")
    assert [source.person(i).sequence for i in range(len(source))] == ["good_00"] * 2
    assert [s.what for s in source.skipped] == [str(path)]
    assert str(path) not in source.skipped[0].reason


def _nan(key):
    def change(content):
        content[key][0][1] = np.nan

    return change


def _reflected(content):
    content["cam_poses"][1, :3, 0] *= -1


def _huge(key):
    def change(content):
        content[key][0][1] = 1e300

    return change


ROW_MISTAKES = {
    "huge pose": (_huge("poses"), "its 'pose' is not finite"),
    "huge keypoints": (_huge("poses2d"), "its 'keypoints_px' is not finite"),
    "NaN pose": (_nan("poses"), "its 'pose' is not finite"),
    "NaN keypoint": (
        lambda c: (
            c["poses2d"][0].__setitem__((1, slice(2), 4), np.nan)
            or c["poses2d"][0].__setitem__((1, 2, 4), 0.9)
        ),
        "its 'keypoints_px' is not finite",
    ),
    "reflection": (_reflected, "its camera pose counts as valid and is no rotation"),
}


@pytest.mark.parametrize("case", ROW_MISTAKES)
def test_wrong_rows_stop_or_are_counted(tmp_path, generator, case):
    change, message = ROW_MISTAKES[case]
    _write(tmp_path, change, generator)
    row = "imageFiles/wrong_00/image_00001.jpg"
    with pytest.raises(UserError, match=rf"wrong_00\.pkl: {row}: {message}"):
        open_people("3dpw", tmp_path, "test")
    source = open_people("3dpw", tmp_path, "test", broken="skip")
    assert len(source) == 4
    assert [(s.what, s.reason) for s in source.skipped] == [(row, message)]
    assert all(np.isfinite(source.person(i).pose).all() for i in range(4))


def test_broken_keypoints_are_nobodys_neighbour(tmp_path, generator):
    sequence = Sequence(people=2)
    content = write_3dpw(tmp_path, [sequence], generator)[NAME]
    content["poses2d"][1][2, :, 5] = np.nan, 3, 0.9
    path = tmp_path / f"sequenceFiles/test/{NAME}.pkl"
    path.write_bytes(python2_pickle(content))
    source = open_people("3dpw", tmp_path, "test", broken="skip")
    assert len(source) == 7
    assert [len(source.others(frame)) for frame in range(4)] == [1, 1, 0, 1]


def test_infinite_betas_and_an_unknown_gender_break_the_whole_person(
    tmp_path, generator
):
    def change(content):
        content["betas"][0][4] = np.inf

    _write(tmp_path, change, generator)
    source = open_people("3dpw", tmp_path, "test", broken="skip")
    assert len(source) == 2 and len(source.skipped) == 3
    _write(tmp_path, _set("genders", lambda g: ["x"]), generator)
    with pytest.raises(UserError, match="its gender is not one of n, m, f"):
        open_people("3dpw", tmp_path, "test")


def test_an_invalid_camera_that_is_no_rotation_gives_no_body(tmp_path, generator):
    def change(content):
        content["cam_poses"][1] = np.nan
        content["campose_valid"][0][1] = 0

    _write(tmp_path, change, generator)
    person = open_people("3dpw", tmp_path, "test").person(3)
    assert (person.sequence, person.frame) == ("wrong_00", 1)
    assert not person.valid and not person.has_body and not person.pose.any()


def test_code_in_a_pickle_is_not_run(tmp_path, generator):
    write_3dpw(tmp_path, [Sequence("good_00", frames=2)], generator)
    trace = tmp_path / "trace"

    class Code:
        def __reduce__(self):
            return os.mkdir, (str(trace),)

    path = tmp_path / "sequenceFiles/test/wrong_00.pkl"
    path.write_bytes(pickle.dumps({"poses": Code()}, protocol=2))
    with pytest.raises(UserError, match=r"wrong_00\.pkl: refused, .*mkdir"):
        open_people("3dpw", tmp_path, "test")
    source = open_people("3dpw", tmp_path, "test", broken="skip")
    assert len(source) == 2 and "refused" in source.skipped[0].reason
    assert not trace.exists()


@pytest.mark.parametrize("kept", [0.0, 0.3, 0.9, 0.999])
def test_truncated_files_are_named(tmp_path, generator, kept):
    path = _write(tmp_path, lambda c: None, generator)
    data = path.read_bytes()
    path.write_bytes(data[: int(kept * len(data))])
    with pytest.raises(UserError, match=r"wrong_00\.pkl: not a readable pickle"):
        open_people("3dpw", tmp_path, "test")
    assert len(open_people("3dpw", tmp_path, "test", broken="skip")) == 2


def test_random_damage_never_ends_in_a_traceback(tmp_path, generator):
    path = _write(tmp_path, lambda c: None, generator)
    data = np.frombuffer(path.read_bytes(), np.uint8)
    for _ in range(100):
        damaged = data.copy()
        where = generator.integers(0, len(data), 8)
        damaged[where] = generator.integers(0, 256, 8)
        path.write_bytes(damaged.tobytes())
        source = open_people("3dpw", tmp_path, "test", broken="skip")
        # A person checks its own shapes and numbers; those of the whole file stay.
        people = [source.person(index) for index in range(len(source))]
        assert [p.sequence for p in people].count("good_00") == 2


def test_missing_photos_stop_or_are_counted(tmp_path, generator):
    write_3dpw(tmp_path, [Sequence(people=2)], generator)
    for frame in (1, 2):
        (tmp_path / f"imageFiles/{NAME}/image_{frame:05d}.jpg").unlink()
    with pytest.raises(UserError, match=r"image_00001\.jpg: its photo is missing"):
        open_people("3dpw", tmp_path, "test")
    source = open_people("3dpw", tmp_path, "test", broken="skip")
    assert len(source) == 4 and len(source.skipped) == 4
    write_3dpw(tmp_path / "bare", [Sequence(photos=False)], generator)
    with pytest.raises(UserError, match=r"nobody who can be used \(4 left out"):
        open_people("3dpw", tmp_path / "bare", "test", broken="skip")


def test_two_files_of_one_sequence_are_noticed(tmp_path, generator):
    write_3dpw(tmp_path, [Sequence(frames=2)], generator)
    folder = tmp_path / "sequenceFiles/test"
    (folder / "copy.pkl").write_bytes((folder / f"{NAME}.pkl").read_bytes())
    with pytest.raises(UserError, match="the same person is annotated twice"):
        open_people("3dpw", tmp_path, "test")
    source = open_people("3dpw", tmp_path, "test", broken="skip")
    assert len(source) == 2


def test_names_do_not_lead_out_of_the_folder(tmp_path, generator):
    _write(tmp_path, _set("sequence", lambda s: "../../secret"), generator)
    with pytest.raises(UserError, match="the photo's name leads out of its folder"):
        open_people("3dpw", tmp_path, "test")


def test_words_that_are_not_known_are_named(tmp_path, generator):
    write_3dpw(tmp_path, [Sequence()], generator)
    with pytest.raises(UserError, match="'3dwp' is unknown: did you mean '3dpw'"):
        open_people("3dwp", tmp_path, "test")
    with pytest.raises(UserError, match="no option 'minimum_limb': did you mean"):
        open_people("3dpw", tmp_path, "test", minimum_limb=3)
    with pytest.raises(UserError, match="broken 'skipp' is unknown"):
        open_people("3dpw", tmp_path, "test", broken="skipp")
