"""Clothes on the surface: where they are, that they stand off the skin, and skirts."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dsr_jax.body import BodyParams, mean_pose, pose_body
from dsr_jax.data.synthetic import SyntheticSettings
from dsr_jax.data.synthetic.cloth import cloth_offsets
from dsr_jax.data.synthetic.garments import (
    LAYER,
    layer_labels,
    margins,
    skin_label,
    visible_layer,
)
from dsr_jax.data.synthetic.hanging import RINGS, SEGMENTS, hang, tube_faces
from dsr_jax.data.synthetic.outfits import NOTHING, sample_outfit
from dsr_jax.data.synthetic.skeleton import world_rotations
from dsr_jax.semantics import CIHP


@pytest.fixture(scope="module")
def draw_outfit():
    return jax.jit(sample_outfit, static_argnums=1)


def _settings(**changes):
    always = dict(
        dress_probability=0.0,
        coat_probability=0.0,
        gloves_probability=0.0,
        scarf_probability=0.0,
        hat_probability=0.0,
        sunglasses_probability=0.0,
        shoes_probability=1.0,
        socks_probability=0.0,
        uppers=(("t-shirt", 1.0),),
        lowers=(("trousers", 1.0),),
        hair=(("short", 1.0),),
    )
    return SyntheticSettings(**{**always, **changes})


def _layers(surface, outfit):
    points = surface.points
    return np.asarray(visible_layer(margins(points, outfit, surface.landmarks)))


def test_a_t_shirt_and_trousers_are_where_they_belong(surface, draw_outfit):
    outfit = draw_outfit(jax.random.key(0), _settings())
    layer, points = _layers(surface, outfit), surface.points
    height, arm = np.asarray(points.height), np.asarray(points.arm)
    trunk = (height > 0.45) & (height < 0.75) & (arm < -0.5)
    thighs = (height > -1) & (height < -0.5)
    feet = height < -2.3
    forearms = (arm > 1.1) & (arm < 1.9)
    assert (layer[trunk] == LAYER["upper"]).all()
    assert (layer[thighs] == LAYER["lower"]).all()
    assert (layer[feet] == LAYER["shoes"]).all()
    assert (layer[forearms] == LAYER["skin"]).all()
    crown = height > 1.95
    assert (layer[crown] == LAYER["hair"]).all()


def test_bare_skin_has_the_labels_of_its_parts(surface):
    points, marks = surface.points, surface.landmarks
    label = np.asarray(skin_label(points, marks))
    left = np.asarray(points.x) > 0
    arm, height = np.asarray(points.arm), np.asarray(points.height)
    for part, region in (("arm", arm > 0.3), ("leg", height < -0.8)):
        assert (label[region & left] == CIHP.index(f"left-{part}")).all()
        assert (label[region & ~left] == CIHP.index(f"right-{part}")).all()
    belly = (height > 0.1) & (height < 0.6) & (arm < -0.5)
    assert (label[belly] == CIHP.index("torso-skin")).all()
    front = np.asarray(points.z) > float(marks.nose_z) - 0.03
    face = front & (np.asarray(points.y) > float(marks.chin_y) + 0.02)
    assert face.sum() > 3 and (label[face] == CIHP.index("face")).all()


def test_labels_follow_the_kind_of_garment(draw_outfit):
    dress = draw_outfit(jax.random.key(0), _settings(dress_probability=1.0))
    skirt = draw_outfit(jax.random.key(0), _settings(lowers=(("skirt", 1.0),)))
    assert layer_labels(dress)[LAYER["upper"]] == CIHP.index("dress")
    assert layer_labels(skirt)[LAYER["lower"]] == CIHP.index("skirt")
    assert layer_labels(skirt)[LAYER["upper"]] == CIHP.index("upper-clothes")
    assert float(dress.lower_hem) == NOTHING and float(dress.has_flare) == 1


def test_a_garment_never_drawn_is_never_worn(surface, draw_outfit):
    for seed in range(5):
        layer = _layers(surface, draw_outfit(jax.random.key(seed), _settings()))
        worn = set(np.unique(layer))
        absent = {"socks", "coat", "gloves", "scarf", "hat", "sunglasses"}
        assert not worn & {LAYER[name] for name in absent}
    everything = _settings(
        coat_probability=1.0,
        gloves_probability=1.0,
        scarf_probability=1.0,
        hat_probability=1.0,
        sunglasses_probability=1.0,
    )
    layer = _layers(surface, draw_outfit(jax.random.key(0), everything))
    present = {"coat", "gloves", "scarf", "hat", "sunglasses"}
    assert {LAYER[name] for name in present} <= set(np.unique(layer))


def test_clothes_stand_off_the_skin_and_loose_ones_more(surface, draw_outfit):
    """Offsets point outwards; bare skin stays; bounded by what cloth can do."""
    outfit = draw_outfit(jax.random.key(2), _settings())
    layer = _layers(surface, outfit)
    lengths = {}
    for loose in (0.0, 1.0):
        fitted = dataclasses.replace(
            outfit, upper_loose=jnp.asarray(loose), lower_loose=jnp.asarray(loose)
        )
        offsets = np.asarray(cloth_offsets(surface, fitted))
        outwards = (offsets * np.asarray(surface.cloth_normals)).sum(1)
        lengths[loose] = np.linalg.norm(offsets, axis=1)
        assert outwards.min() > -1e-6
    forearms = (np.asarray(surface.points.arm) > 1.3) & (layer == LAYER["skin"])
    assert lengths[1.0][forearms].max() == 0
    shirt = layer == LAYER["upper"]
    assert 0.002 < lengths[0.0][shirt].mean() < 0.012
    assert 0.015 < lengths[1.0][shirt].mean() < 0.05
    assert lengths[1.0].max() < 0.09


@jax.jit
def _wrapped(body, surface, outfit, pose):
    """A tube around the naked body in a pose, and the body's vertices."""
    params = BodyParams(pose=pose, betas=jnp.zeros(10))
    vertices = pose_body(body, params).vertices
    return hang(vertices, world_rotations(pose), surface, outfit), vertices


def test_a_skirt_spans_the_legs_in_any_pose(body, surface, draw_outfit, poses):
    """No vertex of the thighs is outside of the hull of its slice of the skirt."""
    outfit = draw_outfit(jax.random.key(1), _settings(lowers=(("skirt", 1.0),)))
    outfit = dataclasses.replace(
        outfit, flare_start=jnp.asarray(0.1), flare_hem=jnp.asarray(-1.2)
    )
    height = np.asarray(surface.points.height)
    for seed, pose in enumerate(poses[:5]):
        tube, vertices = _wrapped(body, surface, outfit, pose)
        rings = np.asarray(tube.vertices).reshape(RINGS, SEGMENTS + 1, 3)
        for ring in range(2, RINGS - 2):
            level = float(tube.points.height[ring * (SEGMENTS + 1)])
            near = np.asarray(vertices)[np.abs(height - level) < 0.03]
            loop = rings[ring] - rings[ring].mean(0)
            # Compared in the ring's own plane.
            _, _, axes = np.linalg.svd(loop)
            outline = loop @ axes[:2].T
            slice_ = (near - rings[ring].mean(0)) @ axes[:2].T
            turns = np.linspace(0, 2 * np.pi, 32, endpoint=False)
            directions = np.stack([np.cos(turns), np.sin(turns)])
            excess = (slice_ @ directions).max(0) - (outline @ directions).max(0)
            # Slices of the posed body are not flat: up to 3 cm at a bent hip.
            assert excess.max() < 0.03, (seed, ring)


def test_without_a_skirt_the_tube_is_one_point(body, surface, draw_outfit):
    outfit = draw_outfit(jax.random.key(1), _settings())
    tube, _ = _wrapped(body, surface, outfit, mean_pose())
    assert np.ptp(np.asarray(tube.vertices), axis=0).max() == 0
    faces = tube_faces(10)
    assert faces.min() == 10 and faces.max() == 9 + RINGS * (SEGMENTS + 1)
    assert np.isfinite(np.asarray(tube.normals)).all()


def test_leggings_are_pants_beneath_shorts(surface, draw_outfit):
    key, shorts = jax.random.key(3), (("shorts", 1.0),)
    bare = draw_outfit(key, _settings(lowers=shorts))
    outfit = draw_outfit(key, _settings(lowers=shorts, leggings_probability=1.0))
    before, after = _layers(surface, bare), _layers(surface, outfit)
    legs = (before == LAYER["skin"]) & (np.asarray(surface.points.height) < -0.3)
    assert legs.sum() > 50 and (after[legs] == LAYER["socks"]).all()
    np.testing.assert_array_equal(before[~legs], after[~legs])
    assert layer_labels(outfit)[LAYER["socks"]] == CIHP.index("pants")
    assert layer_labels(bare)[LAYER["socks"]] == CIHP.index("socks")
    trousers = draw_outfit(key, _settings(leggings_probability=1.0))
    assert trousers.has_leggings == 0 and trousers.sock_top == -NOTHING


def test_vests_are_coats_without_sleeves(surface, draw_outfit):
    key, worn = jax.random.key(1), dict(coat_probability=1.0, vest_probability=1.0)
    settings = _settings(uppers=(("long sleeve", 1.0),), **worn)
    layer = _layers(surface, draw_outfit(key, settings))
    arm = np.asarray(surface.points.arm)
    forearm = (arm > 0.3) & (arm < 1.6)
    assert (layer[forearm] == LAYER["upper"]).all()
    assert (layer == LAYER["coat"]).sum() > 50
