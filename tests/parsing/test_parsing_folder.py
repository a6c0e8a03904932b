"""Folders of photos: which, where the maps go, going on, and two processes."""

import json

import cv2
import numpy as np
import pytest

from dsr_jax.data import (
    FolderDataset,
    FolderSettings,
    SpinAnnotations,
    write_image,
    write_spin_npz,
)
from dsr_jax.errors import UserError
from dsr_jax.parsing import (
    Job,
    ParserSettings,
    WorkSettings,
    find_jobs,
    parse_folder,
    read_record,
)
from dsr_jax.semantics import ATR, VOID, CleaningSettings, label_lookup, read_label_map
from tests.parsing.models import ColourNet, painted, save_painter


class Stop(Exception):
    """What a check raises."""


NAMES = ["b.png", "deep/a.png", "deep/er/c.png"]


def _labels(seed, count=18):
    return np.random.default_rng(seed).integers(0, count, (12, 16))


@pytest.fixture
def folders(tmp_path):
    """Pictures of label maps, in nested folders, and a parser that reads them."""
    for seed, name in enumerate(NAMES):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_image(path, painted(_labels(seed)))
    save_painter(tmp_path / "atr.onnx", 18)
    return tmp_path


def _settings(folders, **changes):
    parser = changes.pop("parser", ParserSettings("atr"))
    given = {
        "model": str(folders / "atr.onnx"),
        "images": str(folders / "photos"),
        "output": str(folders / "labels"),
        "threads": 1,
    }
    return WorkSettings(parser=parser, **(given | changes))


def _run(folders, jobs=None, **changes):
    options = {
        k: changes.pop(k) for k in ("overwrite", "check", "skip_broken") if k in changes
    }
    jobs = jobs or find_jobs(folders / "photos")
    return parse_folder(jobs, _settings(folders, **changes), **options)


def _files(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_maps_lie_where_training_looks_and_training_reads_them(folders):
    tally = _run(folders)
    assert (tally.written, tally.present, tally.broken) == (3, 0, 0)
    for seed, name in enumerate(NAMES):
        path = (folders / "labels" / name).with_suffix(".png")
        found = read_label_map(path, (12, 16), void=True)
        np.testing.assert_array_equal(found, label_lookup(ATR)[_labels(seed)])
    _run(
        folders,
        parser=ParserSettings("atr", keep_taxonomy=True),
        output=str(folders / "own"),
    )
    kept = cv2.imread(str(folders / "own" / NAMES[1]), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(kept, _labels(1))


def test_a_data_set_with_people_is_parsed_by_its_boxes(folders):
    write_spin_npz(
        folders / "people.npz",
        SpinAnnotations(
            imgname=np.array([NAMES[1], NAMES[0], NAMES[1]]),
            center=np.array([[3.5, 3.5], [7.5, 5.5], [12.5, 8.5]], np.float32),
            scale=np.array([8, 16, 6], np.float32) / 200,
        ),
    )
    jobs = find_jobs(folders / "photos", annotations=folders / "people.npz")
    assert [(job.name, len(job.people)) for job in jobs] == [
        (NAMES[0], 1),
        (NAMES[1], 2),
    ]
    parser = ParserSettings("atr")
    _run(folders, jobs, parser=parser, growth=1.0)
    inside = np.zeros((12, 16), bool)
    inside[:8, :8] = inside[6:12, 10:16] = True
    found = read_label_map(folders / "labels" / NAMES[1], void=True)
    expected = np.where(inside, label_lookup(ATR)[_labels(1)], 0)
    np.testing.assert_array_equal(found, expected)


def test_training_reads_what_a_parser_of_cihp_writes(folders):
    save_painter(folders / "cihp.onnx", 20)
    parser, model = ParserSettings("cihp"), str(folders / "cihp.onnx")
    _run(folders, parser=parser, model=model)
    write_spin_npz(
        folders / "people.npz",
        SpinAnnotations(
            imgname=np.array([NAMES[1]]),
            center=np.array([[7.5, 5.5]], np.float32),
            scale=np.array([16 / 200], np.float32),
        ),
    )
    settings = FolderSettings(
        annotations=str(folders / "people.npz"),
        images=str(folders / "photos"),
        labels=str(folders / "labels"),
        resolution=16,
        cleaning=CleaningSettings(others="none", speck_px=0.0, refuse=False),
    )
    example = FolderDataset(settings).example(0)
    assert example.has_labels == 1
    np.testing.assert_array_equal(example.labels[2:14], _labels(1))


def test_a_second_run_does_what_is_missing_or_damaged(folders):
    _run(folders)
    whole = _files(folders / "labels")
    first, second = (folders / "labels" / name for name in NAMES[:2])
    first.unlink()
    second.write_bytes(second.read_bytes()[:-20])
    untouched = (folders / "labels" / NAMES[2]).stat().st_mtime_ns
    tally = _run(folders)
    assert (tally.written, tally.present) == (2, 1)
    assert (folders / "labels" / NAMES[2]).stat().st_mtime_ns == untouched
    again = _files(folders / "labels")
    assert {n: c for n, c in again.items() if n != "parsing.json"} == {
        n: c for n, c in whole.items() if n != "parsing.json"
    }
    assert _run(folders, overwrite=True).written == 3


def test_other_settings_or_another_model_need_another_folder(folders):
    _run(folders)
    with pytest.raises(UserError, match=r"another 'settings\.flip'.*--overwrite"):
        _run(folders, parser=ParserSettings("atr", flip=True))
    save_painter(folders / "atr.onnx", 18, strict=60)
    with pytest.raises(UserError, match=r"another 'model\.sha256'"):
        _run(folders)
    assert _run(folders, overwrite=True).written == 3
    assert _run(folders, threads=2).present == 3


def test_maps_of_other_programs_and_damaged_records_are_left_alone(folders):
    (folders / "labels").mkdir()
    write_image(folders / "labels" / "b.png", painted(_labels(0)))
    with pytest.raises(UserError, match="holds label maps but no"):
        _run(folders)
    (folders / "labels" / "parsing.json").write_text('{"version": 1')
    with pytest.raises(UserError, match="damaged"):
        _run(folders)


def test_overwriting_leaves_no_map_of_former_settings(folders):
    def check():
        raise Stop

    _run(folders)
    parser = ParserSettings("atr", flip=True)
    with pytest.raises(UserError, match=r"another 'settings\.flip'"):
        _run(folders, [Job(NAMES[0])], parser=parser, overwrite=True)
    with pytest.raises(Stop):
        _run(folders, parser=parser, overwrite=True, check=check)
    assert len(_files(folders / "labels")) == 2
    assert _run(folders, parser=parser).written == 2
    assert _run(folders, [Job(NAMES[0])], parser=parser, overwrite=True).written == 1


def test_label_maps_are_not_written_among_the_photos(folders):
    for place in ("photos", "photos/labels"):
        with pytest.raises(UserError, match="lies in --images"):
            _run(folders, output=str(folders / place))


def test_two_processes_write_the_same_files_as_one(folders):
    parser = ParserSettings("atr", flip=True, scales=(1.0, 1.5))
    ColourNet(18, seed=3).save(folders / "atr.onnx")
    _run(folders, parser=parser)
    two = str(folders / "two")
    assert _run(folders, parser=parser, processes=2, output=two).written == 3
    assert _files(folders / "two") == _files(folders / "labels")


@pytest.mark.parametrize("processes", [1, 2])
def test_a_stopped_run_leaves_whole_files_and_can_go_on(folders, processes):
    for seed in range(12):
        write_image(folders / "photos" / f"{seed:02d}.png", painted(_labels(seed)))

    def check():
        raise Stop

    with pytest.raises(Stop):
        _run(folders, processes=processes, check=check)
    left = _files(folders / "labels")
    assert 2 <= len(left) < 15 and "parsing.json" in left
    assert all(name == "parsing.json" or name.endswith(".png") for name in left)
    for name in set(left) - {"parsing.json"}:
        read_label_map(folders / "labels" / name, (12, 16), void=True)
    assert json.loads(left["parsing.json"])["counts"]["written"] == 1
    tally = _run(folders)
    assert tally.present == len(left) - 1 and tally.written == 16 - len(left)


def test_unreadable_photos_are_named_and_tried_again(folders):
    broken = folders / "photos" / NAMES[1]
    content = broken.read_bytes()
    broken.write_bytes(content[:50])
    with pytest.raises(UserError, match="truncated"):
        _run(folders, skip_broken=False)
    tally = _run(folders)
    assert (tally.written, tally.present, tally.broken) == (1, 1, 1)
    assert list(read_record(folders / "labels")["broken"]) == [NAMES[1]]
    broken.write_bytes(content)
    assert _run(folders).written == 1
    assert not read_record(folders / "labels")["broken"]


def test_nothing_but_unreadable_photos_is_a_mistake(folders):
    for name in NAMES:
        (folders / "photos" / name).write_bytes(b"photo")
    with pytest.raises(UserError, match="no photo can be read"):
        _run(folders)


def test_a_map_of_void_alone_is_not_written(folders):
    """Readers take 0 and 255 for a silhouette: such a photo trains without labels."""
    labels = np.zeros((12, 16), int)
    labels[:4] = ATR.index("bag")
    assert label_lookup(ATR)[ATR.index("bag")] == VOID
    write_image(folders / "photos" / NAMES[0], painted(labels))
    tally = _run(folders)
    assert (tally.written, tally.void) == (2, 1)
    assert not (folders / "labels" / NAMES[0]).exists()
    assert read_record(folders / "labels")["void"] == [NAMES[0]]
    assert _run(folders).present == 3


def test_a_wrong_model_is_told_before_any_process_starts(folders):
    with pytest.raises(UserError, match="20 labels"):
        _run(folders, parser=ParserSettings("cihp"), processes=2)
    assert not _files(folders / "labels")


def _json(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def test_people_of_json_files_in_nested_folders(folders):
    person = [0.0] * 63 + [10, 20, 0.9, 30, 120, 0.9, 20, 60, 0.9, 20, 80, 0.9]
    people = [{"pose_keypoints_2d": p} for p in (person, [0.0] * 75, person)]
    for name, shown in zip(NAMES, ([], people, people[:2]), strict=True):
        file = (folders / "op" / name).with_suffix("")
        _json(file.with_name(f"{file.name}_keypoints.json"), {"people": shown})
        _json(folders / "box" / f"{name[:-4]}.json", {"bbox": [0, 0, 10, 20]})
    jobs = find_jobs(folders / "photos", openpose=folders / "op")
    assert [(job.name, len(job.people)) for job in jobs] == list(
        zip(NAMES, (0, 2, 1), strict=True)
    )
    boxes = find_jobs(folders / "photos", box=folders / "box")
    assert [job.people[0].size_px for job in boxes] == pytest.approx([24] * 3)
    (folders / "box" / "b.json").unlink()
    with pytest.raises(UserError, match=r"b\.json: no such file for photo b\.png"):
        find_jobs(folders / "photos", box=folders / "box")


def test_photos_that_cannot_be_told_apart_or_found(folders):
    assert Job("a/b.c.JPG").label_name == "a/b.c.png"
    with pytest.raises(UserError, match="give one of"):
        find_jobs(folders / "photos", annotations="a.npz", box="b")
    with pytest.raises(UserError, match="no such folder"):
        find_jobs(folders / "none")
    (folders / "empty").mkdir()
    with pytest.raises(UserError, match="holds no photo"):
        find_jobs(folders / "empty")
    write_image(folders / "photos" / "b.jpg", painted(_labels(0)))
    with pytest.raises(UserError, match=r"'b\.jpg' and 'b\.png'"):
        find_jobs(folders / "photos")
    write_spin_npz(
        folders / "out.npz",
        SpinAnnotations(
            imgname=np.array(["../a.png"]),
            center=np.ones((1, 2), np.float32),
            scale=np.ones(1, np.float32),
        ),
    )
    with pytest.raises(UserError, match="leads out"):
        find_jobs(folders / "photos", annotations=folders / "out.npz")
