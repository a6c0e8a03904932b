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
    result = chosen.measure(mean_body)
    # One of the four people lacks the body, another one the joints.
    assert result.count == PEOPLE - 1
    assert np.isfinite(result.score)
    assert (result.pve is None) == (name == "joints")
    assert result.protocol.dataset == (
        "bodies" if name == "bodies" else "Human3.6M protocol 1"
    )


def test_a_run_asks_only_once_who_everybody_is(settings, monkeypatch):
    chosen = open_evaluation_set(settings, BODY, device_mesh(), "test", "bodies")
    asked = []
    person = chosen.dataset.person
    monkeypatch.setattr(
        chosen.dataset, "person", lambda index: asked.append(index) or person(index)
    )
    mean_body = mean_body_predictor(default_mean_parameters())
    first, second = (chosen.measure(mean_body) for _ in range(2))
    assert sorted(asked) == list(range(PEOPLE))
    assert first.summary() == second.summary()


def gendered(settings, **bodies):
    datasets = tuple((*entry[:3], "3dpw") for entry in settings.evaluation.datasets)
    return dataclasses.replace(
        settings,
        evaluation=dataclasses.replace(settings.evaluation, datasets=datasets),
        body=dataclasses.replace(settings.body, **bodies),
    )


def test_bodies_of_a_gender_are_loaded_where_the_protocol_asks(settings):
    both = gendered(settings, name="free-lite", male="free-lite", female="free-lite")
    chosen = open_evaluation_set(both, BODY, device_mesh(), "test", "bodies")
    assert chosen.protocol.name == "3dpw"
    assert chosen.bodies.male.name == chosen.bodies.female.name == "free-lite"
    nobody = "no/such/SMPL_MALE.pkl"
    with pytest.raises(UserError, match=nobody):
        lost = gendered(settings, male=nobody)
        open_evaluation_set(lost, BODY, device_mesh(), "test", "bodies")
    # No protocol asks, so that the file may be missing.
    plain = dataclasses.replace(settings, body=gendered(settings, male=nobody).body)
    chosen = open_evaluation_set(plain, BODY, device_mesh(), "test", "bodies")
    assert chosen.bodies.male is None


def test_an_unknown_name_is_one_line(settings):
    check_evaluation_name(settings, "synthetic")
    with pytest.raises(UserError, match=r"'bodie' is not .* did you mean 'bodies'\?"):
        check_evaluation_name(settings, "bodie")
