"""Are 3D joints enough? Bodies fitted to exact joints, with and without labels.

    python benchmarks/are_joints_enough.py --joints 3d --output results.json

DSR's Fig. 4 as a measurement, on synthetic people, whose bodies are known. Every person
starts from the true pose with each joint turned at random (0.3 radians about each
axis), the mean shape and a camera 5 % too small. Joints alone bring all of them to
convergence (2 000 steps of Adam); from there, each form goes on for `--steps` with its
semantic terms, "joints alone" without. Weights and forms were chosen on the validation
split (`--split validation`); the test split is for reporting.

Prints, and writes to the output, which a second call continues: PVE and MPJPE (mm, hip
midpoints put together), mean IoU of the 24 body parts as drawn, and predicted over true
volume; each as the mean over people, and differences to "joints alone" with their
standard error.
"""

import argparse
import json
import pathlib
import time

import jax
import jax.numpy as jnp
import numpy as np
from dsr_forms import FORMS, make_people

from dsr_jax.body import BodyParams, body_joints, load_body, pose_body
from dsr_jax.camera import project_weak_to_ndc
from dsr_jax.data.synthetic import SyntheticSettings
from dsr_jax.errors import UserError, one_line_errors
from dsr_jax.files import read_bytes, write_bytes
from dsr_jax.fitting import FitSettings, fit_bodies, learn_pose_prior
from dsr_jax.pipeline import Scene
from dsr_jax.rasterizer import visible_faces
from dsr_jax.regressor import Prediction
from dsr_jax.rotations import axis_angle_to_matrix, matrix_to_rotation_6d
from dsr_jax.semantics import load_prior
from dsr_jax.training.command_line import OneLineParser

START_TURN = 0.3
PRIOR_WEIGHT = {"3d": 0.01, "2d": 0.1}
MINIMUM_PART_PIXELS = 20


def main() -> None:
    parser = OneLineParser(description=__doc__.split("\n")[0])
    parser.add_argument("--joints", choices=["2d", "3d"], required=True)
    parser.add_argument("--people", type=int, default=64)
    parser.add_argument("--split", default="test", choices=["validation", "test"])
    parser.add_argument("--parser-noise", type=float, default=0.0)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--forms", nargs="*", default=list(FORMS), choices=FORMS)
    parser.add_argument("--output", type=pathlib.Path, required=True)
    with one_line_errors():
        compare(parser.parse_args())


def compare(arguments: argparse.Namespace) -> None:
    if arguments.steps < 1:
        raise UserError(f"--steps {arguments.steps}: give 1 or more")
    rows = earlier_rows(arguments.output)
    body = load_body("free-lite")
    scene = Scene(body, load_prior("free-lite"))
    people = make_people(
        body, arguments.people, arguments.split, arguments.size, arguments.parser_noise
    )
    study = Study(scene, people, arguments)
    study_of = f"{arguments.split} {arguments.people}, {arguments.size} px, "
    study_of += f"{arguments.steps} steps, {arguments.joints}, "
    study_of += f"noise {arguments.parser_noise}"
    for name in arguments.forms:
        key = f"{study_of} | {name}"
        if key not in rows:
            began = time.monotonic()
            rows[key] = {k: np.round(v, 4).tolist() for k, v in study.run(name).items()}
            rows[key]["seconds"] = round(time.monotonic() - began)
            write_bytes(arguments.output, json.dumps(rows).encode())
        base = rows.get(f"{study_of} | joints alone")
        print(line(key, rows[key], base), flush=True)


def earlier_rows(output: pathlib.Path) -> dict[str, dict]:
    """What an earlier call has measured; refuses what could not be written later."""
    if not output.parent.is_dir():
        raise UserError(f"--output {output}: there is no such folder; create it first")
    if not output.exists():
        return {}
    try:
        rows = json.loads(read_bytes(output, "file of results"))
    except ValueError as error:
        raise UserError(f"--output {output}: is not json; name another") from error
    if not isinstance(rows, dict):
        raise UserError(f"--output {output}: holds no results; name another")
    return rows


class Study:
    """People, where they start, and what is measured."""

    def __init__(self, scene, people, arguments):
        self.scene, self.people, self.arguments = scene, people, arguments
        self.prior = learn_pose_prior(scene.body, SyntheticSettings())
        self.faces = np.asarray(scene.body.faces)
        self.part = np.asarray(scene.body.skinning_weights)[self.faces].sum(1).argmax(1)
        truth = BodyParams(people.pose, people.betas)
        self.truth = jax.jit(pose_body)(scene.body, truth)
        self.parts = self.draw_parts(self.truth.vertices, people.camera)
        self.start = self.fit("joints alone", disturbed(people), 2000, 0.02)

    def fit(self, name, start, steps, rate):
        """The bodies after a descent with one form."""
        arguments, form = self.arguments, FORMS[name]
        weight = PRIOR_WEIGHT[arguments.joints]
        settings = FitSettings(steps, rate, weight, weight, dsr_start=0.0)
        if name == "joints alone":
            settings = FitSettings(steps, rate, weight, weight, dsr_start=1.0)
        joints_3d = 5.0 if arguments.joints == "3d" else 0.0
        pipeline = form.pipeline(arguments.size, joints_3d)
        scene = form.scene(self.scene)
        fitted, _ = fit_bodies(
            scene, self.prior, start, self.people, pipeline, settings
        )
        return fitted

    def run(self, name):
        """Fits and measures one form, person by person."""
        fitted = self.fit(name, self.start, self.arguments.steps, 0.01)
        params = BodyParams(fitted.pose, fitted.betas)
        mesh = jax.jit(pose_body)(self.scene.body, params)
        ours, theirs = (
            np.asarray(body_joints(self.scene.body, m, "gt24"))
            for m in (mesh, self.truth)
        )
        hips = [(j[:, 2] + j[:, 3])[:, None] / 2 for j in (ours, theirs)]
        vertices = [np.asarray(m.vertices) for m in (mesh, self.truth)]
        return {
            "pve": distance(vertices[0] - hips[0], vertices[1] - hips[1]),
            "mpjpe": distance(ours - hips[0], theirs - hips[1]),
            "iou": part_iou(self.draw_parts(mesh.vertices, fitted.camera), self.parts),
            "volume": self.volume(vertices[0]) / self.volume(vertices[1]),
        }

    def draw_parts(self, vertices, camera):
        """The body part at each pixel, −1 where none."""
        points = project_weak_to_ndc(vertices, camera)
        size = (self.arguments.size, self.arguments.size)
        face = np.asarray(visible_faces(points, self.scene.body.faces, size).face)
        return np.where(face >= 0, self.part[face], -1)

    def volume(self, vertices):
        """Cubic metres (B,), by the divergence theorem."""
        a, b, c = (vertices[:, self.faces[:, i]] for i in range(3))
        return np.abs(np.einsum("bfc,bfc->b", a, np.cross(b, c)) / 6)


def disturbed(people):
    """The truth with every joint turned a bit, the mean shape, a smaller camera."""
    shape = people.pose.shape[:2]
    turns = START_TURN * jax.random.normal(jax.random.key(0), (*shape, 3))
    pose = jnp.einsum("bjac,bjcd->bjad", people.pose, axis_angle_to_matrix(turns))
    return Prediction(
        pose=pose,
        betas=jnp.zeros_like(people.betas),
        camera=people.camera * jnp.array([0.95, 1, 1]),
        rotation_6d=matrix_to_rotation_6d(pose),
    )


def distance(a, b):
    return 1000 * np.linalg.norm(a - b, axis=-1).mean(-1)


def part_iou(ours, theirs):
    """Mean over the parts that the true body shows, person by person."""
    result = []
    for a, b in zip(ours, theirs, strict=True):
        shown = [k for k in range(24) if np.sum(b == k) >= MINIMUM_PART_PIXELS]
        both = [
            np.sum((a == k) & (b == k)) / np.sum((a == k) | (b == k)) for k in shown
        ]
        result.append(np.mean(both))
    return np.array(result)


def line(key, row, base):
    """One row of the table."""
    text = f"{key:88s}"
    for name, digits in (("pve", 2), ("mpjpe", 2), ("iou", 3), ("volume", 3)):
        values = np.array(row[name])
        text += f" {name} {values.mean():.{digits}f}"
        if base is not None:
            change = values - base[name]
            error = change.std(ddof=1) / np.sqrt(len(change))
            text += f" ({change.mean():+.{digits}f} ± {error:.{digits}f})"
    return f"{text} {row['seconds']} s"


if __name__ == "__main__":
    main()
