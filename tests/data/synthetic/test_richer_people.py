"""Everything at once: what is new changes the pictures and leaves the people alone."""

import dataclasses

import jax
import numpy as np
import pytest

from dsr_jax.data.synthetic import split_key, synthetic_people
from dsr_jax.semantics import CIHP

pytestmark = pytest.mark.slow

SIZE = 64


@pytest.fixture(scope="module")
def make(body, settings):
    def call(**changes):
        changed = dataclasses.replace(
            settings, image_size=SIZE, occluder_probability=0.0, **changes
        )
        batch = synthetic_people(split_key(0, "train"), 16, body, changed)
        return jax.tree.map(np.asarray, batch)

    return call


@pytest.fixture(scope="module")
def plain(make):
    return make()


@pytest.mark.parametrize(
    "changes",
    [
        dict(object_probability=1.0),
        dict(hair_sheet_probability=1.0, vest_probability=1.0),
        dict(bystander_probability=1.0, bystander_front_probability=1.0),
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_new_things_leave_the_people_as_they_are(make, plain, changes):
    got = make(**changes)
    for name in ("pose", "betas", "camera", "joints", "has_body"):
        np.testing.assert_array_equal(getattr(got, name), getattr(plain, name))
    np.testing.assert_array_equal(
        got.keypoints_ndc[..., :2], plain.keypoints_ndc[..., :2]
    )
    assert (got.keypoints_ndc[..., 2] <= plain.keypoints_ndc[..., 2]).all()
    changed = (got.labels != plain.labels).mean((1, 2))
    assert 0 < changed.mean() < 0.4
    if "object_probability" in changes:
        # An object only takes labels away.
        gone = got.labels != plain.labels
        assert (got.labels[gone] == 0).all()
    if "hair_sheet_probability" in changes:
        hair = CIHP.index("hair")
        assert (got.labels == hair).sum() > 1.1 * (plain.labels == hair).sum()
    if "bystander_probability" in changes:
        assert (got.labels > 0).sum() > 1.2 * (plain.labels > 0).sum()
        assert (got.keypoints_ndc[..., 2] < plain.keypoints_ndc[..., 2]).any()


def test_damage_and_a_parser_leave_all_but_image_or_labels(make, plain):
    got = make(jpeg_probability=1.0, motion_blur_probability=1.0, parser_noise=1.0)
    np.testing.assert_array_equal(got.keypoints_ndc, plain.keypoints_ndc)
    assert (got.image != plain.image).any((1, 2, 3)).all()
    assert (got.labels != plain.labels).any((1, 2)).mean() > 0.9
