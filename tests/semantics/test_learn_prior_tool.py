import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

from dsr_jax.body import load_body
from dsr_jax.data.scans import write_scan
from dsr_jax.errors import UserError
from dsr_jax.semantics import CIHP, load_prior
from dsr_jax.training.interruption import Interrupted, StopRequest

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
