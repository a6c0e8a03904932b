"""A few people for the tests of this folder, made once."""

import jax
import numpy as np
import pytest

from dsr_jax.body import load_body
from dsr_jax.data.synthetic import SyntheticSettings, split_key, synthetic_people
from dsr_jax.data.synthetic.surface import survey

SIZE = 48


@pytest.fixture(scope="session")
def quick_compilation():
    """Unoptimized programs: they compile in half the time, and these are small."""
    before = jax.config.jax_disable_most_optimizations
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", before)


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
def people(quick_compilation, body, settings):
    """Twelve people of the training split, as NumPy arrays."""
    batch = synthetic_people(split_key(0, "train"), 12, body, settings)
    return jax.tree.map(np.asarray, batch)
