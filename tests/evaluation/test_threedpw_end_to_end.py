"""3DPW in small, from its raw pickles: our whole path, and a straight-line script.

The script opens the pickles with Python's own unpickler, poses SMPL with loops in
float64 and aligns with Horn's quaternions. It shares no code with what it checks.
"""

import pickle

import cv2
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from dsr_jax.body import BodyParams, load_body
from dsr_jax.data import CropDataset, CropSettings
from dsr_jax.data.readers import open_3dpw
from dsr_jax.evaluation import PROTOCOLS, Bodies, evaluate
from tests.body.smpl_fakes import smpl_arrays
from tests.data.miniatures.threedpw import PHOTO_SIZE, Sequence, write_3dpw
from tests.evaluation.slow_metrics import slow_align, slow_mpjpe

GENDERS = {"n": "NEUTRAL", "m": "MALE", "f": "FEMALE"}
VERTICES = 120
SEQUENCES = (
    Sequence("downtown_small_00", people=2, frames=5, invalid=((0, 1), (1, 4))),
    Sequence("office_small_01", frames=6, betas=300, invalid=((0, 0),)),
)
# A step between grey values that JPEG keeps apart.
STEP = 20


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """The data set, SMPL's three files and the regressor of Human3.6M's joints."""
    home = tmp_path_factory.mktemp("3dpw")
    random = np.random.default_rng(0)
    write_3dpw(home, SEQUENCES, random)
    photos = sorted((home / "imageFiles").rglob("*.jpg"))
    for number, path in enumerate(photos):
        grey = np.full((*PHOTO_SIZE, 3), number * STEP, np.uint8)
        Image.fromarray(grey).save(path)
    for seed, name in enumerate(GENDERS.values()):
        np.savez(home / f"SMPL_{name}.npz", **smpl_arrays(VERTICES, seed))
    regressor = random.dirichlet(np.full(VERTICES, 0.2), 17)
    np.save(home / "J_regressor_h36m.npy", regressor)
    return home


@pytest.fixture(scope="module")
def answers(home):
    """What the network says about each photo: rotations and betas in float32."""
    random = np.random.default_rng(1)
    count = len(list((home / "imageFiles").rglob("*.jpg")))
    turns = [cv2.Rodrigues(v)[0] for v in random.normal(0, 0.5, (count * 24, 3))]
    pose = np.reshape(turns, (count, 24, 3, 3)).astype(np.float32)
    return pose, random.normal(0, 1, (count, 10)).astype(np.float32)


def network(answers):
    """Knows the photo by the grey in the middle of the crop."""
    pose, betas = map(jnp.asarray, answers)

    def predict(images):
        photo = np.rint(np.asarray(images)[:, 16, 16, 0] / STEP).astype(int)
        return BodyParams(pose[photo], betas[photo])

    return predict


def by_our_path(home, answers, name):
    bodies = [
        load_body(
            home / f"SMPL_{gender}.npz", h36m_regressor=home / "J_regressor_h36m.npy"
        )
        for gender in GENDERS.values()
    ]
    dataset = CropDataset(open_3dpw(home, "test"), CropSettings(resolution=32))
    # Batches of 4 leave a part of the last one to be filled.
    return evaluate(network(answers), Bodies(*bodies), dataset, PROTOCOLS[name], 4)


def smpl(path, rotations, betas):
    """Loper et al. 2015, a joint and a vertex at a time."""
    data = {k: v.astype(float) for k, v in np.load(path).items()}
    rest = data["v_template"] + data["shapedirs"][:, :, :10] @ betas
    joints = data["J_regressor"] @ rest
    bent = (rotations[1:] - np.eye(3)).ravel()
    posed = rest + data["posedirs"] @ bent
    world = []
    for joint, parent in enumerate(data["kintree_table"][0].astype(int)):
        local = np.eye(4)
        local[:3, :3] = rotations[joint]
        local[:3, 3] = joints[joint] - (joints[parent] if joint else 0)
        world.append(world[parent] @ local if joint else local)
    moved = np.array(world)
    for joint in range(24):
        moved[joint, :3, 3] -= moved[joint, :3, :3] @ joints[joint]
    vertices = np.zeros_like(posed)
    for vertex, weights in enumerate(data["weights"]):
        transform = np.tensordot(weights, moved, 1)
        vertices[vertex] = transform[:3, :3] @ posed[vertex] + transform[:3, 3]
    return vertices


def by_script(home, answers, every_frame):
    """(sequence, person, frame) → MPJPE, PA-MPJPE, PVE in mm."""
    regressor = np.load(home / "J_regressor_h36m.npy")
    lsp = [6, 5, 4, 1, 2, 3, 16, 15, 14, 11, 12, 13, 8, 10]
    photos = sorted((home / "imageFiles").rglob("*.jpg"))
    errors = {}
    for path in sorted((home / "sequenceFiles" / "test").glob("*.pkl")):
        content = pickle.loads(path.read_bytes(), encoding="latin1")
        for person, gender in enumerate(content["genders"]):
            for frame, camera in enumerate(content["cam_poses"]):
                if not (every_frame or content["campose_valid"][person][frame]):
                    continue
                name = f"image_{frame:05d}.jpg"
                photo = photos.index(home / "imageFiles" / content["sequence"] / name)
                axes = content["poses"][person][frame].reshape(24, 3)
                turns = np.array([cv2.Rodrigues(axis)[0] for axis in axes])
                turns[0] = camera[:3, :3] @ turns[0]
                betas = content["betas"][person][:10]
                truth = smpl(home / f"SMPL_{GENDERS[gender]}.npz", turns, betas)
                said = [part[photo].astype(float) for part in answers]
                predicted = smpl(home / "SMPL_NEUTRAL.npz", *said)
                joints, true_joints = regressor @ predicted, regressor @ truth
                joints = (joints - joints[0])[lsp]
                true_joints = (true_joints - true_joints[0])[lsp]
                errors[content["sequence"], person, frame] = (
                    slow_mpjpe(joints, true_joints),
                    slow_mpjpe(slow_align(joints, true_joints), true_joints),
                    slow_mpjpe(predicted, truth),
                )
    return errors


@pytest.mark.parametrize("name", ["3dpw", "3dpw-all"])
def test_both_ways_give_the_same_millimetres(home, answers, name):
    result = by_our_path(home, answers, name)
    errors = by_script(home, answers, every_frame=name == "3dpw-all")
    assert result.count == len(errors) == (16 if name == "3dpw-all" else 13)
    means = np.mean(list(errors.values()), axis=0)
    ours = [result.mpjpe, result.pa_mpjpe, result.pve]
    print(f"largest difference of a mean: {np.abs(means - ours).max():.1e} mm")
    np.testing.assert_allclose(ours, means, rtol=0, atol=1e-4)
    assert np.min(means) > 50 and result.mpjpe != result.pa_mpjpe
    # Nobody is mistaken for another.
    worst = 0.0
    for (sequence, person, frame), expected in errors.items():
        label = f"imageFiles/{sequence}/image_{frame:05d}.jpg" + "#2" * person
        row = result.people["name"].tolist().index(label)
        own = [result.people[metric][row] for metric in ("mpjpe", "pa_mpjpe", "pve")]
        worst = max(worst, np.abs(np.subtract(own, expected)).max())
    print(f"largest difference of a person: {worst:.1e} mm")
    assert worst < 1e-4
    assert set(result.groups) == {sequence.name for sequence in SEQUENCES}
