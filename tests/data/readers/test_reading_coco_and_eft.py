"""COCO's keypoints and EFT's fits, recomputed from the json; and what is refused."""

import dataclasses
import json
import pickle
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest

from dsr_jax.data.readers import open_people, skipped_lines
from dsr_jax.errors import UserError
from tests.data.miniatures.coco import (
    SPLIT,
    coco_annotation,
    eft_row,
    photo_file,
    write_coco,
    write_eft,
)
from tests.data.miniatures.photo import write_photo

# Row of the 24 joints of each of COCO's 17, as in SPIN's preprocessing.
GT24 = [19, 20, 21, 22, 23, 9, 8, 10, 7, 11, 6, 3, 2, 4, 1, 5, 0]


@pytest.fixture
def generator():
    return np.random.default_rng(5)


def _keypoints(annotation):
    values = np.reshape(annotation["keypoints"], (17, 3)).astype(float)
    keypoints = np.zeros((49, 3))
    for joint, (u, v, flag) in zip(GT24, values, strict=True):
        if flag > 0:
            keypoints[25 + joint] = u, v, 1
    return keypoints


def _coco(tmp_path, generator):
    """Two people on the first photo, a crowd, one with few joints on the second."""
    annotations = [
        coco_annotation(100, 9, generator),
        coco_annotation(101, 25, generator, limbs=11),
        coco_annotation(102, 9, generator, limbs=5),
        coco_annotation(103, 25, generator) | {"iscrowd": 1, "segmentation": {}},
        coco_annotation(104, 9, generator),
        coco_annotation(105, 25, generator, limbs=12),
    ]
    path = write_coco(tmp_path, annotations, [9, 25], generator)
    return path, annotations


def test_coco_is_recomputed(tmp_path, generator):
    _, annotations = _coco(tmp_path, generator)
    source = open_people("coco", tmp_path, SPLIT)
    first, second = (f"{SPLIT}/{photo_file(photo)}" for photo in (9, 25))
    # Numbers count everybody of the photo, so that settings change no names.
    names = [first, f"{first}#3", f"{second}#2"]
    for index, (name, row) in enumerate(zip(names, (0, 4, 5), strict=True)):
        person, annotation = source.person(index), annotations[row]
        assert person.name == name
        np.testing.assert_array_equal(person.keypoints_px, _keypoints(annotation))
        x, y, width, height = annotation["bbox"]
        # From the image's corner to pixel centres is half a pixel.
        np.testing.assert_allclose(
            person.box_center_px,
            [x + width / 2 - 0.5, y + height / 2 - 0.5],
            rtol=1e-6,
        )
        assert person.box_side_px == pytest.approx(1.2 * max(width, height))
        assert not person.has_body and person.valid and person.gender == "n"
        photo = tmp_path / person.image_name
        assert source.image(index).data == photo.read_bytes()
    assert skipped_lines(source.skipped) == [
        "2 left out: fewer than N limb joints are labelled",
        "1 left out: a crowd",
    ]
    # Who is left out is still there to be told apart; crowds are not.
    for index, rows in ((0, (2, 4)), (1, (0, 2)), (2, (1,))):
        others = [_keypoints(annotations[row]) for row in rows]
        np.testing.assert_array_equal(source.others(index), others)


def test_threads_and_processes_may_share_it(tmp_path, generator):
    _coco(tmp_path, generator)
    source = open_people("coco", tmp_path, SPLIT)
    with ThreadPoolExecutor(8) as pool:
        indices = list(range(len(source))) * 20
        people = list(pool.map(source.person, indices))
        others = list(pool.map(source.others, indices))
    copy = pickle.loads(pickle.dumps(source))
    assert copy.skipped == source.skipped
    for index, person, other in zip(indices, people, others, strict=True):
        same = copy.person(index)
        for field in dataclasses.fields(person):
            np.testing.assert_array_equal(
                getattr(person, field.name), getattr(same, field.name)
            )
        np.testing.assert_array_equal(other, copy.others(index))


def test_how_many_limbs_are_needed_is_a_choice(tmp_path, generator):
    path, _ = _coco(tmp_path, generator)
    source = open_people("coco", tmp_path, SPLIT, minimum_limbs=6)
    assert len(source) == 4
    source = open_people("coco", tmp_path, SPLIT, minimum_limbs=0, annotations=path)
    assert len(source) == 5


COCO_MISTAKES = {
    "keypoints short": ({"keypoints": [1, 2, 3]}, "'keypoints' has 3 numbers, not 51"),
    "keypoints text": ({"keypoints": ["a"] * 51}, "'keypoints' holds no numbers"),
    "keypoints null": ({"keypoints": None}, "'keypoints' (holds no numbers|has 1 num)"),
    "keypoints huge": ({"keypoints": [1e300] * 51}, "'keypoints_px' is not finite"),
    "box": ({"bbox": [1, 2, 3]}, "'bbox' has 3 numbers, not 4"),
    "box NaN": ({"bbox": [1, 2, float("nan"), 4]}, "'bbox' is not finite"),
    "box empty": ({"bbox": [1, 2, 0, 0]}, "its box has no size"),
    "box huge": ({"bbox": [1, 2, 1e300, 4]}, "its box"),
    "long number": ({"bbox": [1, 2, 10**400, 4]}, "'bbox' holds no numbers"),
    "photo": ({"image_id": 7}, "'image_id' is of no photo"),
    "photo list": ({"image_id": [9]}, "unhashable|'image_id'"),
    "id": ({"id": 100}, "'id' is missing, no number or not the only one"),
}


@pytest.mark.parametrize("case", COCO_MISTAKES)
def test_wrong_annotations_stop_or_are_counted(tmp_path, generator, case):
    change, message = COCO_MISTAKES[case]
    annotations = [
        coco_annotation(100, 9, generator),
        coco_annotation(101, 9, generator) | change,
    ]
    write_coco(tmp_path, annotations, [9], generator)
    with pytest.raises(
        UserError, match=rf"person_keypoints_train2014\.json: .*{message}"
    ):
        open_people("coco", tmp_path, SPLIT)
    source = open_people("coco", tmp_path, SPLIT, broken="skip")
    assert len(source) == 1 and len(source.skipped) == 1
    np.testing.assert_array_equal(
        source.person(0).keypoints_px, _keypoints(annotations[0])
    )
    source.others(0)


def _change_json(path, change):
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda c: c["annotations"][0].update(bbox=[5, 5, -50, 10]), "has no size"),
        (
            lambda c: c["images"].append({"id": 9, "file_name": "b.jpg"}),
            "another photo",
        ),
        (lambda c: c["images"][0].update(file_name="\0/a.jpg"), "no file's name"),
        (lambda c: c["images"][0].update(file_name="\ud800.jpg"), "no file's name"),
        (lambda c: c["images"][0].update(file_name="a\n.jpg"), "no file's name"),
    ],
)
def test_spoilt_boxes_and_photos_stop_or_are_counted(tmp_path, change, reason):
    rng = np.random.default_rng(5)
    annotations = [coco_annotation(100 + i, 9 + 16 * i, rng) for i in range(2)]
    path = write_coco(tmp_path, annotations, [9, 25], rng)
    _change_json(path, change)
    with pytest.raises(UserError, match=reason) as caught:
        open_people("coco", tmp_path, SPLIT)
    assert str(caught.value).isprintable()
    source = open_people("coco", tmp_path, SPLIT, broken="skip")
    assert len(source) == 1
    assert any(reason in skipped.reason for skipped in source.skipped)
    assert all(skipped.what.isprintable() for skipped in source.skipped)


def test_one_photo_may_be_listed_twice(tmp_path, generator):
    annotations = [coco_annotation(100, 9, generator)]
    path = write_coco(tmp_path, annotations, [9], generator)
    _change_json(path, lambda content: content["images"].append(content["images"][0]))
    assert len(open_people("coco", tmp_path, SPLIT)) == 1


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("coco", {"minimum_limbs": "abc"}),
        ("coco", {"minimum_limbs": float("nan")}),
        ("coco", {"minimum_limbs": -1}),
        ("coco", {"minimum_limbs": None}),
        ("coco", {"minimum_limbs": True}),
        ("coco", {"annotations": 5}),
        ("coco", {"annotations": "a\0"}),
        ("eft", {"annotations": ""}),
        ("eft", {"without_keypoints": "no"}),
        ("3dpw", {"minimum_limbs": 2.5}),
    ],
)
def test_options_of_a_wrong_type_are_one_line(tmp_path, kind, options):
    (name,) = options
    with pytest.raises(UserError, match=f"the option '{name}' cannot be") as caught:
        open_people(kind, tmp_path, SPLIT, **options)
    assert "\n" not in str(caught.value)


def test_annotations_that_are_no_objects_are_counted(tmp_path, generator):
    annotations = [coco_annotation(100, 9, generator), "text", None, 5, []]
    write_coco(tmp_path, annotations, [9], generator)
    source = open_people("coco", tmp_path, SPLIT, broken="skip")
    assert skipped_lines(source.skipped) == ["4 left out: it is no json object"]


JSON_MISTAKES = {
    "empty": (b"", "is not valid json"),
    "cut off": (b'{"images": [', "is not valid json"),
    "not utf-8": (b'{"images": ["\xff\xfe\x80"]}', "is not valid json"),
    "list": (b"[]", "holds no json object"),
    "other": (b'{"images": []}', "lacks the list 'annotations'"),
    "deep": (b'{"images":' + b"[" * 200_000, "is not valid json"),
    "nobody": (b'{"images": [], "annotations": []}', "holds nobody who can be used"),
}


@pytest.mark.parametrize("case", JSON_MISTAKES)
def test_wrong_json_is_one_line(tmp_path, generator, case):
    content, message = JSON_MISTAKES[case]
    path = write_coco(tmp_path, [], [9], generator)
    path.write_bytes(content)
    with pytest.raises(UserError, match=message):
        open_people("coco", tmp_path, SPLIT, broken="skip")
    with pytest.raises(UserError, match="cannot read this file of COCO"):
        open_people("coco", tmp_path, "val2014")


def test_eft_with_its_own_keypoints_is_recomputed(tmp_path, generator):
    rows = [eft_row(photo, generator, keypoints=True) for photo in (9, 9, 25)]
    for photo in (9, 25):
        write_photo(tmp_path / photo_file(photo), generator)
    path = write_eft(tmp_path / "fits.json", rows)
    source = open_people("eft", tmp_path, "", annotations=path)
    assert [source.person(i).name for i in range(3)] == [
        photo_file(9),
        f"{photo_file(9)}#2",
        photo_file(25),
    ]
    for index, row in enumerate(rows):
        person = source.person(index)
        np.testing.assert_allclose(person.box_center_px, row["bbox_center"], rtol=1e-6)
        assert person.box_side_px == pytest.approx(200 * row["bbox_scale"])
        np.testing.assert_allclose(person.betas, row["parm_shape"], rtol=1e-6)
        for axis_angle, matrix in zip(person.pose, row["parm_pose"], strict=True):
            # Written from float32, kept as float32: 1e-6 near half a turn.
            np.testing.assert_allclose(
                cv2.Rodrigues(axis_angle.astype(float))[0], matrix, atol=2e-6
            )
        keypoints = np.array(row["gt_keypoint_2d"])
        keypoints[:, 2] = np.clip(keypoints[:, 2], 0, 1)
        np.testing.assert_allclose(person.keypoints_px, keypoints, rtol=1e-6)
        assert person.has_body and person.gender == "n"
        assert person.subject == row["subjectId"]
    np.testing.assert_array_equal(source.others(0)[0], source.person(1).keypoints_px)


def test_eft_joins_the_keypoints_of_coco(tmp_path, generator):
    coco, annotations = _coco(tmp_path, generator)
    rows = [eft_row(9, generator, 104), eft_row(25, generator, 101)]
    path = write_eft(tmp_path / "fits.json", rows)
    with pytest.raises(UserError, match=r"row 0 .*000009\.jpg\).*give 'coco'"):
        open_people("eft", tmp_path, SPLIT, annotations=path)
    source = open_people("eft", tmp_path, SPLIT, annotations=path, coco=coco)
    for index, row in enumerate((4, 1)):
        person = source.person(index)
        np.testing.assert_array_equal(person.keypoints_px, _keypoints(annotations[row]))
        assert person.image_name.startswith(f"{SPLIT}/COCO_")
    np.testing.assert_array_equal(
        source.others(0), [_keypoints(annotations[row]) for row in (0, 2)]
    )
    bare = open_people("eft", tmp_path, SPLIT, annotations=path, without_keypoints=True)
    assert len(bare) == 2 and not bare.person(0).keypoints_px.any()


def _scaled(row):
    return {"parm_pose": (1.1 * np.array(row["parm_pose"])).tolist()}


def _mirrored(row):
    return {"parm_pose": (np.array(row["parm_pose"]) * [1, 1, -1]).tolist()}


EFT_MISTAKES = {
    "scaled": (_scaled, "matrices that are no rotations"),
    "mirrored": (_mirrored, "matrices that are no rotations"),
    "NaN": (
        lambda r: {"parm_shape": [float("nan")] * 10},
        "'parm_shape' is not finite",
    ),
    "short": (lambda r: {"parm_pose": r["parm_pose"][1:]}, "'parm_pose' has 207"),
    "ragged": (lambda r: {"parm_pose": [[1], [1, 2]]}, "'parm_pose' holds no numbers"),
    "scale": (lambda r: {"bbox_scale": -0.5}, "its box has no size"),
    "photo": (lambda r: {"imageName": 3}, "it names no photo"),
    "path": (lambda r: {"imageName": "/etc/passwd"}, "leads out of its folder"),
    "missing": (lambda r: {"imageName": "no.jpg"}, "its photo is missing"),
    "twice": (lambda r: {"annotId": 5}, "its annotId 5 is that of row 0, too"),
    "keypoints": (
        lambda r: {"gt_keypoint_2d": [1.0]},
        "'gt_keypoint_2d' has 1 numbers",
    ),
}


@pytest.mark.parametrize("case", EFT_MISTAKES)
def test_wrong_rows_of_eft_stop_or_are_counted(tmp_path, generator, case):
    change, message = EFT_MISTAKES[case]
    write_photo(tmp_path / photo_file(9), generator)
    rows = [eft_row(9, generator, 5, keypoints=True)]
    rows.append(rows[0] | {"annotId": 6} | change(rows[0]))
    path = write_eft(tmp_path / "fits.json", rows)
    with pytest.raises(UserError, match=message):
        open_people("eft", tmp_path, "", annotations=path)
    source = open_people("eft", tmp_path, "", annotations=path, broken="skip")
    assert len(source) == 1 and len(source.skipped) == 1


def test_bodies_of_another_model_are_left_out(tmp_path, generator):
    write_photo(tmp_path / photo_file(9), generator)
    rows = [eft_row(9, generator, keypoints=True) for _ in range(2)]
    rows[0]["smpltype"] = "smplx"
    path = write_eft(tmp_path / "fits.json", rows)
    source = open_people("eft", tmp_path, "", annotations=path)
    assert len(source) == 1
    assert skipped_lines(source.skipped) == ["1 left out: a body of smplx"]
    path.write_text(json.dumps({"ver": 1, "data": []}))
    with pytest.raises(UserError, match="holds nobody who can be used"):
        open_people("eft", tmp_path, "", annotations=path)
    with pytest.raises(UserError, match="give 'annotations'"):
        open_people("eft", tmp_path, "")


def test_spin_is_one_of_the_kinds(tmp_path, generator):
    write_photo(tmp_path / "a.jpg", generator)
    np.savez(
        tmp_path / "a.npz", imgname=["a.jpg"], center=np.ones((1, 2)), scale=np.ones(1)
    )
    source = open_people("spin", tmp_path, annotations=tmp_path / "a.npz")
    assert source.person(0).box_side_px == 200
    with pytest.raises(UserError, match="spin has no split"):
        open_people("spin", tmp_path, "train", annotations=tmp_path / "a.npz")
    with pytest.raises(UserError, match="give 'annotations'"):
        open_people("spin", tmp_path)
    with pytest.raises(UserError, match="broken 'skip' is not known here"):
        open_people("spin", tmp_path, annotations=tmp_path / "a.npz", broken="skip")
