"""Damaged checkpoints: found, named, put aside, and never loaded."""

import json
import random
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dsr_jax.errors import UserError
from dsr_jax.training.checkpoint import Checkpoints, reading
from dsr_jax.training.checkpoint.fingerprint import partial_sum
from tests.training.tiny_network import DATA, advance, assert_same, make_state, raw

PLACES = 200


def save_steps(folder, count, scores=()):
    """Checkpoints of steps 1 to `count`, and their states by step."""
    network, state = make_state()
    checkpoints = Checkpoints(folder)
    states = {}
    for step in range(1, count + 1):
        state = states[step] = advance(network, state)
        score = scores[step - 1] if scores else None
        checkpoints.save(state, {**DATA, "position": step}, score)
    checkpoints.close()
    return states


@pytest.fixture(scope="module")
def pristine(tmp_path_factory):
    """A run with the checkpoints 1 and 2, which tests copy and damage."""
    folder = tmp_path_factory.mktemp("pristine")
    return folder, save_steps(folder, 2, scores=(1.0, 2.0))


@pytest.fixture
def folder(pristine, tmp_path):
    shutil.copytree(pristine[0], tmp_path, dirs_exist_ok=True)
    return tmp_path


def places(folder, count):
    """(file, byte) of `count` places; every file is hit, by its size beyond that."""
    files = sorted(p for p in folder.rglob("*") if p.is_file() and p.stat().st_size)
    draw = random.Random(0)
    sizes = [p.stat().st_size for p in files]
    chosen = files + draw.choices(files, sizes, k=count - len(files))
    return [(path, draw.randrange(path.stat().st_size)) for path in chosen]


def flip(path, place):
    """Changes one byte, whichever it was; gives what undoes it."""
    original = path.read_bytes()
    changed = bytearray(original)
    changed[place] ^= 1 + place % 255
    path.write_bytes(bytes(changed))
    return lambda: path.write_bytes(original)


def test_no_byte_of_a_checkpoint_can_change_unseen(folder, pristine, capsys):
    """Two hundred places: always named, and the checkpoint before is taken."""
    states, place = pristine[1], folder / "checkpoints" / "2"
    hit = places(place, PLACES)
    assert len(hit) == PLACES
    assert {path for path, _ in hit} == {p for p in place.rglob("*") if p.is_file()}
    for path, byte in hit:
        undo = flip(path, byte)
        found = Checkpoints(folder).restore_latest(states[1])
        error = capsys.readouterr().err
        assert found.step == found.data["position"] == 1, (path, byte)
        assert_same(found.state, states[1])
        assert "checkpoints/2: damaged (" in error and error.count("\n") == 1
        (folder / "checkpoints" / "2.damaged").rename(place)
        undo()
    assert_same(Checkpoints(folder).restore_latest(states[1]).state, states[2])


def test_what_the_digests_miss_the_fingerprints_find(folder, pristine, monkeypatch):
    """As if files had gone bad before their digests were taken."""
    monkeypatch.setattr(reading, "check_files", lambda *_: None)
    states, place = pristine[1], folder / "checkpoints" / "2"
    unseen = 0
    for path, byte in places(place, PLACES // 2):
        undo = flip(path, byte)
        found = Checkpoints(folder).restore_latest(states[1])
        assert_same(found.state, states[found.step])
        unseen += found.step == 2  # a byte that plays no part
        if found.step == 1:
            (folder / "checkpoints" / "2.damaged").rename(place)
        undo()
    # Half of what Orbax writes is never read again, a little more or less from save to
    # save; a reader to which nothing mattered would pass all the rest.
    assert unseen < 0.8 * (PLACES // 2)


def test_a_byte_that_changes_in_memory_is_found(folder, pristine, monkeypatch):
    """Every file is as it was written, and yet a weight is another one."""
    read_item = reading.read_item

    def bad_memory(place, abstract):
        item = read_item(place, abstract)
        if place.parent.name == "2" and place.name == "training":
            path = max(item, key=lambda p: item[p].ndim)
            item[path] = item[path].at[0, 0].multiply(1 + 2**-23)
        return item

    monkeypatch.setattr(reading, "read_item", bad_memory)
    found = Checkpoints(folder).restore_latest(pristine[1][1])
    assert found.step == 1


HARMS = {
    "cut files": lambda place: [
        p.write_bytes(p.read_bytes()[: p.stat().st_size // 2])
        for p in place.rglob("*")
        if p.is_file()
    ],
    "no weights": lambda place: shutil.rmtree(place / "regressor"),
    "no record": lambda place: (place / "record.json").unlink(),
    "a folder for a record": lambda place: (
        (place / "record.json").unlink(),
        (place / "record.json").mkdir(),
    ),
    "an empty folder": lambda place: (shutil.rmtree(place), place.mkdir()),
    "a file for a folder": lambda place: (shutil.rmtree(place), place.write_text("")),
    "nested beyond reason": lambda place: (place / "record.json").write_text(
        "[" * 100_000
    ),
    "that of another step": lambda place: (
        shutil.rmtree(place),
        shutil.copytree(place.with_name("1"), place),
    ),
}


@pytest.mark.parametrize("harm", HARMS)
def test_a_damaged_checkpoint_gives_way_to_the_one_before(
    folder, pristine, capsys, harm
):
    states = pristine[1]
    HARMS[harm](folder / "checkpoints" / "2")
    checkpoints = Checkpoints(folder)
    assert checkpoints.restore_latest(states[2]).step == 1
    assert checkpoints.latest_step == checkpoints.best_step == 1
    assert capsys.readouterr().err.count("checkpoints/2: damaged (") == 1
    assert (folder / "checkpoints" / "2.damaged").exists()
    # The step can be saved again.
    checkpoints.save(states[2], DATA)
    checkpoints.close()
    assert_same(Checkpoints(folder).restore_latest(states[1]).state, states[2])


def test_no_step_is_put_aside_twice_under_one_name(folder, pristine):
    states = pristine[1]
    for _ in range(2):
        HARMS["no record"](folder / "checkpoints" / "2")
        checkpoints = Checkpoints(folder)
        checkpoints.save(states[2], DATA)
        checkpoints.close()
    names = {p.name for p in (folder / "checkpoints").iterdir()}
    assert names == {"1", "2", "2.damaged", "2.damaged-2"}


def test_a_run_is_not_begun_anew_unasked(folder, pristine):
    """When nothing is left, neither this start nor the next one begins at step 0."""
    for step in ("1", "2"):
        HARMS["cut files"](folder / "checkpoints" / step / "training")
    with pytest.raises(UserError, match="no checkpoint that is whole; delete"):
        Checkpoints(folder).restore_latest(pristine[1][1])
    with pytest.raises(UserError, match="every checkpoint is damaged; delete"):
        Checkpoints(folder)


def test_evaluation_does_not_take_another_checkpoint_unasked(folder, pristine):
    state = pristine[1][1]
    like = {"params": state.params, "statistics": state.statistics}
    HARMS["cut files"](folder / "checkpoints" / "1" / "regressor")
    checkpoints = Checkpoints(folder, read_only=True)
    assert checkpoints.best_step == 1
    with pytest.raises(UserError, match="checkpoints/1: the checkpoint is damaged"):
        checkpoints.restore_regressor(1, like)
    HARMS["no record"](folder / "checkpoints" / "1")
    with pytest.raises(UserError, match=r"checkpoints/1: .*its score is lost"):
        _ = Checkpoints(folder, read_only=True).best_step
    assert checkpoints.restore_regressor(2, like)


def test_a_damaged_record_names_the_score(folder):
    path = folder / "checkpoints" / "2" / "record.json"
    whole = json.loads(path.read_text())
    whole["record"]["score"] = 0.5
    path.write_text(json.dumps(whole))
    assert Checkpoints(folder).best_step == 1


def sums(values):
    return partial_sum(np.asarray(values))


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.int8, bool, np.float64])
def test_fingerprints_see_every_change(dtype):
    values = np.arange(24).reshape(4, 6).astype(dtype)
    changed = values.copy()
    changed[2, 3] = not changed[2, 3] if dtype is bool else changed[2, 3] + 1
    swapped = values.copy()
    swapped[0, [0, 1]] = swapped[0, [1, 0]]
    if dtype is bool:
        swapped[0, 0] = not swapped[0, 0]
    found = [sums(v) for v in (values, changed, swapped, values[::-1], values * 0)]
    assert len(set(found)) == len(found)


def test_fingerprints_see_bits_not_numbers():
    zero = np.zeros(4, np.float32)
    assert sums(zero) != sums(-zero)
    # Two signs at once, which a linear sum modulo 2^32 cannot see.
    one = np.ones(4, np.float32)
    assert sums(one) != sums(one * np.array([-1, 1, -1, 1], np.float32))
    nan = np.array([0x7FC00000, 0x7FC00001], np.uint32).view(np.float32)
    assert sums(nan[:1]) != sums(nan[1:])
    assert sums(jnp.ones(4, jnp.bfloat16)) != sums(-jnp.ones(4, jnp.bfloat16))


def test_parts_add_up():
    values = np.random.default_rng(0).standard_normal((6, 10, 7)).astype(np.float32)
    for axis, cut in ((0, 2), (1, 3), (2, 6)):
        total = 0
        for part in (slice(None, cut), slice(cut, None)):
            index = tuple(part if a == axis else slice(None) for a in range(3))
            total += partial_sum(values[index], index, values.shape)
        assert total % 2**64 == sums(values)


def test_random_keys_are_compared_too(folder, pristine):
    found = Checkpoints(folder).restore_latest(pristine[1][1]).state
    keys = jax.tree.leaves(found.rng)
    assert any(jax.dtypes.issubdtype(k.dtype, jax.dtypes.prng_key) for k in keys)
    record = json.loads((folder / "checkpoints" / "2" / "record.json").read_text())
    count = sum(len(leaves) for leaves in record["record"]["leaves"].values())
    assert count == len(raw(found))
