"""A few people for the tests of this folder, made once."""

import contextlib

import jax
import numpy as np
import pytest

from dsr_jax.body import load_body
from dsr_jax.data.synthetic import SyntheticSettings, split_key, synthetic_people
from dsr_jax.data.synthetic.poses import sample_pose
from dsr_jax.data.synthetic.surface import survey

SIZE = 48


@contextlib.contextmanager
def quick_compilation():
    """Unoptimized programs: they compile in half the time, and these are small."""
    before = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", True)
    try:
        yield
    finally:
        jax.config.update("jax_disable_most_optimizations", before)


@pytest.fixture(scope="module", autouse=True)
def quick():
    with quick_compilation():
        yield


@pytest.fixture(scope="session")
def body():
    return load_body("free-lite")


@pytest.fixture(scope="session")
def surface(body):
    return jax.jit(survey)(body)


@pytest.fixture(scope="session")
def settings():
    return SyntheticSettings(
        image_size=SIZE, supersampling=1, people_at_once=6, occluder_probability=0.5
    )


@pytest.fixture(scope="session")
def people(body, settings):
    """Twelve people of the training split, as NumPy arrays."""
    with quick_compilation():
        batch = synthetic_people(split_key(0, "train"), 12, body, settings)
    return jax.tree.map(np.asarray, batch)


@pytest.fixture(scope="session")
def rest_joints(body):
    return body.joint_regressor @ body.template


@pytest.fixture(scope="session")
def poses(rest_joints):
    """(400, 24, 3, 3) rotations of sampled people."""
    sample = jax.jit(jax.vmap(sample_pose, in_axes=(0, None, None)), static_argnums=2)
    keys = jax.random.split(jax.random.key(1), 400)
    with quick_compilation():
        return sample(keys, rest_joints, SyntheticSettings())
