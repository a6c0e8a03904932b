"""What every host of a training measures and draws; run by test_many_hosts.py.

Arguments: the folder for the first host's `people_<name>_<count>.npz` and `panel.npy`,
and `betas_<host>.npy` of the synthetic people of each.
"""

import dataclasses
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import NamedSharding, PartitionSpec

from configs.base import base_config
from dsr_jax.data import Batch
from dsr_jax.data.synthetic import SyntheticSettings
from dsr_jax.evaluation import PROTOCOLS, Bodies
from dsr_jax.hosts import is_first_host
from dsr_jax.regressor import default_mean_parameters
from dsr_jax.training import data_source
from dsr_jax.training.devices import BATCH_AXIS, device_mesh, local_mesh, replicated
from dsr_jax.training.local_copy import local_copy
from dsr_jax.training.pictures import build_panel
from dsr_jax.training.settings import RunSettings
from dsr_jax.training.state import create_state
from dsr_jax.training.validation import (
    EvaluationSet,
    mean_body_predictor,
    state_predictor,
)
from tests.evaluation.fake_people import FakePeople, fake_people
from tests.training.tiny import TinyRegressor, make_batch, make_scene

SETTINGS = RunSettings.from_config(base_config())


def main() -> None:
    """Measures 7 people and 2, gathers what is split, and draws on the first host."""
    folder, mesh = Path(sys.argv[1]), device_mesh()
    network, state = create_state(
        TinyRegressor, optax.adam(1e-3), jax.random.key(0), mesh
    )
    scene = make_scene()
    # Bodies that lie on all hosts, as those of a training do.
    body = jax.jit(lambda body: body, out_shardings=replicated(mesh))(scene.body)
    predictors = {
        "model": state_predictor(network)(state),
        "mean": mean_body_predictor(default_mean_parameters()),
    }
    for count in (7, 2):
        people, protocol = FakePeople(fake_people(count)), PROTOCOLS["folder"]
        # On every host another number of batches, of which no number is a multiple.
        test = EvaluationSet("fake", people, protocol, Bodies(body), 3)
        for name, result in test.measure_all(predictors).items():
            assert result.count == count
            if is_first_host():
                np.savez(folder / f"people_{name}_{count}.npz", **result.people)
    check_split(mesh)
    if is_first_host():
        draw = build_panel(network, scene, make_batch(), SETTINGS.pipeline)
        np.save(folder / "panel.npy", draw(state))


def check_split(mesh: jax.sharding.Mesh) -> None:
    """A state that is split over all devices is gathered on each host."""
    split = NamedSharding(mesh, PartitionSpec(BATCH_AXIS))
    whole = np.arange(24.0, dtype=np.float32).reshape(8, 3)
    tree = jax.jit(
        lambda: {
            "w": jnp.asarray(whole),
            "keys": jax.random.split(jax.random.key(1), 4),
        },
        out_shardings=split,
    )()
    copy = local_copy(tree, local_mesh())
    np.testing.assert_array_equal(copy["w"], whole)
    np.testing.assert_array_equal(
        jax.random.key_data(copy["keys"]),
        jax.random.key_data(jax.random.split(jax.random.key(1), 4)),
    )


def make_people(mesh: jax.sharding.Mesh) -> Batch:
    """Three chunks of cheap people, who know their key."""

    def cheap(key, count, body, settings):
        one = jax.tree.map(lambda leaf: jnp.asarray(leaf[0]), make_batch())
        rows = jax.tree.map(lambda leaf: jnp.stack([leaf] * count), one)
        return dataclasses.replace(rows, betas=jax.random.normal(key, (count, 10)))

    data_source.synthetic_people = cheap
    body, settings = make_scene().body, SyntheticSettings(image_size=24)
    return data_source.make_people(body, settings, 0, "test", 70, mesh)


if __name__ == "__main__":
    main()
    betas = make_people(device_mesh()).betas
    np.save(Path(sys.argv[1]) / f"betas_{jax.process_index()}.npy", betas)
