"""What a run is measured on: who counts, and under which protocol."""

import dataclasses

import jax
import numpy as np
import optax
import pytest
from flax import nnx

from configs.base import base_config
from dsr_jax.body import load_body
from dsr_jax.data import write_people
from dsr_jax.errors import UserError
from dsr_jax.evaluation import points
from dsr_jax.regressor import default_mean_parameters
from dsr_jax.training.devices import batch_sharded, device_mesh
from dsr_jax.training.local_copy import local_copy
from dsr_jax.training.settings import RunSettings
from dsr_jax.training.state import create_state
from dsr_jax.training.validation import (
    check_evaluation_name,
    mean_body_predictor,
    open_evaluation_set,
    regressor_predictor,
    state_predictor,
)
from tests.evaluation.fake_people import fake_people, params_of
from tests.training.tiny import PEOPLE, SIZE, TinyRegressor, make_batch

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


def test_rows_do_not_depend_on_the_devices(settings):
    results = []
    regressor = TinyRegressor(nnx.Rngs(0))
    regressor.eval()
    for devices in (1, 2, 4):
        mesh = device_mesh(jax.devices()[:devices])
        chosen = open_evaluation_set(settings, BODY, mesh, "test", "bodies")
        assert chosen.mesh.size == devices
        look = regressor_predictor(regressor, mesh)
        shardings = []

        def watched(images, look=look, shardings=shardings):
            shardings.append(images.sharding)
            return look(images)

        results.append(chosen.measure(watched).people)
        # Batches of 3 are filled up until every device has as many.
        assert set(shardings) == {batch_sharded(mesh)}
    for result in results[1:]:
        np.testing.assert_array_equal(result["index"], results[0]["index"])
        for name in ("mpjpe", "pa_mpjpe", "pve", "pve_root"):
            # float32 bodies: a sum's order may differ with the number of rows.
            np.testing.assert_allclose(result[name], results[0][name], rtol=1e-6)


def test_posing_exchanges_nothing_between_devices():
    mesh = device_mesh()
    body = local_copy(BODY, mesh)
    params = jax.device_put(params_of(fake_people(8)), batch_sharded(mesh))
    lowered = points._posed.lower(body, params, "h36m17", True)
    text = lowered.compile().as_text()
    assert "num_partitions=4" in text
    for exchange in ("all-gather", "all-reduce", "all-to-all", "collective-permute"):
        assert exchange not in text


def test_a_state_is_measured_where_it_is_not(settings):
    """A state on one device is copied, and measured as the same weights are."""
    one = device_mesh(jax.devices()[3:])
    network, state = create_state(
        TinyRegressor, optax.adam(1.0), jax.random.key(0), one
    )
    chosen = open_evaluation_set(settings, BODY, device_mesh(), "test", "bodies")
    result = chosen.measure(state_predictor(network)(state))
    regressor = regressor_predictor(network.for_evaluation(state))
    assert result.summary() == chosen.measure(regressor).summary()


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
