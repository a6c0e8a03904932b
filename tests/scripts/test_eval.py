"""eval.py from its command line: the numbers of a known regressor, and mistakes."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from absl.testing import flagsaver
from flax import nnx

from dsr_jax.body import BodyParams, body_joints, load_body, pose_body
from dsr_jax.data import Batch, read_image, write_people
from dsr_jax.evaluation import mpjpe, pa_mpjpe
from dsr_jax.regressor import default_mean_parameters
from dsr_jax.rotations import axis_angle_to_matrix, rotation_6d_to_matrix
from dsr_jax.training.checkpoint import Checkpoints
from dsr_jax.training.command_line import load_config_file
from dsr_jax.training.loading import load_regressor, regressor_builder
from dsr_jax.training.run_folder import open_run_folder
from dsr_jax.training.settings import RunSettings
from dsr_jax.training.state import state_initializer

PEOPLE, SIZE = 5, 32
CONFIG = """
from configs.base import base_config

def get_config():
    config = base_config()
    config.data.image_size = 32
    config.body.name = "free-lite"
    config.semantics.prior = "free-lite"
    config.regressor.backbone = "resnet18"
    config.regressor.hidden = 16
    config.evaluation.dataset = "mine"
    config.evaluation.datasets = (
        ("mine", "people/annotations.npz", "people/images", "folder"),
        ("gone", "gone/annotations.npz", "gone/images", "folder"),
    )
    config.evaluation.batch_size = 2
    return config
"""


def make_people():
    generator = np.random.default_rng(0)
    axis_angle = generator.normal(0, 0.3, (PEOPLE, 24, 3))
    axis_angle[:, 0] = [np.pi, 0, 0]
    return Batch(
        image=generator.integers(0, 255, (PEOPLE, SIZE, SIZE, 3)).astype(np.uint8),
        labels=np.zeros((PEOPLE, SIZE, SIZE), np.uint8),
        has_labels=np.zeros(PEOPLE, np.float32),
        keypoints_ndc=np.ones((PEOPLE, 49, 3), np.float32),
        joints=np.ones((PEOPLE, 24, 4), np.float32),
        pose=np.asarray(axis_angle_to_matrix(jnp.asarray(axis_angle, jnp.float32))),
        betas=generator.normal(0, 1, (PEOPLE, 10)).astype(np.float32),
        has_body=np.ones(PEOPLE, np.float32),
        camera=np.zeros((PEOPLE, 3), np.float32),
    )


def mean_body_state(settings):
    """All weights 0, but for the parameters that the head starts from."""
    _, initialise = state_initializer(regressor_builder(settings), optax.identity())
    mean = default_mean_parameters()
    fixed = {
        "init_pose": mean.rotation_6d.reshape(-1),
        "init_shape": mean.betas,
        "init_cam": mean.camera,
    }

    def value(path, leaf):
        names = [name for name in fixed if name in jax.tree_util.keystr(path)]
        if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            return jax.random.key(0)
        return fixed[names[0]] if names else jnp.zeros(leaf.shape, leaf.dtype)

    abstract = jax.eval_shape(initialise, jax.random.key(0))
    return jax.tree_util.tree_map_with_path(value, abstract)


@pytest.fixture(scope="module")
def evaluation(load_script):
    return load_script("eval.py")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A data set, and a run whose regressor says the mean body whatever it sees."""
    home = tmp_path_factory.mktemp("home")
    (home / "config.py").write_text(CONFIG)
    write_people(home / "people", [make_people()])
    config = load_config_file(str(home / "config.py"))
    folder = open_run_folder(str(home / "run"), config)
    settings = RunSettings.from_config(config)
    checkpoints = Checkpoints(folder)
    checkpoints.save(mean_body_state(settings), data={}, score=1.0)
    checkpoints.close()
    return home


@pytest.fixture
def run(monkeypatch, capsys, evaluation, home):
    """Runs the script; gives exit code, output and errors."""
    monkeypatch.chdir(home)

    def call(*arguments):
        monkeypatch.setattr("sys.argv", ["eval.py", *arguments])
        with flagsaver.flagsaver(), pytest.raises(SystemExit) as stopped:
            evaluation.run()
        captured = capsys.readouterr()
        return stopped.value.code or 0, captured.out, captured.err

    return call


def expected_errors():
    """MPJPE and PA-MPJPE of the mean body, computed here."""
    body, people = load_body("free-lite"), make_people()
    mean = rotation_6d_to_matrix(default_mean_parameters().rotation_6d)
    h36m = []
    for pose, betas in (
        (jnp.broadcast_to(mean, people.pose.shape), jnp.zeros_like(people.betas)),
        (jnp.asarray(people.pose), jnp.asarray(people.betas)),
    ):
        mesh = jax.jit(pose_body)(body, BodyParams(pose, betas))
        joints = body_joints(body, mesh, "h36m17")
        chosen = jnp.array([6, 5, 4, 1, 2, 3, 16, 15, 14, 11, 12, 13, 8, 10])
        h36m.append((joints - joints[:, :1])[:, chosen])
    return float(mpjpe(*h36m).mean()), float(pa_mpjpe(*h36m).mean())


def test_a_regressor_that_says_the_mean_body(run, home):
    code, output, errors = run("--config", "config.py", "--checkpoint", "run")
    assert code == 0, errors
    record = json.loads((home / "run" / "evaluation_mine.json").read_text())
    first, second = expected_errors()
    for name in ("model", "mean_body"):
        assert record[name]["count"] == PEOPLE
        assert record[name]["mpjpe"] == pytest.approx(first, rel=1e-5)
        assert record[name]["pa_mpjpe"] == pytest.approx(second, rel=1e-4)
        assert len(record[name]["joint_errors"]) == 14
    for word in ("protocol", "PA-MPJPE", "PVE, pelvis-aligned", "mean body", "neck"):
        assert word in output


@pytest.mark.slow
def test_hips_and_a_gallery_under_names_of_their_own(run, home):
    arguments = "--config config.py --checkpoint run --root hips --gallery 2"
    code, output, errors = run(*arguments.split())
    assert code == 0, errors
    assert "folder-hips" in output and "hips' midpoint" in output
    record = json.loads((home / "run" / "evaluation_mine_hips.json").read_text())
    assert record["model"]["protocol"]["root"] == [1, 4]
    picture = read_image(home / "run" / "evaluation_mine_hips_gallery.png")
    # Two rows; photo, prediction and truth of one of the worst and of a median one.
    assert picture.shape[0] > 2 * 192 and picture.shape[1] > 6 * 192
    # The true bodies, the third and the last of a row, are green on noise.
    columns = np.array_split(picture.astype(int), 6, axis=1)
    green = [(c[..., 1] - c[..., [0, 2]].max(-1) > 20).mean() for c in columns]
    assert min(green[2], green[5]) > max(green[1], green[4]) + 0.03


def test_two_evaluations_are_compared_without_a_checkpoint(run, home):
    run("--config", "config.py", "--checkpoint", "run")
    run("--config", "config.py", "--checkpoint", "run", "--root", "hips")
    own, hips = "run/evaluation_mine.json", "run/evaluation_mine_hips.json"
    for arguments in (("--compare", own, own), (f"--compare={own},{own}",)):
        code, output, errors = run(*arguments)
        assert code == 0, errors
        assert "B - A" in output and "no clear difference" in output
        assert f"{PEOPLE} in both" in output
    code, _, errors = run("--compare", own, hips)
    assert code == 2 and len(errors.splitlines()) == 1
    assert "'folder' and 'folder-hips' differ in name, root" in errors


def test_the_regressor_is_in_evaluation_mode(home):
    regressor, body, config = load_regressor(home / "run")
    assert body.name == "free-lite" and config.data.image_size == SIZE
    modules = [module for _, module in nnx.iter_modules(regressor)]
    dropouts = [m.deterministic for m in modules if isinstance(m, nnx.Dropout)]
    norms = [m.use_running_average for m in modules if isinstance(m, nnx.BatchNorm)]
    assert dropouts == [True] * 2 and norms == [True] * 20


MISTAKES = {
    "--config config.py --checkpoint nowhere": "nowhere: no such folder",
    "--config config.py --checkpoint people": "people: holds no config.json",
    "--config config.py --checkpoint run --dataset gone": "gone/annotations.npz",
    "--config config.py --checkpoint run --dataset min": "did you mean 'mine'?",
    "--config config.py --checkpoint run --which first": "--which=first",
    "--config config.py": "--checkpoint is missing",
    "--compare run/none.json run/none.json": "cannot read this evaluation",
    "--compare run/none.json": "--compare needs two files",
    "--config config.py --checkpoint run --gallery -1": "--gallery",
    "--config=config.py --checkpoint=run --config.regressor.hidden=32": (
        "config key 'regressor.hidden' is 16 in this training and 32 in --config"
    ),
}


@pytest.mark.parametrize("command", MISTAKES)
def test_a_mistake_is_one_line(run, command):
    code, _, errors = run(*command.split())
    assert code == 2
    assert len(errors.splitlines()) == 1, errors
    assert errors.startswith("error: ") and MISTAKES[command] in errors


def test_a_run_without_checkpoints_is_one_line(run, home):
    open_run_folder(str(home / "young"), load_config_file("config.py"))
    code, _, errors = run("--config", "config.py", "--checkpoint", "young")
    assert code == 2 and "holds no checkpoint yet" in errors
