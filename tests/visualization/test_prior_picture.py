"""Pictures of priors: the right label at the right place, from every side."""

import jax.numpy as jnp
import numpy as np
import pytest

from dsr_jax.body import load_body
from dsr_jax.errors import UserError
from dsr_jax.semantics import CIHP, SemanticPrior, prior_per_face
from dsr_jax.visualization import (
    colour_bar,
    label_legend,
    likeliest_picture,
    probability_picture,
    standing_vertices,
    view_prior,
)

SIDE = 48
# Red, blue and green: at the edges, white adds to all channels alike.
LEFT, RIGHT, BOTH = (CIHP.index(n) for n in ("hair", "face", "skirt"))


@pytest.fixture(scope="module")
def model():
    return load_body("free-lite")


@pytest.fixture(scope="module")
def views(model):
    """Front, left side and back of a body, red on its left and blue on its right."""
    x = np.asarray(model.template)[:, 0]
    table = np.zeros((len(x), 20), np.float32)
    table[x > 0, LEFT] = 0.8
    table[x <= 0, RIGHT] = 0.8
    table[:, BOTH] = 0.2
    prior = SemanticPrior(jnp.asarray(table), jnp.ones(len(x)), "toy", "vertex")
    vertices, faces = standing_vertices(model), np.asarray(model.faces)
    turns = (0.0, np.pi / 2, np.pi)
    return [view_prior(prior, vertices, faces, SIDE, turn) for turn in turns]


def left_shares(picture):
    """Shares of the picture's left and right half's ink that are red, not blue."""
    shares = []
    for half in (picture[:, : SIDE // 2], picture[:, SIDE // 2 :]):
        ink = half[(half < 250).any(-1)]
        shares.append((ink[:, 0] > ink[:, 2]).mean())
    return shares


def test_the_front_shows_the_left_side_on_the_right(views):
    front, side, back = (left_shares(likeliest_picture(view)) for view in views)
    # Faces across the middle are coarse.
    assert front[0] < 0.1 and front[1] > 0.9
    assert back[0] > 0.9 and back[1] < 0.1
    assert min(side) > 0.8


def test_the_person_stands_upright_and_fits(views, model):
    covered = views[0].covered
    rows = np.flatnonzero(covered.any(1))
    assert 0 < rows[0] < 0.1 * len(covered) and rows[-1] > 0.9 * len(covered)
    head, feet = covered[rows[:6]].sum(), covered[rows[-6:]].sum()
    assert head > 0 and feet > 0
    vertices = standing_vertices(model)
    crown = np.asarray(model.template)[:, 1].argmax()
    assert vertices[crown, 1] == vertices[:, 1].min()  # y runs down


def test_heat_maps_span_their_scale(views):
    dark = probability_picture(views[0], CIHP.index("hat"), 1.0)
    light = probability_picture(views[0], BOTH, 0.2)
    middle = probability_picture(views[0], BOTH, 0.4)
    inside = (slice(SIDE // 2 - 2, SIDE // 2 + 2),) * 2  # the belly
    levels = [picture[inside].mean() for picture in (dark, middle, light)]
    assert levels[0] < levels[1] - 10 < levels[2] - 20
    bar = colour_bar(100, 0.4)
    assert bar[14, 5].sum() > bar[50, 5].sum() > bar[86, 5].sum()
    assert (bar[:, 20:] < 128).any()  # numbers


def test_a_prior_of_faces_looks_the_same(views, model):
    vertices, faces = standing_vertices(model), np.asarray(model.faces)
    x = np.asarray(model.template)[:, 0]
    table = np.zeros((len(x), 20), np.float32)
    table[x > 0, LEFT], table[x <= 0, RIGHT] = 1, 1
    prior = SemanticPrior(jnp.asarray(table), jnp.ones(len(x)), "toy", "vertex")
    of_faces = prior_per_face(prior, faces, len(x))
    picture = likeliest_picture(view_prior(of_faces, vertices, faces, SIDE))
    other = likeliest_picture(views[0])
    assert (np.abs(picture.astype(int) - other).max(-1) > 60).mean() < 0.02
    with pytest.raises(UserError, match="the body has 9"):
        view_prior(prior, vertices[:9], faces, SIDE)


def test_the_legend_holds_every_colour():
    legend = label_legend(600)
    assert legend.shape[1] == 600
    colours = {tuple(pixel) for pixel in legend.reshape(-1, 3).tolist()}
    assert all(tuple(colour) in colours for colour in CIHP.palette[1:].tolist())
