"""SPIN's annotation files: round trips, and one line for every way to be broken."""

import zipfile

import numpy as np
import pytest

from dsr_jax.data import SpinAnnotations, read_spin_npz, write_spin_npz
from dsr_jax.data.spin_npz import concatenate_annotations
from dsr_jax.data.spin_source import SpinSource
from dsr_jax.errors import UserError


def _arrays(count=4):
    generator = np.random.default_rng(0)

    def normal(*shape):
        return generator.normal(size=(count, *shape)).astype(np.float32)

    return {
        "imgname": np.array([f"images/{i}.jpg" for i in range(count)]),
        "center": normal(2),
        "scale": np.abs(normal()) + 0.5,
        "part": normal(24, 3),
        "openpose": normal(25, 3),
        "S": normal(24, 4),
        "pose": normal(72),
        "shape": normal(10),
        "has_smpl": np.array([1, 0, 1, 1], np.float32)[:count],
        "gender": np.array(["m", "f", "m", "f"])[:count],
    }


def test_every_array_comes_back(tmp_path):
    arrays = _arrays()
    write_spin_npz(tmp_path / "a.npz", SpinAnnotations(**arrays))
    read = read_spin_npz(tmp_path / "a.npz")
    assert len(read) == 4
    assert read.given().keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(getattr(read, name), array)
    assert [p.name for p in tmp_path.iterdir()] == ["a.npz"]


def test_optional_arrays_may_be_missing_and_foreign_ones_present(tmp_path):
    names = ("imgname", "center", "scale")
    arrays = {name: _arrays()[name] for name in names}
    np.savez(tmp_path / "a.npz", **arrays, other=np.array([{}], object))
    assert read_spin_npz(tmp_path / "a.npz").given().keys() == set(names)


def test_the_layouts_of_the_fields_own_files_are_read(tmp_path):
    """Byte strings, (N, 1) columns, booleans, double precision."""
    arrays = _arrays() | {"imgname": np.array([b"a", b"b", b"c", b"d"])}
    arrays |= {"has_smpl": np.array([[True], [False], [True], [True]])}
    arrays |= {"pose": arrays["pose"].astype(np.float64)}
    np.savez(tmp_path / "a.npz", **arrays)
    read = read_spin_npz(tmp_path / "a.npz")
    assert list(read.imgname) == ["a", "b", "c", "d"]
    np.testing.assert_array_equal(read.has_smpl, [1, 0, 1, 1])
    assert read.pose.dtype == np.float32


def _nan(array):
    array = array.copy()
    array.flat[-1] = np.nan
    return array


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scale": None}, r"lacks the array 'scale'"),
        ({"part": np.zeros((4, 23, 3))}, r"'part' has shape \(4, 23, 3\), but \(N, 24"),
        ({"pose": np.zeros((3, 72))}, r"'pose' has shape \(3, 72\).* 4 names"),
        ({"imgname": np.array("a")}, r"'imgname' has shape \(\)"),
        ({"gender": np.array(["m"] * 4, object)}, r"'gender' holds Python objects"),
        ({"gender": np.zeros(4)}, r"'gender' must hold strings"),
        ({"center": np.array([["1", "2"]] * 4)}, r"'center' must hold numbers"),
        ({"S": _nan(np.zeros((4, 24, 4)))}, r"'S' is not finite in row 3"),
        ({"scale": np.array([1, 0, 1, 1.0])}, r"'scale' is not positive in row 1"),
        ({"scale": np.array([1, 1, 1, 1e8])}, r"'scale' is 1e\+08 in row 3, more than"),
        ({"imgname": np.array(["a", "", "b", "c"])}, r"names no file in row 1"),
    ],
)
def test_broken_arrays_are_named(tmp_path, change, message):
    arrays = {n: a for n, a in (_arrays() | change).items() if a is not None}
    np.savez(tmp_path / "broken.npz", **arrays)
    with pytest.raises(UserError, match=rf"broken\.npz: .*{message}"):
        read_spin_npz(tmp_path / "broken.npz")


@pytest.mark.parametrize("kept", [0.0, 0.5, 0.99])
def test_truncated_archives_are_refused(tmp_path, kept):
    path = tmp_path / "cut.npz"
    np.savez(path, **_arrays())
    path.write_bytes(path.read_bytes()[: int(kept * path.stat().st_size)])
    with pytest.raises(UserError, match=r"cut\.npz: truncated or not an npz"):
        read_spin_npz(path)


def test_damaged_and_missing_archives_are_refused(tmp_path):
    path = tmp_path / "bad.npz"
    np.savez(path, **_arrays())
    content = bytearray(path.read_bytes())
    place = content.find(b"imgname.npy") + 200
    content[place : place + 40] = b"x" * 40
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"bad\.npz: the array 'imgname' is damaged"):
        read_spin_npz(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("imgname", "a text")
    with pytest.raises(UserError, match=r"bad\.npz: 'imgname' is no array"):
        read_spin_npz(path)
    with pytest.raises(UserError, match=r"nowhere\.npz: cannot read"):
        read_spin_npz(tmp_path / "nowhere.npz")


def _with_bytes_changed(path, whole, generator):
    """Eight bytes, most of them in the headers at the end."""
    damaged = bytearray(whole)
    for place in len(whole) - generator.integers(1, min(1500, len(whole)), 8):
        damaged[place] = generator.integers(256)
    path.write_bytes(damaged)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_random_damage_never_ends_in_a_traceback(tmp_path, save):
    path, generator = tmp_path / "a.npz", np.random.default_rng(0)
    save(path, **_arrays())
    whole, refused = path.read_bytes(), 0
    for _ in range(150):
        _with_bytes_changed(path, whole, generator)
        try:
            read_spin_npz(path)
        except UserError as error:
            assert str(path) in str(error) and "\n" not in str(error)
            refused += 1
    assert refused > 75


def test_bytes_that_are_no_text_are_named(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, **(_arrays() | {"imgname": np.array([b"\xff\xfe"] * 4)}))
    with pytest.raises(UserError, match="'imgname' holds bytes that are no UTF-8"):
        read_spin_npz(path)


@pytest.mark.parametrize(
    "name", ["/etc/passwd", "../a.jpg", "a/../../b.jpg", "a\0b", "\ud800.jpg", "a\nb"]
)
def test_photos_outside_the_folder_are_refused(tmp_path, name):
    path = tmp_path / "a.npz"
    names = np.array(["a.jpg", name, "b..jpg", "a/.b.jpg"])
    np.savez(path, **(_arrays() | {"imgname": names}))
    with pytest.raises(UserError, match="leads out of the folder") as caught:
        SpinSource(path, tmp_path)
    assert str(path) in str(caught.value) and str(caught.value).isprintable()


def test_unusual_names_of_photos_are_used(tmp_path):
    path = tmp_path / "a.npz"
    names = np.array(["a..b.jpg", "./a.jpg", ".hidden/ä ö.jpg", "a\u3000b/...jpg"])
    np.savez(path, **(_arrays() | {"imgname": names}))
    source = SpinSource(path, tmp_path)
    assert [source.person(i).image_name for i in range(4)] == list(names)


def test_parts_are_joined_in_order_and_must_have_the_same_arrays():
    first, second = SpinAnnotations(**_arrays(4)), SpinAnnotations(**_arrays(2))
    joined = concatenate_annotations([first, second])
    np.testing.assert_array_equal(joined.S, np.concatenate([first.S, second.S]))
    poorer = SpinAnnotations(first.imgname, first.center, first.scale)
    with pytest.raises(ValueError, match="same arrays"):
        concatenate_annotations([first, poorer])
