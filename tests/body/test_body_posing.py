"""`pose_body` against SMPL's equations written a second time, slowly."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dsr_jax.body import (
    JOINT_FLIP,
    PARENTS,
    BodyModel,
    BodyParams,
    body_joints,
    load_body,
    mean_pose,
    mirror_pose,
    pose_body,
)
from dsr_jax.rotations import axis_angle_to_matrix

posed = jax.jit(pose_body)


def random_model(vertices=37, pose_features=207, dtype=np.float32, seed=0):
    """A body of no particular shape, about a metre large, with pose correctives."""
    random = np.random.default_rng(seed)
    weights = random.dirichlet(np.full(24, 0.2), vertices)
    regressor = random.dirichlet(np.full(vertices, 0.2), 24)
    arrays = {
        "template": random.normal(0, 0.5, (vertices, 3)),
        "shape_directions": random.normal(0, 0.03, (vertices, 3, 10)),
        "pose_directions": random.normal(0, 0.01, (vertices, 3, pose_features)),
        "skinning_weights": weights,
        "joint_regressor": regressor,
    }
    return BodyModel(
        **{name: jnp.asarray(array, dtype) for name, array in arrays.items()},
        faces=jnp.zeros((1, 3), jnp.int32),
        joint_sets={},
        name="random",
        parents=PARENTS,
    )


def random_params(batch=(), dtype=np.float32, seed=1):
    random = np.random.default_rng(seed)
    axis_angle = jnp.asarray(random.normal(0, 0.8, (*batch, 24, 3)), dtype)
    betas = jnp.asarray(random.normal(0, 1.5, (*batch, 10)), dtype)
    return BodyParams(pose=jax.jit(axis_angle_to_matrix)(axis_angle), betas=betas)


def reference_pose(model, pose, betas):
    """One person in float64, vertex by vertex, with 4 × 4 matrices."""
    get = lambda name: np.asarray(getattr(model, name), np.float64)  # noqa: E731
    pose, betas = np.asarray(pose, np.float64), np.asarray(betas, np.float64)
    shaped = get("template") + get("shape_directions") @ betas
    joints = get("joint_regressor") @ shaped
    feature = np.concatenate([(r - np.eye(3)).reshape(9) for r in pose[1:]])
    directions = get("pose_directions")
    posed = shaped + directions @ feature[: directions.shape[-1]]
    world = []
    for joint, parent in enumerate(PARENTS):
        local = np.eye(4)
        local[:3, :3] = pose[joint]
        local[:3, 3] = joints[joint] - (joints[parent] if parent >= 0 else 0)
        world.append(local if parent < 0 else world[parent] @ local)
    vertices = np.zeros_like(posed)
    for v, weights in enumerate(get("skinning_weights")):
        for joint, weight in enumerate(weights):
            relative = np.append(posed[v] - joints[joint], 1)
            vertices[v] += weight * (world[joint] @ relative)[:3]
    return vertices, np.array([matrix[:3, 3] for matrix in world])


@pytest.mark.parametrize("pose_features", [207, 0])
def test_agrees_with_the_slow_reference(pose_features):
    model, params = random_model(pose_features=pose_features), random_params((3,))
    mesh = posed(model, params)
    for person in range(3):
        vertices, joints = reference_pose(
            model, params.pose[person], params.betas[person]
        )
        # float32 on coordinates of about a metre
        np.testing.assert_allclose(mesh.vertices[person], vertices, atol=1e-5)
        np.testing.assert_allclose(mesh.joints[person], joints, atol=1e-5)


def test_free_body_agrees_with_the_slow_reference():
    model, params = load_body("free-lite"), random_params()
    mesh = posed(model, params)
    vertices, joints = reference_pose(model, params.pose, params.betas)
    np.testing.assert_allclose(mesh.vertices, vertices, atol=1e-5)
    np.testing.assert_allclose(mesh.joints, joints, atol=1e-5)


@pytest.mark.parametrize("batch", [(), (2,), (2, 3)])
def test_leading_axes_are_independent_people(batch):
    model, params = random_model(), random_params(batch)
    mesh = posed(model, params)
    assert mesh.vertices.shape == (*batch, 37, 3)
    assert mesh.joints.shape == (*batch, 24, 3)
    flat = jax.tree.map(lambda x: x.reshape(-1, *x.shape[len(batch) :]), params)
    vertices = mesh.vertices.reshape(-1, 37, 3)
    for person in range(len(flat.betas)):
        alone = posed(model, jax.tree.map(lambda x, i=person: x[i], flat))
        np.testing.assert_allclose(vertices[person], alone.vertices, atol=2e-6)


def test_vmap_over_people_with_one_shape():
    model, params = random_model(), random_params((4,))
    axes = BodyParams(pose=0, betas=None)
    shared = BodyParams(params.pose, params.betas[0])
    mapped = jax.jit(jax.vmap(pose_body, in_axes=(None, axes)))(model, shared)
    repeated = BodyParams(params.pose, jnp.tile(params.betas[:1], (4, 1)))
    np.testing.assert_allclose(
        mapped.vertices, posed(model, repeated).vertices, atol=2e-6
    )


@jax.jit
def weighted_sum(model, axis_angle, betas, weights):
    """A number whose derivatives are those of every vertex and joint."""
    mesh = pose_body(model, BodyParams(axis_angle_to_matrix(axis_angle), betas))
    return jnp.sum(weights[0] * mesh.vertices) + jnp.sum(weights[1] * mesh.joints)


weighted_sum_gradient = jax.jit(jax.grad(weighted_sum, argnums=(1, 2)))


def two_people_and_weights(seed):
    random = np.random.default_rng(seed)
    weights = [jnp.asarray(random.normal(size=(2, n, 3))) for n in (11, 24)]
    axis_angle = jnp.asarray(random.normal(0, 0.8, (2, 24, 3)))
    betas = jnp.asarray(random.normal(0, 1, (2, 10)))
    return axis_angle, betas, weights


def test_derivatives_match_finite_differences(float64):
    model = random_model(vertices=11, dtype=np.float64)
    axis_angle, betas, weights = two_people_and_weights(2)
    gradients = weighted_sum_gradient(model, axis_angle, betas, weights)
    random = np.random.default_rng(8)
    for _ in range(3):
        step = [jnp.asarray(random.normal(size=x.shape)) for x in (axis_angle, betas)]
        ahead, behind = (
            weighted_sum(model, axis_angle + h * step[0], betas + h * step[1], weights)
            for h in (1e-5, -1e-5)
        )
        slope = sum(np.vdot(g, s) for g, s in zip(gradients, step, strict=True))
        # central differences: error of order 1e-10 times the third derivative
        np.testing.assert_allclose(slope, (ahead - behind) / 2e-5, rtol=1e-7)


def test_gradient_at_rest_is_exact_beside_a_bent_person(float64):
    model = random_model(vertices=11, dtype=np.float64)
    axis_angle, betas, weights = two_people_and_weights(3)
    axis_angle = axis_angle.at[0].set(0)
    gradient = weighted_sum_gradient(model, axis_angle, betas, weights)[0]
    assert np.all(np.isfinite(gradient))
    for joint in (0, 4, 18):
        for axis in range(3):
            step = jnp.zeros_like(axis_angle).at[0, joint, axis].set(1e-5)
            ahead, behind = (
                weighted_sum(model, axis_angle + sign * step, betas, weights)
                for sign in (1, -1)
            )
            slope = (ahead - behind) / 2e-5
            np.testing.assert_allclose(gradient[0, joint, axis], slope, atol=1e-7)


def test_dtype_follows_the_inputs(float64):
    model, params = random_model(dtype=np.float64), random_params(dtype=np.float64)
    assert posed(model, params).vertices.dtype == jnp.float64
    model, params = random_model(dtype=np.float32), random_params(dtype=np.float32)
    assert posed(model, params).vertices.dtype == jnp.float32


@pytest.mark.parametrize(
    ("pose", "betas", "complaint"),
    [
        ((23, 3, 3), (10,), "pose must be"),
        ((24, 3, 3), (11,), "betas must be"),
        ((2, 24, 3, 3), (10,), "batch shape"),
        ((2, 24, 3, 3), (3, 10), "batch shape"),
    ],
)
def test_wrong_shapes_raise(pose, betas, complaint):
    with pytest.raises(ValueError, match=complaint):
        pose_body(random_model(), BodyParams(jnp.zeros(pose), jnp.zeros(betas)))


def test_mean_pose_stands_upright_before_the_camera():
    model = load_body("free-lite")
    mesh = posed(model, BodyParams(mean_pose(), jnp.zeros(10)))
    names = model.joint_sets["gt24"].names
    head, ankle = (mesh.joints[i] for i in (15, 7))
    assert head[1] < ankle[1] - 1.0  # y points down in the camera
    nose = body_joints(model, mesh, "gt24")[names.index("nose")]
    assert nose[2] < head[2] - 0.05  # z points away from the camera
    assert mesh.joints[1][0] > 0  # the left hip is on the image's right


def test_flipped_parameters_pose_the_mirror_image():
    model, params = load_body("free-lite"), random_params((2,))
    mesh = posed(model, params)
    flipped = posed(model, BodyParams(mirror_pose(params.pose), params.betas))
    mirror = jnp.array([-1.0, 1.0, 1.0])
    expected = mesh.joints[:, JOINT_FLIP] * mirror[None, None]
    np.testing.assert_allclose(flipped.joints, expected, atol=1e-5)
    template = np.asarray(model.template)
    partner = np.array(
        [np.abs(template * [-1, 1, 1] - vertex).sum(1).argmin() for vertex in template]
    )
    expected = mesh.vertices[:, partner] * mirror[None, None]
    np.testing.assert_allclose(flipped.vertices, expected, atol=1e-5)
    np.testing.assert_array_equal(mirror_pose(mirror_pose(params.pose)), params.pose)


def test_mirror_pose_negates_y_and_z_of_the_axis_angle():
    axis_angle = jnp.asarray(np.random.default_rng(4).normal(0, 1, (5, 24, 3)))
    flipped = axis_angle[:, JOINT_FLIP] * jnp.array([1.0, -1.0, -1.0])[None, None]
    rotate = jax.jit(axis_angle_to_matrix)
    np.testing.assert_allclose(
        mirror_pose(rotate(axis_angle)), rotate(flipped), atol=1e-6
    )
