"""A data set in memory whose images say who is in them, and who predicts from that."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from scipy.spatial.transform import Rotation

from dsr_jax.body import BodyParams, body_joints, pose_body
from dsr_jax.data import Batch, Person

LSP = [6, 5, 4, 1, 2, 3, 16, 15, 14, 11, 12, 13, 8, 10]


class FakePeople:
    """Implements what `evaluate` asks of a data set; counts which photos are read."""

    def __init__(self, people):
        self.people = people
        self.read = []

    def __len__(self):
        return len(self.people)

    def person(self, index):
        return self.people[index]

    def example(self, index, generator=None):
        assert generator is None
        self.read.append(index)
        person = self.people[index]
        turns = Rotation.from_rotvec(np.asarray(person.pose, np.float64)).as_matrix()
        return Batch(
            image=np.full((4, 4, 3), index, np.uint8),
            labels=np.zeros((4, 4), np.uint8),
            has_labels=np.zeros((), np.float32),
            keypoints_ndc=np.zeros((49, 3), np.float32),
            joints=person.joints,
            pose=turns.astype(np.float32),
            betas=person.betas,
            has_body=np.asarray(person.has_body, np.float32),
            camera=np.zeros(3, np.float32),
        )


def fake_people(count, seed=2, **fields):
    """People with a body and 24 joints; `fields` are lists with an entry a person."""
    random = np.random.default_rng(seed)
    people = []
    for index in range(count):
        joints = np.concatenate([random.normal(0, 0.4, (24, 3)), np.ones((24, 1))], -1)
        person = Person(
            name=f"photo {index}",
            image_name=f"photo {index}",
            box_center_px=np.zeros(2, np.float32),
            box_side_px=10.0,
            joints=joints.astype(np.float32),
            pose=random.normal(0, 0.3, (24, 3)).astype(np.float32),
            betas=random.normal(size=10).astype(np.float32),
            has_body=True,
        )
        own = {name: values[index] for name, values in fields.items()}
        people.append(dataclasses.replace(person, **own))
    return people


def params_of(people):
    """Body parameters of people, float32."""
    turns = [
        Rotation.from_rotvec(np.asarray(p.pose, float)).as_matrix() for p in people
    ]
    betas = np.stack([person.betas for person in people])
    return BodyParams(jnp.asarray(np.stack(turns), jnp.float32), jnp.asarray(betas))


def predictor(params):
    """Looks into the image for whose body to give."""

    def predict(images):
        who = np.asarray(images)[:, 0, 0, 0]
        return BodyParams(params.pose[who], params.betas[who])

    return predict


@jax.jit
def _posed(body, params):
    mesh = pose_body(body, params)
    return body_joints(body, mesh, "h36m17"), mesh.vertices, mesh.joints


def meshes(body, params):
    """H36M joints, vertices and skeleton, in float64."""
    return [np.asarray(part, np.float64) for part in _posed(body, params)]
