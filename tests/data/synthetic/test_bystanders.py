"""Other people in the frame: where they are, what they hide, whose labels count."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dsr_jax.data.synthetic import SyntheticSettings
from dsr_jax.data.synthetic.bystanders import (
    Bystander,
    Drawn,
    add_bystanders,
    sample_bystander,
    shown_at,
)
from dsr_jax.data.synthetic.sampling import Draws

SIZE = 20


@pytest.fixture(scope="module")
def drawn():
    """Two pictures, each with a block of its own label and grey in the middle."""
    shows = np.zeros((2, SIZE, SIZE), bool)
    shows[:, 8:12, 8:12] = True
    labels = np.array([5, 9])[:, None, None] * np.ones_like(shows)
    colour = labels[:, None] / 10 * np.ones((2, 3, 1, 1))
    return Drawn(
        jnp.asarray(colour, jnp.float32), jnp.asarray(labels), jnp.asarray(shows)
    )


def _bystander(there=1.0, front=0.0, size=1.0, shift=(0.0, 0.0)):
    values = (there, front, size, shift)
    return Bystander(*(jnp.asarray([v, v], jnp.float32) for v in values))


def test_nobody_changes_nothing(drawn):
    joined, hidden = add_bystanders(drawn, _bystander(there=0.0, front=1.0))
    jax.tree.map(np.testing.assert_array_equal, joined, drawn)
    assert not hidden.any()


def test_behind_they_fill_what_is_free(drawn):
    """Two samples to the right and one up, of a frame of 20."""
    joined, hidden = add_bystanders(drawn, _bystander(shift=(0.2, 0.1)))
    labels = np.where(joined.shows, joined.labels, 0)
    assert (labels[0, 8:12, 8:12] == 5).all()
    assert (labels[0, 7, 10:14] == 9).all() and (labels[0, 7:11, 12:14] == 9).all()
    assert (labels[0] > 0).sum() == 16 + 16 - 2 * 3
    np.testing.assert_allclose(joined.colour[0, :, 7, 12], 0.9)
    assert not hidden.any()


def test_in_front_they_hide_the_person(drawn):
    joined, hidden = add_bystanders(drawn, _bystander(front=1.0, size=0.5))
    labels = np.where(joined.shows, joined.labels, 0)
    assert (labels[0, 9:11, 9:11] == 9).all() and (labels[1, 9:11, 9:11] == 5).all()
    assert hidden.sum() == 2 * 4 and (labels > 0).sum() == 2 * 16
    x = jnp.array([[0.0, 0.25], [0.05, 0.0]])
    y = jnp.array([[0.05, 0.0], [0.0, -0.25]])
    assert shown_at(hidden, x, y).tolist() == [[True, False], [True, False]]


def test_who_is_cut_off_stays_at_the_lower_border(drawn):
    cut = dataclasses.replace(drawn, shows=drawn.shows.at[:, 8:, 8:12].set(True))
    joined, _ = add_bystanders(cut, _bystander(size=0.5, shift=(0.6, 0.0)))
    added = np.asarray(joined.shows & ~cut.shows)
    assert added[0].any(1).argmax() >= 10 and added[0, -1].any()


def test_they_come_as_often_as_asked():
    settings = SyntheticSettings(
        bystander_probability=0.4, bystander_front_probability=0.25
    )
    keys = jax.random.split(jax.random.key(0), 2000)
    draw = jax.vmap(lambda key: sample_bystander(Draws(key, 8), settings))
    got = draw(keys)
    assert float(got.is_there.mean()) == pytest.approx(0.4, abs=0.04)
    assert float(got.is_in_front.mean()) == pytest.approx(0.25, abs=0.04)
    right = np.asarray(got.shift[:, 0] > 0)
    assert right.mean() == pytest.approx(0.5, abs=0.05)
    # In front they leave the middle of the frame free.
    assert np.abs(got.shift[:, 0])[np.asarray(got.is_in_front) > 0].min() > 0.6
