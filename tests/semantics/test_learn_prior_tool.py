import importlib.util
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from dsr_jax.body import load_body
from dsr_jax.data.scans import write_scan
from dsr_jax.errors import Interrupted, UserError
from dsr_jax.semantics import CIHP, load_prior
from dsr_jax.training.interruption import StopRequest
from tests.processes import run_hosts, succeed

TOOL = Path(__file__).parents[2] / "tools" / "learn_prior.py"


@pytest.fixture(scope="module")
def tool():
    spec = importlib.util.spec_from_file_location("learn_prior", TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


ARGUMENTS = {
    "body": "free-lite",
    **{"people": 2, "views": 3, "image_size": 64, "seed": 0},
    **{"symmetrize": False, "stop": StopRequest()},
}


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"people": 0}, "--people is 0"),
        ({"views": -1}, "--views is -1"),
        ({"image_size": 3}, "--image-size 3: image_size must be at least 16"),
        ({"seed": 10**30}, "seed 10+: too large"),
        ({"output": Path("no/such/folder/prior.npz")}, "there is no such folder"),
        ({"output": Path()}, "is a folder; name the .npz"),
    ],
)
def test_mistakes_are_said_before_any_work(tool, tmp_path, change, complaint):
    arguments = {**ARGUMENTS, "output": tmp_path / "prior.npz", **change}
    with pytest.raises(UserError, match=complaint):
        tool.learn(**arguments)
    assert not list(tmp_path.iterdir())


def test_the_command_line_ends_with_code_2(tool, tmp_path, monkeypatch, capsys):
    output = str(tmp_path / "none" / "prior.npz")
    monkeypatch.setattr(sys, "argv", ["learn_prior.py", "--output", output])
    with pytest.raises(SystemExit) as ended:
        tool.main()
    assert ended.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    """Three scans of the body, each from the front, from behind and from below."""
    folder = tmp_path_factory.mktemp("scans")
    vertices = np.asarray(load_body("free-lite").template)
    front = np.diag([1.0, -1, -1])
    back, below = np.diag([-1.0, -1, 1]), np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]])
    cameras = {
        "camera": np.array([[0.9, 0, 0]] * 3),
        "R": np.stack([front, back, below]),
    }
    for number in range(3):
        maps = {f"{i}.png": np.full((64, 64), 5 + number, np.uint8) for i in range(3)}
        maps["0.png"][:, 40:] = CIHP.index("left-arm")
        write_scan(folder / f"{number}", {"vertices": vertices}, cameras, maps)
    return folder


class _StopAfter:
    """A request that comes while the n-th scan is counted."""

    def __init__(self, scans):
        self._left = scans

    def check(self):
        self._left -= 1
        if self._left == 0:
            raise Interrupted(2)


def test_a_prior_of_scans_survives_an_interruption(tool, scans, tmp_path):
    common = {
        "scans": scans,
        "body": "free-lite",
        "threads": 2,
        "broken": "stop",
        "taxonomy": "cihp",
    }
    common["symmetrize"] = True
    output = tmp_path / "prior.npz"
    with pytest.raises(Interrupted) as stopped:
        tool.learn_from_scans(**common, output=output, stop=_StopAfter(2))
    assert stopped.value.exit_code == 130
    assert [path.name for path in tmp_path.iterdir()] == ["prior.counts.npz"]
    tool.learn_from_scans(**common, output=output, stop=_StopAfter(9))
    assert [path.name for path in tmp_path.iterdir()] == ["prior.npz"]
    whole = tmp_path / "whole.npz"
    tool.learn_from_scans(**common, output=whole, stop=_StopAfter(9))
    assert whole.read_bytes() == output.read_bytes()
    # The label map of the front has a left arm only; the mirrored one a right arm.
    model, prior = load_body("free-lite"), load_prior(output)
    x = np.asarray(model.template)[:, 0]
    seen = np.asarray(prior.counts) > 0
    arms = np.asarray(prior.probabilities)[:, 14:16]
    assert arms[(x > 0.4) & seen, 0].mean() > 0.1
    np.testing.assert_allclose(
        arms[(x > 0.4) & seen, 0].mean(), arms[(x < -0.4) & seen, 1].mean(), rtol=1e-2
    )
    assert arms[(x < 0) & seen, 0].max() == arms[(x > 0) & seen, 1].max() == 0


def test_scans_and_synthetic_people_do_not_mix(tool, scans, tmp_path, monkeypatch):
    arguments = ["--scans", scans, "--output", tmp_path / "p.npz", "--people", "3"]
    monkeypatch.setattr(sys, "argv", ["learn_prior.py", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        tool.main()
    assert ended.value.code == 2


COMMAND = """
import runpy, signal, sys
from dsr_jax.training import interruption
stop_after = int(sys.argv[1])
if stop_after and jax.process_index() == jax.process_count() - 1:
    # A signal that reaches the last host alone, while it counts its n-th scan.
    def check(self, left=[stop_after]):
        left[0] -= 1
        if not left[0]:
            raise interruption.Interrupted(signal.SIGTERM)
    interruption.StopRequest.check = check
sys.argv[1:] = sys.argv[2:]
sys.path.insert(0, ".")
runpy.run_path("tools/learn_prior.py", run_name="__main__")
"""


def command(folder, output, stop_after=0):
    options = ["--scans", folder, "--output", output, "--body", "free-lite"]
    return [stop_after, *options, "--threads", 1]


@pytest.mark.slow
@pytest.mark.jobs
def test_scans_are_counted_by_any_number_of_hosts(scans, tmp_path):
    files = {hosts: tmp_path / f"{hosts}.npz" for hosts in (1, 2, 4)}
    for hosts, file in files.items():
        # Of three scans, one of the four hosts has none.
        succeed(COMMAND, hosts, *command(scans, file))
        assert file.read_bytes() == files[1].read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {"1.npz", "2.npz", "4.npz"}


@pytest.mark.slow
def test_a_count_stopped_on_two_hosts_goes_on_on_one(scans, tmp_path):
    output, whole = tmp_path / "prior.npz", tmp_path / "whole.npz"
    for code, _, errors in run_hosts(COMMAND, 2, *command(scans, output, 1)):
        assert code == 143
        assert "interrupted (SIGTERM): the same command counts on" in errors
    kept = {path.name for path in tmp_path.iterdir()}
    assert kept == {"prior.counts.npz", "prior.counts-1.npz"}
    for file in (output, whole):
        succeed(COMMAND, 1, *command(scans, file))
    assert output.read_bytes() == whole.read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {"prior.npz", "whole.npz"}


@pytest.mark.slow
def test_a_broken_scan_of_one_host_stops_all(scans, tmp_path):
    broken = tmp_path / "scans"
    shutil.copytree(scans, broken)
    (broken / "1" / "cameras.npz").write_bytes(b"nothing")
    for code, _, errors in run_hosts(COMMAND, 2, *command(broken, tmp_path / "p.npz")):
        assert code == 2
        (line,) = [line for line in errors.splitlines() if line.startswith("error: ")]
        assert "cameras.npz" in line and "--broken skip" in line
    assert not (tmp_path / "p.npz").exists()


@pytest.mark.slow
@pytest.mark.jobs
def test_people_are_counted_by_any_number_of_hosts(tmp_path):
    people = ["--people", 6, "--views", 1, "--image-size", 32, "--body", "free-lite"]
    # Three steps: one host has a device for each, of two one has less to do.
    files = {hosts: tmp_path / f"{hosts}.npz" for hosts in (1, 2)}
    for hosts, file in files.items():
        outputs = succeed(COMMAND, hosts, 0, *people, "--output", file)
        assert ["wrote" in output for output in outputs] == [
            True,
            *[False] * (hosts - 1),
        ]
        assert file.read_bytes() == files[1].read_bytes()


@pytest.mark.slow
def test_it_learns_a_prior_that_fits_the_body(tool, tmp_path):
    output = tmp_path / "prior.npz"
    tool.learn(**ARGUMENTS, output=output)
    first = output.read_bytes()
    model, prior = load_body("free-lite"), load_prior(output)
    prior.check_body(len(model.template), len(model.faces))
    assert prior.counts.max() <= 6
    assert prior.counts.sum() > 0
    vertices = np.asarray(model.template)
    left = np.asarray(model.joint_regressor[22]) @ vertices
    nearest = np.argsort(np.linalg.norm(vertices - left, axis=1))[:5]
    sides = np.asarray(prior.probabilities)[nearest]
    assert (sides[:, CIHP.index("left-arm")] >= sides[:, CIHP.index("right-arm")]).all()
    tool.learn(**ARGUMENTS, output=output)
    assert output.read_bytes() == first


@pytest.mark.parametrize("name", ["free", "free-lite"])
def test_the_embedded_priors_know_where_clothes_are_worn(name):
    model, prior = load_body(name), load_prior(name)
    prior.check_body(len(model.template), len(model.faces))
    vertices = np.asarray(model.template)
    joints = np.asarray(model.joint_regressor) @ vertices
    p = np.asarray(prior.probabilities)
    np.testing.assert_allclose(p.sum(1), 1, atol=1e-5)
    assert (np.asarray(prior.counts) > 0).mean() > 0.95

    def around(joint, count=20):
        distance = np.linalg.norm(vertices - joints[joint], axis=1)
        return p[np.argsort(distance)[:count]].mean(0)

    def likeliest(joint):
        return CIHP.names[around(joint).argmax()]

    # SMPL joints: 6 and 9 spine, 4 and 5 knees, 10 and 11 feet, 22 and 23 hands.
    assert likeliest(6) == likeliest(9) == "upper-clothes"
    assert likeliest(4) == likeliest(5) == "pants"
    assert (likeliest(10), likeliest(11)) == ("left-shoe", "right-shoe")
    assert (likeliest(22), likeliest(23)) == ("left-arm", "right-arm")
