"""Writes the mean pose that regressors of the free bodies start from.

    python tools/bake_mean_parameters.py --output dsr_jax/regressor/assets/mean.npz

The chordal mean of the poses of synthetic people (the rotation nearest to the mean of
the matrices, joint by joint), made left-right symmetric, upright and facing the camera.
The layout is that of SPIN's `smpl_mean_params.npz`; no SMPL data is used.
"""

import argparse
import pathlib

import jax
import jax.numpy as jnp
import numpy as np

from dsr_jax.body import JOINT_FLIP, load_body
from dsr_jax.data.synthetic import SyntheticSettings
from dsr_jax.data.synthetic.poses import sample_pose
from dsr_jax.rotations import matrix_to_rotation_6d

# A scale and position that show all of the body: SPIN's.
CAMERA = (0.9, 0.0, 0.0)
MIRROR = np.diag([-1.0, 1.0, 1.0])


def mean_rotations(people: int, seed: int) -> np.ndarray:
    """(24, 3, 3): pose[0] turns the body upright before the camera."""
    body = load_body("free-lite")
    rest_joints = body.joint_regressor @ body.template
    settings = SyntheticSettings()
    keys = jax.random.split(jax.random.key(seed), people)
    sample = jax.jit(jax.vmap(lambda key: sample_pose(key, rest_joints, settings)))
    mean = np.asarray(sample(keys), np.float64).mean(0)
    mirrored = MIRROR @ mean[np.asarray(JOINT_FLIP)] @ MIRROR
    left, _, right = np.linalg.svd((mean + mirrored) / 2)
    turns = np.linalg.det(left @ right)
    left[..., -1] *= turns[:, None]
    rotations = left @ right
    rotations[0] = np.diag([1.0, -1.0, -1.0])
    return rotations


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--output", type=pathlib.Path, required=True)
    parser.add_argument("--people", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    rotations = mean_rotations(arguments.people, arguments.seed)
    draft = arguments.output.with_suffix(".draft.npz")
    np.savez(
        draft,
        pose=np.asarray(matrix_to_rotation_6d(jnp.asarray(rotations))).reshape(144),
        shape=np.zeros(10, np.float32),
        cam=np.array(CAMERA, np.float32),
    )
    draft.replace(arguments.output)
    print(f"wrote {arguments.output}: mean of {arguments.people} poses")


if __name__ == "__main__":
    main()
