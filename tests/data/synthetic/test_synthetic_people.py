"""What a batch of synthetic people promises: the same key, exact annotations."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dsr_jax.body import BodyParams, body_joints, pose_body
from dsr_jax.data.synthetic import (
    SPLITS,
    ParserNoise,
    corrupt_labels,
    split_key,
    synthetic_people,
)
from dsr_jax.data.synthetic.damage import damage
from dsr_jax.errors import UserError
from dsr_jax.semantics import CIHP


def _again(key, body, settings):
    return jax.tree.map(np.asarray, synthetic_people(key, 12, body, settings))


def test_the_same_key_gives_the_same_bytes_without_compiling_again(
    people, body, settings
):
    compiled = synthetic_people._cache_size()
    again = _again(split_key(0, "train"), body, dataclasses.replace(settings))
    for field in dataclasses.fields(people):
        mine, other = getattr(people, field.name), getattr(again, field.name)
        np.testing.assert_array_equal(mine, other, err_msg=field.name)
    different = _again(split_key(0, "test"), body, settings)
    assert (different.image != people.image).mean() > 0.5
    assert np.abs(different.betas - people.betas).min() > 0
    assert synthetic_people._cache_size() == compiled


def test_split_keys_differ_by_seed_split_and_index():
    keys = {
        tuple(jax.random.key_data(split_key(seed, split, index)).tolist())
        for seed in (0, 1)
        for split in SPLITS
        for index in (0, 1, 7)
    }
    assert len(keys) == 18
    with pytest.raises(UserError, match="validation"):
        split_key(0, "validaton")


def test_shapes_types_and_ranges(people):
    assert people.image.shape == (12, 48, 48, 3) and people.image.dtype == np.uint8
    assert people.labels.shape == (12, 48, 48) and people.labels.dtype == np.uint8
    for field in dataclasses.fields(people):
        assert np.isfinite(getattr(people, field.name)).all(), field.name
    assert np.abs(people.betas).max() <= 2.5
    identity = people.pose @ np.swapaxes(people.pose, -1, -2)
    np.testing.assert_allclose(identity, np.tile(np.eye(3), (12, 24, 1, 1)), atol=1e-5)
    np.testing.assert_allclose(np.linalg.det(people.pose), 1, atol=1e-5)
    assert people.has_body.min() == people.has_labels.min() == 1
    # The rasterizer sees to 100 m.
    assert (44.64 / people.camera[:, 0]).max() < 95


def test_images_show_people_before_backgrounds(people):
    assert people.labels.max() < len(CIHP.names)
    share = (people.labels > 0).mean(axis=(1, 2))
    assert share.min() > 0.02 and 0.08 < share.mean() < 0.5
    shown = {CIHP.names[i] for i in np.unique(people.labels)}
    assert {"hair", "face", "upper-clothes", "left-arm", "right-arm"} <= shown
    assert {"pants", "left-shoe", "right-shoe", "torso-skin"} <= shown
    # Pictures with contrast, no two alike.
    assert people.image.std(axis=(1, 2, 3)).min() > 12
    assert len({image.tobytes() for image in people.image}) == 12


def test_joints_are_those_of_the_pose_and_betas(people, body):
    """Pose, betas and 3D joints agree, global orientation included."""
    params = BodyParams(jnp.asarray(people.pose), jnp.asarray(people.betas))
    mesh = jax.jit(pose_body)(body, params)
    joints = body_joints(body, mesh, "gt24")
    np.testing.assert_allclose(people.joints[..., :3], joints, atol=1e-5)
    assert (people.joints[..., 3] == 1).all()


def test_keypoints_are_projections_of_the_joints(people):
    """Pinhole of focal length 5000 px on 224 px crops, in float64."""
    scale, tx, ty = people.camera.astype(np.float64).T[..., None]
    x, y, z = np.moveaxis(people.joints[..., :3].astype(np.float64), -1, 0)
    depth = z + 5000 / (112 * scale)
    expected = np.stack([x + tx, -(y + ty)], -1) / depth[..., None] * 5000 / 112
    keypoints = people.keypoints_ndc[:, 25:]
    np.testing.assert_allclose(keypoints[..., :2], expected, atol=2e-5)
    confidence = people.keypoints_ndc[..., 2]
    outside = np.abs(people.keypoints_ndc[..., :2]).max(-1) >= 1
    assert set(np.unique(confidence)) == {0.0, 1.0}
    assert (confidence[outside] == 0).all()
    assert confidence.mean() > 0.6


def test_a_person_is_where_the_keypoints_are(people):
    """The label at a trusted wrist, knee or ankle, or next to it, is not background."""
    found, expected = 0, 0
    for labels, keypoints in zip(people.labels, people.keypoints_ndc, strict=True):
        for x, y, confidence in keypoints[[25, 26, 29, 30, 31, 36, 39]]:
            if confidence == 0:
                continue
            column, row = int((x + 1) * 24), int((1 - y) * 24)
            window = labels[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2]
            expected += 1
            found += bool((window > 0).any())
    assert expected > 40 and found >= 0.97 * expected


def test_a_person_fills_the_crop_as_boxes_of_spin_do(people):
    """Longer side of the joints' box times 1.2, within the scale jitter of 15 %."""
    joints = people.keypoints_ndc[:, 25:, :2]
    longest = (joints.max(1) - joints.min(1)).max(-1)
    whole = (np.abs(joints) < 1).all((1, 2))
    assert whole.sum() >= 6
    assert (longest[whole] < 2 / 1.2 * 1.16).all()
    assert (longest[whole] > 2 / 1.2 * 0.70).all()


@pytest.mark.slow
def test_who_has_a_number_depends_on_the_key_alone(people, body, settings):
    key = split_key(0, "train")
    later = synthetic_people(key, 12, body, settings, first=jnp.int32(4))
    for field in dataclasses.fields(people):
        mine, other = getattr(people, field.name)[4:], getattr(later, field.name)[:8]
        different = np.abs(np.asarray(mine, float) - np.asarray(other, float)) > 1e-5
        # Another program rounds otherwise: a pixel of an edge may change.
        limit = 1e-3 if field.name in ("image", "labels") else 0
        assert different.mean() <= limit, field.name


def test_damage_and_errors_go_by_number(people, settings):
    key = jax.random.key(5)
    settings = dataclasses.replace(settings, jpeg_probability=0.5)
    whole = damage(key, jnp.asarray(people.image[:4]), settings)
    part = damage(key, jnp.asarray(people.image[2:4]), settings, first=2)
    np.testing.assert_array_equal(whole[2:], part)
    noise = ParserNoise.scaled(1.0)
    whole = corrupt_labels(key, jnp.asarray(people.labels[:4]), noise)
    part = corrupt_labels(key, jnp.asarray(people.labels[2:4]), noise, first=2)
    np.testing.assert_array_equal(whole[2:], part)
