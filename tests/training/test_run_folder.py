"""The folder of a run: its config comes back, and what may not change is one line."""

import json

import pytest
from ml_collections import ConfigDict

from dsr_jax.errors import UserError
from dsr_jax.training.run_folder import open_run_folder, read_run_config


def config_of(**changes):
    config = ConfigDict(
        {
            "training": {"steps": 10, "batch_size": 4},
            "data": {"datasets": (("coco", "a.npz", 0.5),)},
            "optimizer": {"learning_rate": 0.1, "clip_norm": 0.0},
        }
    )
    config.update_from_flattened_dict(changes)
    return config


def test_the_config_of_a_run_comes_back(tmp_path):
    folder = open_run_folder(str(tmp_path / "run"), config_of())
    assert read_run_config(folder) == config_of()
    assert json.loads((folder / "config.json").read_text())["training"]["steps"] == 10


def test_a_run_without_a_checkpoint_may_change(tmp_path):
    workdir = str(tmp_path / "run")
    open_run_folder(workdir, config_of())
    open_run_folder(workdir, config_of(**{"training.batch_size": 8}))
    assert read_run_config(workdir).training.batch_size == 8


def test_a_run_may_ask_for_more_steps_only(tmp_path):
    workdir = str(tmp_path / "run")
    folder = open_run_folder(workdir, config_of())
    (folder / "checkpoints" / "5").mkdir()
    open_run_folder(workdir, config_of(**{"training.steps": 20}))
    assert read_run_config(workdir).training.steps == 20
    with pytest.raises(UserError, match=r"'training.steps' is 20 .* and 10 now"):
        open_run_folder(workdir, config_of())
    with pytest.raises(UserError, match=r"'training.batch_size' is 4 .* and 8 now"):
        open_run_folder(
            workdir, config_of(**{"training.batch_size": 8, "training.steps": 20})
        )


def test_a_run_that_blew_up_may_go_on_more_carefully(tmp_path):
    """What the message of a diverged run recommends is possible."""
    workdir = str(tmp_path / "run")
    folder = open_run_folder(workdir, config_of())
    (folder / "checkpoints" / "5").mkdir()
    now = {"optimizer.learning_rate": 0.01, "optimizer.clip_norm": 5.0}
    open_run_folder(workdir, config_of(**now))
    assert read_run_config(workdir).optimizer.clip_norm == 5


def test_folder_errors(tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(UserError, match=r"--workdir .*file: cannot be made"):
        open_run_folder(str(file), config_of())
    with pytest.raises(UserError, match="no such folder"):
        read_run_config(tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"holds no config\.json"):
        read_run_config(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(UserError, match=r"config.json: cannot be read as JSON"):
        read_run_config(tmp_path)
