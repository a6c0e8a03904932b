"""Poses that a person can take."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from dsr_jax.body import JOINT_NAMES, BodyParams, mirror_pose, pose_body
from dsr_jax.data.synthetic import SyntheticSettings
from dsr_jax.data.synthetic.collision import penetration, segment_distance
from dsr_jax.data.synthetic.joint_angles import (
    ANGLE_NAMES,
    LIMITS,
    angles_to_pose,
    mirror_angles,
    vector,
)
from dsr_jax.data.synthetic.poses import sample_angles
from dsr_jax.data.synthetic.skeleton import joint_positions, world_rotations

_to_pose = jax.jit(angles_to_pose)
_joints_of = jax.jit(lambda pose, rest: joint_positions(world_rotations(pose), rest))

J = {name: index for index, name in enumerate(JOINT_NAMES)}


@pytest.fixture(scope="module")
def ten_thousand():
    """Angles in degrees, and rotation matrices in float64."""
    keys = jax.random.split(jax.random.key(5), 10_000)
    sample = jax.jit(jax.vmap(sample_angles, in_axes=(0, None)), static_argnums=1)
    angles = sample(keys, SyntheticSettings(pose_spread=1.5))
    pose = np.asarray(_to_pose(angles), np.float64)
    return np.asarray(angles), pose


def _joints(rest_joints, **degrees):
    pose = _to_pose(jnp.asarray(vector(**degrees))[None])
    return np.asarray(_joints_of(pose, rest_joints))[0]


def test_all_angles_are_within_their_limits(ten_thousand):
    angles, _ = ten_thousand
    assert (angles >= LIMITS[:, 0] - 1e-3).all()
    assert (angles <= LIMITS[:, 1] + 1e-3).all()
    # And they make use of them.
    for name in ("left_knee", "right_elbow", "left_arm_flex", "right_hip_flex"):
        column = angles[:, ANGLE_NAMES.index(name)]
        low, high = LIMITS[ANGLE_NAMES.index(name)]
        assert np.ptp(column) > 0.8 * (high - low), name


def test_knees_are_hinges_that_bend_backwards_only(ten_thousand):
    _, pose = ten_thousand
    for joint in ("left_knee", "right_knee"):
        x, y, z = Rotation.from_matrix(pose[:, J[joint]]).as_rotvec(degrees=True).T
        assert x.min() > -0.01 and x.max() < 140.1
        assert max(np.abs(y).max(), np.abs(z).max()) < 0.05


def test_elbows_bend_one_way_only(ten_thousand):
    """Elbow = Ry(∓flexion) · Rx(twist): the forearm never leaves the half circle."""
    _, pose = ten_thousand
    for joint, sign in (("left_elbow", 1), ("right_elbow", -1)):
        forearm = pose[:, J[joint]] @ [sign, 0, 0]
        flexion = np.rad2deg(np.arctan2(forearm[:, 2], sign * forearm[:, 0]))
        assert np.abs(forearm[:, 1]).max() < 1e-5
        assert flexion.min() > -0.01 and flexion.max() < 142.1


def test_hips_spine_and_head_are_within_human_ranges(ten_thousand):
    _, pose = ten_thousand
    for joint, sign in (("left_hip", 1), ("right_hip", -1)):
        matrix = Rotation.from_matrix(pose[:, J[joint]])
        flex, abduct, turn = matrix.as_euler("XZY", degrees=True).T
        assert flex.min() > -122.1 and flex.max() < 22.1
        assert (sign * abduct).min() > -14.1 and (sign * abduct).max() < 45.1
        assert (sign * turn).min() > -32.1 and (sign * turn).max() < 45.1
    for chain, limit in ((("spine1", "spine2", "spine3"), 85), (("neck", "head"), 85)):
        total = np.eye(3)
        for joint in chain:
            total = total @ pose[:, J[joint]]
        assert np.rad2deg(Rotation.from_matrix(total).magnitude()).max() < limit


def test_upper_arms_stay_where_shoulders_allow(ten_thousand):
    """Seen from the trunk: not far behind it, and not across it behind the chest."""
    _, pose = ten_thousand
    for side, sign in (("left", 1), ("right", -1)):
        total = pose[:, J[f"{side}_collar"]] @ pose[:, J[f"{side}_shoulder"]]
        x, y, z = (total @ [sign, 0, 0]).T
        assert z.min() > -np.sin(np.deg2rad(46))
        assert (sign * x).min() > -np.sin(np.deg2rad(26))
        hangs = (y < -0.9) & (np.abs(z) < 0.2)
        # A hanging arm is at least 8° away from the body.
        assert hangs.sum() > 500 and (sign * x)[hangs].min() > np.sin(np.deg2rad(7))


def test_angles_move_limbs_the_way_their_names_say(rest_joints):
    upright = _joints(rest_joints)
    assert upright[J["left_wrist"], 1] < upright[J["left_elbow"], 1] - 0.2
    assert abs(upright[J["left_wrist"], 0] - upright[J["left_shoulder"], 0]) < 0.02
    knee = _joints(rest_joints, knee=90)
    assert knee[J["left_ankle"], 2] < upright[J["left_ankle"], 2] - 0.3
    hip = _joints(rest_joints, hip_flex=90)
    assert hip[J["right_knee"], 2] > upright[J["right_knee"], 2] + 0.3
    spread = _joints(rest_joints, hip_abduct=30)
    assert spread[J["left_ankle"], 0] > upright[J["left_ankle"], 0] + 0.3
    assert spread[J["right_ankle"], 0] < upright[J["right_ankle"], 0] - 0.3
    forward = _joints(rest_joints, arm_flex=90)
    assert forward[J["left_wrist"], 2] > upright[J["left_wrist"], 2] + 0.4
    elbow = _joints(rest_joints, elbow=90)
    assert elbow[J["right_wrist"], 2] > upright[J["right_wrist"], 2] + 0.2
    aside = _joints(rest_joints, arm_abduct=90)
    assert aside[J["right_wrist"], 0] < -0.6
    bent = _joints(rest_joints, spine_bend=40)
    assert bent[J["head"], 2] > upright[J["head"], 2] + 0.1
    turned = _joints(rest_joints, spine_twist=40)
    assert turned[J["right_shoulder"], 2] > turned[J["left_shoulder"], 2] + 0.1


def test_mirrored_angles_are_the_mirrored_pose(ten_thousand):
    angles = jnp.asarray(ten_thousand[0][:50])
    expected = mirror_pose(_to_pose(angles))
    np.testing.assert_allclose(_to_pose(mirror_angles(angles)), expected, atol=1e-5)


def test_the_skeleton_is_that_of_the_body(body, rest_joints, ten_thousand):
    pose = jnp.asarray(ten_thousand[1][:20], jnp.float32)
    mesh = jax.jit(pose_body)(body, BodyParams(pose=pose, betas=jnp.zeros((20, 10))))
    expected = mesh.joints - mesh.joints[:, :1]
    got = _joints_of(pose, rest_joints)
    np.testing.assert_allclose(got, expected, atol=1e-5)


def test_segment_distance_agrees_with_brute_force():
    generator = np.random.default_rng(0)
    points = generator.normal(size=(4, 60, 3))
    points[1, :5] = points[0, :5]  # a segment without length
    points[3, 5:10] = points[2, 5:10] + points[1, 5:10] - points[0, 5:10]  # parallel
    t = np.linspace(0, 1, 400)[:, None, None]
    first = points[0] + t * (points[1] - points[0])
    second = points[2] + t * (points[3] - points[2])
    brute = [
        np.linalg.norm(first[:, None, i] - second[None, :, i], axis=-1).min()
        for i in range(60)
    ]
    got = segment_distance(*jnp.asarray(points, jnp.float32))
    # Brute force steps along the segments: it overestimates by their grid.
    np.testing.assert_allclose(got, brute, atol=0.015)
    assert (np.asarray(got) <= np.asarray(brute) + 1e-5).all()


def test_penetration_sees_a_hand_in_the_belly(rest_joints):
    clear = _joints(rest_joints, arm_abduct=25, hip_abduct=8)
    inside = _joints(rest_joints, arm_abduct=4, arm_twist=85, elbow=105)
    assert float(penetration(jnp.asarray(clear))) == 0
    assert float(penetration(jnp.asarray(inside))) > 0.03


def test_sampled_people_are_not_inside_themselves(rest_joints, poses):
    depth = np.asarray(penetration(_joints_of(poses, rest_joints)))
    assert np.quantile(depth, 0.99) < 0.05 and np.mean(depth > 0.03) < 0.02
