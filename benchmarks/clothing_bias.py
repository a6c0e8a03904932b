"""How fat does each form of the semantic terms want the body to be?

    python benchmarks/clothing_bias.py

Takes synthetic people in their true pose and shape, moves the naked skin outwards along
its normals by a few millimetres, and looks where each form is smallest. A term that
knows the body under the clothes is smallest at 0; one that rewards filling the
clothing, above; one that rewards hiding, below. Prints the mean over people of the best
inflation, in millimetres, and how much each term changes on the way.
"""

import argparse

import jax
import jax.numpy as jnp
import numpy as np
from dsr_forms import FORMS, make_people

from dsr_jax.body import BodyParams, load_body, pose_body
from dsr_jax.camera import project_weak_to_ndc
from dsr_jax.errors import one_line_errors
from dsr_jax.pipeline import Scene, compare_semantics
from dsr_jax.semantics import load_prior
from dsr_jax.training.command_line import OneLineParser
from dsr_jax.visualization.shading import vertex_normals

INFLATIONS_MM = (-20, -10, -5, 0, 5, 10, 20, 30)
CASES = (
    *("C softmax, 0.01", "C softmax visible, 0.01", "C softmax weighted, 0.01"),
    *("C softmax 8 classes, 0.01", "C softmax gamma 1e-3, 0.01"),
    *("C calibrated, 0.01", "C inside, literal, 0.01", "C inside, tolerant, 0.01"),
    *("MC, 0.01", "MC posterior, 0.002", "MC soft distance, 0.01"),
    *("FB soft IoU, 0.01", "FB soft distance, 0.01"),
)


def main() -> None:
    parser = OneLineParser(description=__doc__.split("\n")[0])
    parser.add_argument("--people", type=int, default=32)
    parser.add_argument("--size", type=int, default=224)
    with one_line_errors():
        measure(parser.parse_args())


def measure(arguments: argparse.Namespace) -> None:
    body = load_body("free-lite")
    scene = Scene(body, load_prior("free-lite"))
    people = make_people(body, arguments.people, "validation", arguments.size)
    mesh = jax.jit(pose_body)(body, BodyParams(people.pose, people.betas))
    vertices, faces = np.asarray(mesh.vertices), np.asarray(body.faces)
    outwards = np.stack([vertex_normals(v, faces) for v in vertices])
    shown = [
        project_weak_to_ndc(jnp.asarray(vertices + mm / 1000 * outwards), people.camera)
        for mm in INFLATIONS_MM
    ]
    print(f"{'form':28s} best, mm   change of the term, %, at {INFLATIONS_MM} mm")
    for name in CASES:
        losses = scan(name, scene, people, shown, arguments.size)
        best = np.array(INFLATIONS_MM)[losses.argmin(0)]
        neutral = losses[INFLATIONS_MM.index(0)]
        change = 100 * (losses.mean(1) / neutral.mean() - 1)
        print(f"{name:28s} {best.mean():+6.1f}    {np.round(change, 1)}", flush=True)


def scan(name, scene, people, shown, size):
    """The form's only term, (inflations, people)."""
    form = FORMS[name]
    pipeline = form.pipeline(size, joints_3d=0.0)
    (term,) = (t for t in ("dsr_mc", "dsr_c", "dsr_fb") if t in form.objective)

    @jax.jit
    def compare(vertices, scene, people):
        return compare_semantics(scene, vertices, people, pipeline)[term].values

    scene = form.scene(scene)
    return np.stack([np.asarray(compare(points, scene, people)) for points in shown])


if __name__ == "__main__":
    main()
