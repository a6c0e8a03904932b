"""A count of scans that is stopped, resumed, and meets broken scans."""

import numpy as np
import pytest

from dsr_jax.body import load_body
from dsr_jax.data.scans import (
    ScanCount,
    count_scans,
    find_scans,
    scan_counts,
    write_scan,
)
from dsr_jax.errors import UserError
from dsr_jax.semantics import ATR, CIHP

SIDE = 64


@pytest.fixture(scope="module")
def model():
    return load_body("free-lite")


@pytest.fixture(scope="module")
def scans(model, tmp_path_factory):
    """Five scans of the body upside up, with stripes of other labels on each."""
    folder = tmp_path_factory.mktemp("scans")
    vertices = np.asarray(model.template) * np.array([1, -1, -1])
    stripes = np.arange(SIDE)[:, None] // 3 % 7 + np.zeros((1, SIDE), int)
    for number in range(5):
        cameras = {"camera": np.array([[0.8, 0.02 * number, 0.01]])}
        maps = {"0.png": (1 + stripes + number).astype(np.uint8)}
        write_scan(folder / f"{number}", {"vertices": vertices}, cameras, maps)
    return find_scans(folder)


def counted(path, folders, model, only=None, threads=2, **options):
    count = ScanCount(path, folders, model)
    for number, (folder, counts) in enumerate(
        count_scans(count.left(), model, threads)
    ):
        count.add(folder, counts, **options)
        if only is not None and number + 1 == only:
            break
    count.save()
    return count


def test_a_stopped_count_goes_on_to_the_same_bits(tmp_path, scans, model):
    whole = counted(tmp_path / "whole.npz", scans, model, threads=1)
    assert whole.done == ("0", "1", "2", "3", "4")
    path = tmp_path / "part.npz"
    first = counted(path, scans, model, only=2)
    assert first.done == ("0", "1") and path.exists()
    rest = counted(path, scans, model)
    assert rest.done == whole.done
    np.testing.assert_array_equal(rest.counts, whole.counts)
    assert whole.counts.sum(1).max() == pytest.approx(5)
    rest.remove_file()
    assert not path.exists()


def test_broken_scans_stop_or_are_left_out(tmp_path, scans, model):
    good = counted(tmp_path / "good.npz", [scans[0], scans[2]], model)
    broken = tmp_path / "1"
    broken.mkdir()
    (broken / "fit.npz").write_bytes(b"nothing")
    folders = [scans[0], broken, scans[2]]
    with pytest.raises(UserError, match=r"fit.npz: this fit is damaged.*--broken skip"):
        counted(tmp_path / "stop.npz", folders, model)
    count = counted(tmp_path / "skip.npz", folders, model, skip_broken=True)
    assert count.done == ("0", "2") and len(count.refused) == 1
    np.testing.assert_array_equal(count.counts, good.counts)
    # A repaired scan is counted by whoever counts on.
    assert ScanCount(tmp_path / "skip.npz", folders, model).left() == [broken]


def test_label_maps_of_another_taxonomy_count_as_cihp(tmp_path, scans, model):
    """Stripes whose labels ATR and CIHP number differently give the same votes."""
    names = ("hat", "hair", "upper-clothes", "pants", "left-arm", "right-shoe")
    stripes = np.arange(SIDE)[:, None] // 3 % len(names) + np.zeros((1, SIDE), int)
    counts = {}
    for taxonomy in (CIHP, ATR):
        lookup = np.array([taxonomy.index(name) for name in names], np.uint8)
        folder = tmp_path / taxonomy.name / "scan"
        vertices = np.asarray(model.template) * np.array([1, -1, -1])
        camera = {"camera": np.array([[0.8, 0, 0]])}
        write_scan(folder, {"vertices": vertices}, camera, {"0.png": lookup[stripes]})
        counts[taxonomy] = scan_counts(folder, model, taxonomy)
        assert counts[taxonomy].sum() > 100
    np.testing.assert_array_equal(counts[CIHP], counts[ATR])
    assert not np.array_equal(counts[CIHP], scan_counts(folder, model))


def test_a_count_of_something_else_is_refused(tmp_path, scans, model):
    path = tmp_path / "count.npz"
    counted(path, scans[:2], model)
    with pytest.raises(UserError, match="an unfinished count of other scans: '1' is"):
        ScanCount(path, scans[:1], model)
    with pytest.raises(UserError, match="count of 'CIHP' labels, not of 'ATR'"):
        ScanCount(path, scans, model, ATR)
    np.savez(path, counts=np.zeros((3, 20)), done=np.array(["0"]), taxonomy="CIHP")
    with pytest.raises(UserError, match="counts 3 vertices, but the body has 1700"):
        ScanCount(path, scans, model)
    path.write_bytes(path.read_bytes()[:90])
    with pytest.raises(UserError, match="this unfinished count is damaged; delete"):
        ScanCount(path, scans, model)
