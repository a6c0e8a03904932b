"""What a run is measured on: who counts, and under which protocol."""

import dataclasses

import numpy as np
import pytest

from configs.base import base_config
from dsr_jax.body import load_body
from dsr_jax.data import write_people
from dsr_jax.errors import UserError
from dsr_jax.regressor import default_mean_parameters
from dsr_jax.training.devices import device_mesh
from dsr_jax.training.settings import RunSettings
from dsr_jax.training.validation import (
    check_evaluation_name,
    mean_body_predictor,
    open_evaluation_set,
)
from tests.training.tiny import PEOPLE, SIZE, make_batch

BODY = load_body("free-lite")


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    folder = tmp_path_factory.mktemp("people")
    people = make_batch()
    joints = people.joints.copy()
    joints[0, :, 3] = 0
    write_people(folder, [dataclasses.replace(people, joints=joints)])
    files = str(folder / "annotations.npz"), str(folder / "images")
    config = base_config()
    config.data.image_size = SIZE
    config.evaluation.datasets = (
        ("bodies", *files, "folder"),
        ("joints", *files, "h36m-p1"),
    )
    # Batches of 3 leave one person for the last, which is filled up.
    config.evaluation.batch_size = 3
    return RunSettings.from_config(config)


@pytest.mark.parametrize("name", ["bodies", "joints"])
def test_everyone_with_a_truth_counts_once(settings, name):
    chosen = open_evaluation_set(settings, BODY, device_mesh(), "test", name)
    mean_body = mean_body_predictor(default_mean_parameters())
    result = chosen.measure(mean_body, BODY)
    # One of the four people lacks the body, another one the joints.
    assert result.count == PEOPLE - 1
    assert np.isfinite(result.score)
    assert (result.pve is None) == (name == "joints")
    assert result.protocol.dataset == (
        "bodies" if name == "bodies" else "Human3.6M protocol 1"
    )


def test_an_unknown_name_is_one_line(settings):
    check_evaluation_name(settings, "synthetic")
    with pytest.raises(UserError, match=r"'bodie' is not .* did you mean 'bodies'\?"):
        check_evaluation_name(settings, "bodie")
