"""Label maps that are broken or refused: one line, or skipped and counted."""

import concurrent.futures
import dataclasses

import cv2
import jax
import numpy as np
import pytest

from dsr_jax.data import (
    Batch,
    FolderDataset,
    FolderSettings,
    LabelFileSettings,
    Trouble,
    label_files,
    read_spin_npz,
    write_people,
    write_spin_npz,
)
from dsr_jax.data.trouble import REFUSED_LABEL_MAP
from dsr_jax.errors import UserError
from dsr_jax.semantics import ATR, CIHP, VOID, CleaningSettings, clean_labels
from tests.semantics.stick_people import SIDE, stick_person

SKIP = LabelFileSettings(broken="skip")
BROKEN = {
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:-30]),
    "empty": lambda path: path.write_bytes(b""),
    "not 8-bit": lambda path: cv2.imwrite(str(path), np.zeros((9, 9), np.uint16)),
    "wrong size": lambda path: cv2.imwrite(str(path), np.zeros((9, 9), np.uint8)),
    "unknown labels": lambda path: cv2.imwrite(str(path), np.full((9, 9), 77, "uint8")),
    "unknown colours": lambda path: cv2.imwrite(
        str(path), np.random.default_rng(0).integers(0, 255, (9, 9, 3))
    ),
    "not a PNG": lambda path: path.write_text("a label map"),
    "silhouette": lambda path: cv2.imwrite(
        str(path), np.where(np.eye(SIDE), 255, 0).astype(np.uint8)
    ),
}


def people(count):
    generator = np.random.default_rng(0)
    made = [stick_person(generator) for _ in range(count)]
    keypoints = np.zeros((count, 49, 3), np.float32)
    for row, (_, pixels) in enumerate(made):
        ndc = (2 * pixels[:, :2] + 1 - SIDE) / SIDE * np.array([1, -1])
        keypoints[row, :25] = np.where(
            pixels[:, 2:] > 0, np.concatenate([ndc, pixels[:, 2:]], 1), 0
        )
    return Batch(
        image=np.zeros((count, SIDE, SIDE, 3), np.uint8),
        labels=np.stack([labels for labels, _ in made]),
        has_labels=np.ones(count, np.float32),
        keypoints_ndc=keypoints,
        joints=np.zeros((count, 24, 4), np.float32),
        pose=np.tile(np.eye(3, dtype=np.float32), (count, 24, 1, 1)),
        betas=np.zeros((count, 10), np.float32),
        has_body=np.ones(count, np.float32),
        camera=np.zeros((count, 3), np.float32),
    )


def dataset(folder, **changes):
    settings = FolderSettings(
        annotations=str(folder / "annotations.npz"),
        images=str(folder / "images"),
        labels=str(folder / "labels"),
        resolution=64,
    )
    return FolderDataset(dataclasses.replace(settings, **changes))


@pytest.fixture
def folder(tmp_path):
    write_people(tmp_path, [people(3)])
    return tmp_path


@pytest.mark.parametrize("reason", BROKEN)
def test_a_broken_map_stops_with_one_line_or_is_counted(folder, capsys, reason):
    path = folder / "labels" / "000001.png"
    BROKEN[reason](path)
    with pytest.raises(UserError, match=r"000001\.png: .*label map") as caught:
        dataset(folder).example(1)
    assert "\n" not in str(caught.value)
    lenient = dataset(folder, label_files=SKIP)
    for _ in range(2):
        example = lenient.example(1)
        assert example.has_labels == 0 and not example.labels.any()
        assert example.keypoints_ndc.any() and example.has_body == 1
    assert lenient.example(0).has_labels == 1
    assert lenient.tally.lines() == [f"1 label map(s) broken: {reason}"]
    assert lenient.tally.counts()["data/broken_label_maps"] == 1
    errors = capsys.readouterr().err.splitlines()
    assert errors == [f"warning: skipped: {caught.value}"]


def test_a_broken_photo_is_skipped_only_if_asked(folder, capsys):
    (folder / "images" / "000001.png").write_bytes(b"")
    lenient = dataset(folder, broken_photos="skip")
    nothing = lenient.example(1)
    for value in jax.tree.leaves(nothing):
        assert not np.any(value)
    fine = lenient.example(0)
    for one, other in zip(jax.tree.leaves(nothing), jax.tree.leaves(fine), strict=True):
        assert one.shape == other.shape and one.dtype == other.dtype
    assert lenient.tally.counts()["data/broken_photos"] == 1
    assert lenient.tally.lines() == ["1 photo(s) broken: no image"]
    (line,) = capsys.readouterr().err.splitlines()
    assert "000001.png: not an image" in line


def test_a_broken_photo_stops_whatever_label_maps_do(folder):
    (folder / "images" / "000001.png").write_bytes(b"")
    with pytest.raises(UserError, match="000001"):
        dataset(folder, label_files=SKIP).example(1)


def test_a_refused_map_trains_nothing_and_is_counted(tmp_path):
    batch = people(3)
    labels = batch.labels.copy()
    labels[1] = CIHP.flip[labels[1]]
    write_people(tmp_path, [dataclasses.replace(batch, labels=labels)])
    strict = dataset(tmp_path)
    kept = [float(strict.example(i).has_labels) for i in (0, 1, 1, 2)]
    assert kept == [1, 0, 0, 1]
    assert strict.tally.lines() == [
        "1 label map(s) refused: has left and right swapped"
    ]
    trusting = dataset(tmp_path, cleaning=CleaningSettings(refuse=False))
    assert trusting.example(1).has_labels == 1


def test_threads_count_every_file_once(folder, capsys):
    for path in (folder / "labels").iterdir():
        path.write_bytes(b"")
    lenient = dataset(folder, label_files=SKIP)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(lenient.example, [0, 1, 2] * 20))
    assert lenient.tally.counts() == {
        "data/broken_photos": 0.0,
        "data/broken_label_maps": 3.0,
        "data/refused_label_maps": 0.0,
    }
    assert len(capsys.readouterr().err.splitlines()) == 3


def test_numbers_do_not_split_a_reason(folder):
    tally = dataset(folder).tally
    for row, count in enumerate((3, 12)):
        reason = f"misses {count} of 40 keypoints"
        tally.add([Trouble(REFUSED_LABEL_MAP, f"person {row}", reason)])
    assert tally.lines() == ["2 label map(s) refused: misses N of N keypoints"]


def test_maps_of_another_taxonomy_become_cihp(folder):
    path = folder / "labels" / "000000.png"
    cihp = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    table = np.array([ATR.names.index(n) if n in ATR.names else 0 for n in CIHP.names])
    atr = table[cihp].astype(np.uint8)
    atr[0, 0] = VOID
    cv2.imwrite(str(path), atr)
    files = LabelFileSettings(taxonomy="atr")
    expected = dataset(folder).example(1)
    assert expected.has_labels == 1
    # Read as CIHP's, its numbers are other labels.
    example = dataset(folder, label_files=files).example(0)
    wanted = cv2.warpAffine(
        cihp,
        np.array([[3.5, 0, 1.25], [0, 3.5, 1.25]]),
        (64, 64),
        flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP,
    )
    assert np.mean(example.labels != wanted) < 0.005


def test_other_rows_of_a_photo_are_other_people(folder):
    """Two people in one photo: each row keeps its own."""
    batch = people(2)
    two = np.concatenate([batch.labels[0], batch.labels[1]], 1)
    two = np.pad(two, ((0, SIDE), (0, 0)))
    moved = batch.keypoints_ndc.copy() / 2
    moved[..., 2] *= 2
    for row, center in enumerate((-0.5, 0.5)):
        moved[row, :, :2] += np.array([center, 0.5]) * (moved[row, :, 2:] > 0)
    together = jax.tree.map(np.copy, batch)
    together = dataclasses.replace(
        together,
        labels=np.stack([two, two]),
        image=np.zeros((2, 2 * SIDE, 2 * SIDE, 3), np.uint8),
        keypoints_ndc=moved,
    )
    write_people(folder / "two", [together])
    alone = dataset(folder / "two")
    seen = [alone.example(row).labels for row in (0, 1)]
    for row, labels in enumerate(seen):
        half = labels[:, 32 * row : 32 * row + 32]
        assert np.count_nonzero(half) == np.count_nonzero(labels) > 100


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [("taxonomy", "cipd", "did you mean 'cihp'"), ("broken", "skpi", "'skip'")],
)
def test_impossible_settings_name_the_nearest(field, value, message):
    with pytest.raises(ValueError, match=message):
        LabelFileSettings(**{field: value})


def test_the_other_rows_of_a_photo_reach_the_cleaning(folder, monkeypatch):
    path = folder / "annotations.npz"
    rows = read_spin_npz(path)
    shared = np.array([rows.imgname[0], rows.imgname[1], rows.imgname[0]])
    write_spin_npz(path, dataclasses.replace(rows, imgname=shared))
    seen = []

    def spy(labels, keypoints_px, settings, person_px, others_px):
        seen.append(others_px)
        return clean_labels(labels, keypoints_px, settings, person_px, others_px)

    monkeypatch.setattr(label_files, "clean_labels", spy)
    whole = dataset(folder)
    for row in range(3):
        whole.example(row)
    assert [len(others) for others in seen] == [1, 0, 1]
    np.testing.assert_array_equal(seen[0][0, :25], rows.openpose[2])
