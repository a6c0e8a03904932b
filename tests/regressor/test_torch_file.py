"""Files of `torch.save`, read without PyTorch; some are made by hand."""

import io
import pickle
import zipfile

import numpy as np
import pytest

from dsr_jax.errors import UserError
from dsr_jax.regressor.torch_file import (
    StoredTensor,
    encode_torch_file,
    open_torch_file,
)
from dsr_jax.regressor.torch_file.pickled import Storage

ARRAYS = {
    "weight": np.arange(6, dtype=np.float32).reshape(2, 3).T,
    "bias": np.array([0.5, -2.0]),
    "count": np.asarray(7),
    "empty": np.zeros((0, 2), np.float32),
    "mask": np.array([True, False]),
}


def _write(path, members):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(f"archive/{name}", content)
    return path


def _rewritten(path, change):
    """The same archive after `change(members)`."""
    with zipfile.ZipFile(path) as archive:
        members = {
            name.removeprefix("archive/"): archive.read(name)
            for name in archive.namelist()
        }
    change(members)
    return _write(path, members)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "model.pt"
    path.write_bytes(encode_torch_file(ARRAYS, "model"))
    return path


@pytest.mark.parametrize("key", [None, "model"])
def test_what_is_written_is_read(tmp_path, key):
    path = tmp_path / "model.pt"
    path.write_bytes(encode_torch_file(ARRAYS, key))
    opened = open_torch_file(path)
    stored = opened.content if key is None else opened.content[key]
    assert stored.keys() == ARRAYS.keys()
    for name, expected in ARRAYS.items():
        result = opened.array(stored[name])
        assert result.dtype == expected.dtype
        np.testing.assert_array_equal(result, expected)


def test_bytes_of_a_big_endian_machine(file):
    def turn(members):
        members["byteorder"] = b"big"
        members["data/0"] = ARRAYS["weight"].astype(">f4").tobytes()

    opened = open_torch_file(_rewritten(file, turn))
    result = opened.array(opened.content["model"]["weight"])
    np.testing.assert_array_equal(result, ARRAYS["weight"])


class _Evil:
    """Pickles as a call of `os.system`."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        import os

        return os.system, (f"touch {self.path}",)


def _legacy(content):
    """PyTorch's older format around any object without tensors."""
    stream = io.BytesIO()
    for part in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}, content, []):
        pickle.dump(part, stream, 2)
    return stream.getvalue()


@pytest.mark.parametrize("kind", ["zip", "legacy"])
def test_a_name_in_a_pickle_runs_nothing(tmp_path, kind):
    mark, path = tmp_path / "ran", tmp_path / "evil.pt"
    content = {"state_dict": {}, "callbacks": _Evil(mark)}
    if kind == "zip":
        _write(path, {"data.pkl": pickle.dumps(content)})
    else:
        path.write_bytes(_legacy(content))
    # The pickle is armed.
    pickle.loads(pickle.dumps(content))
    assert mark.exists()
    mark.unlink()
    opened = open_torch_file(path)
    assert list(opened.content) == ["state_dict", "callbacks"]
    assert not mark.exists()


def _built(value, state):
    """A pickle of {"model": value}, `value` changed by the BUILD opcode."""
    body = encode_torch_file({"w": np.zeros(2, np.float32)}, None)
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        plain = archive.read("archive/data.pkl")
    tensor = plain[plain.index(b"ctorch._utils") : plain.rindex(b"s")]
    if value == "tensor":
        return b"\x80\x02" + tensor + pickle.dumps(state, 2)[2:-1] + b"b."
    name = b"ctorch._utils\n_rebuild_tensor_v2\n"
    return b"\x80\x02" + name + pickle.dumps(state, 2)[2:-1] + b"b."


def test_a_pickle_cannot_change_a_checked_tensor(tmp_path):
    """Its place in the file would then lead anywhere in the memory."""
    state = {"offset": 10**6, "shape": (10**6,), "strides": (1,)}
    path = _write(
        tmp_path / "a.pt",
        {"data.pkl": _built("tensor", state), "data/0": b"\0" * 8},
    )
    opened = open_torch_file(path)
    assert opened.content.offset == 0 and opened.content.shape == (2,)
    np.testing.assert_array_equal(opened.array(opened.content), np.zeros(2))


def test_a_pickle_cannot_change_the_reader(tmp_path, file):
    state = {"__call__": 3, "__code__": 3}
    open_torch_file(_write(tmp_path / "b.pt", {"data.pkl": _built("call", state)}))
    opened = open_torch_file(file)
    np.testing.assert_array_equal(
        opened.array(opened.content["model"]["bias"]), ARRAYS["bias"]
    )


@pytest.mark.parametrize(
    ("offset", "shape", "strides"),
    [(0, (5,), (1,)), (2, (2,), (2,)), (-1, (2,), (1,)), (0, (2,), (1, 1))],
)
def test_a_tensor_outside_its_storage_is_refused(offset, shape, strides):
    storage = Storage("0", np.dtype(np.float32), 4)
    with pytest.raises(ValueError, match="a tensor"):
        StoredTensor(storage, offset, shape, strides)


def test_a_tensor_larger_than_its_storage_is_never_built():
    """A stride of 0 would turn four bytes into any number of them."""
    storage = Storage("0", np.dtype(np.float32), 1)
    tensor = StoredTensor(storage, 0, (10**12,), (0,))
    with pytest.raises(ValueError, match="repeats"):
        tensor.from_flat(np.zeros(1, np.float32))


def _cut(path, share):
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])


@pytest.mark.parametrize("share", [0.02, 0.5, 0.99])
def test_a_cut_file_is_one_line(file, share):
    _cut(file, share)
    with pytest.raises(UserError, match=r"model\.pt: not a .*PyTorch"):
        open_torch_file(file)


MISTAKES = {
    "no such": (None, "cannot read this checkpoint"),
    "an image": (b"\x89PNG\r\n" * 100, "not a checkpoint of PyTorch"),
    "empty": (b"", "not a checkpoint of PyTorch"),
    "a plain pickle": (pickle.dumps({"a": 1}), "not a checkpoint of PyTorch"),
    "without an end": (_legacy({"a": 1})[:-3], "not a readable PyTorch file"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_what_is_no_checkpoint_is_one_line(tmp_path, mistake):
    content, message = MISTAKES[mistake]
    path = tmp_path / "model.pt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=message) as error:
        open_torch_file(path)
    assert "model.pt" in str(error.value) and "\n" not in str(error.value)


def test_other_archives_are_told_apart(tmp_path):
    plain = _write(tmp_path / "a.zip", {"a.txt": b"a"})
    with pytest.raises(UserError, match="zip archive without weights"):
        open_torch_file(plain)
    script = _write(tmp_path / "b.pt", {"data.pkl": b"N.", "constants.pkl": b"N."})
    with pytest.raises(UserError, match="TorchScript"):
        open_torch_file(script)


def test_missing_numbers_are_found_when_they_are_read(file):
    opened = open_torch_file(_rewritten(file, lambda members: members.pop("data/0")))
    with pytest.raises(UserError, match=r"model\.pt: not a readable .*data/0"):
        opened.array(opened.content["model"]["weight"])


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_random_damage_to_the_archive_never_ends_in_a_traceback(file, method):
    with zipfile.ZipFile(file) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    whole, generator, refused = file.read_bytes(), np.random.default_rng(0), 0
    for _ in range(300):
        damaged = bytearray(whole)
        for place in generator.integers(0, len(whole), 4):
            damaged[place] = generator.integers(256)
        file.write_bytes(damaged)
        try:
            opened = open_torch_file(file)
            for tensor in opened.content["model"].values():
                opened.array(tensor)
        except UserError as error:
            assert "\n" not in str(error)
            refused += 1
        except (KeyError, TypeError, AttributeError):
            # The names in `content` are the caller's to check.
            assert opened.content is not None
    assert refused > 100
