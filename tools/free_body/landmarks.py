"""Named points of the free body: surface vertices, and mixtures of joints.

Only names and meanings are shared with the conventions of OpenPose, LSP, MPII and
Human3.6M; the places are chosen on this body's own geometry.
"""

import numpy as np

from dsr_jax.body.keypoints import (
    GROUND_TRUTH_NAMES_24,
    H36M_NAMES_17,
    OPENPOSE_NAMES_25,
)
from dsr_jax.body.skeleton import JOINT_FLIP, JOINT_NAMES
from free_body.makehuman import MakeHuman

# The rim of the lids above and below the pupil, metres from the front of the eyeball.
_LID_OFFSET = 0.006
# Human3.6M's hips come from markers and lie 0.13 m from the middle, MakeHuman's 0.11 m.
_H36M_HIP = {"left_hip": 1.1, "right_hip": -0.1}
# LSP's hips were clicked in the middle of the thigh's upper end, below the joint.
_LSP_HIP = {"left_hip": 0.95, "left_knee": 0.05}
_MIDDLE_OF_HIPS = {"left_hip": 0.5, "right_hip": 0.5}
# Between the collar bones' outer ends, at the height of the throat's pit.
_THORAX = {"neck": 0.6, "left_shoulder": 0.2, "right_shoulder": 0.2}
_HUMAN36M = {
    "spine": {"spine2": 1.0},
    "neck": _THORAX,
    "jaw": {"head": 0.5, "nose": 0.5},
    "head_top": {"head": 0.2, "head_top": 0.8},
    "pelvis": {"pelvis": 0.5, "left_hip": 0.25, "right_hip": 0.25},
}
_GROUND_TRUTH = {
    "neck_lsp": {"neck": 1.0},
    "head_top_lsp": {"head_top": 1.0},
    "pelvis_mpii": _MIDDLE_OF_HIPS,
    "thorax_mpii": _THORAX,
    "spine_h36m": _HUMAN36M["spine"],
    "jaw_h36m": _HUMAN36M["jaw"],
    "head_h36m": _HUMAN36M["head_top"],
}


def surface_points(
    source: MakeHuman, vertices: np.ndarray, candidates: np.ndarray
) -> dict[str, tuple[int, ...]]:
    """Vertices whose mean is the named point.

    Args:
      source: the base mesh.
      vertices: (N, 3) a symmetric person in the A-pose.
      candidates: indices of the vertices on the outer surface.
    """
    _, y, z = vertices.T
    middle = candidates[source.mirror[candidates] == candidates]
    left: dict[str, tuple[int, ...]] = {
        "eye": _eye(source, vertices, candidates),
        "ear": (_ear(source, vertices, candidates),),
        "big_toe": (_most(z, _moved_by(source, candidates, "toe1-2.L")),),
        "small_toe": (_most(z, _moved_by(source, candidates, "toe5-3.L")),),
        "heel": (_most(-z - y / 2, _moved_by(source, candidates, "foot.L")),),
    }
    points: dict[str, tuple[int, ...]] = {
        "nose": (_most(z, middle),),
        "head_top": (_most(y, middle),),
    }
    for name, ids in left.items():
        points[f"left_{name}"] = ids
        points[f"right_{name}"] = tuple(int(i) for i in source.mirror[list(ids)])
    return points


def _most(score: np.ndarray, candidates: np.ndarray) -> int:
    return int(candidates[np.argmax(score[candidates])])


def _moved_by(source: MakeHuman, candidates: np.ndarray, bone: str) -> np.ndarray:
    return candidates[source.bone_weights[bone][candidates] > 0.5]


def _eye(
    source: MakeHuman, vertices: np.ndarray, candidates: np.ndarray
) -> tuple[int, ...]:
    """Upper and lower lid in front of the pupil."""
    eyeball = vertices[np.unique(source.groups["helper-l-eye"])]
    front = eyeball[np.argmax(eyeball[:, 2])]
    above = np.array([0, _LID_OFFSET, 0])
    return tuple(
        _most(-np.linalg.norm(vertices - point, axis=1), candidates)
        for point in (front + above, front - above)
    )


def _ear(source: MakeHuman, vertices: np.ndarray, candidates: np.ndarray) -> int:
    """The middle of the left ear's outer rim."""
    head = candidates[source.bone_weights["head"][candidates] > 0.5]
    widest = vertices[head, 0].max()
    ear = head[vertices[head, 0] > 0.9 * widest]
    middle = vertices[ear].mean(0)
    return _most(-np.linalg.norm(vertices - middle, axis=1), ear)


def joints49_rows(points: dict[str, tuple[int, ...]], count: int) -> np.ndarray:
    """(49, 24 + V): `joints49` from the posed joints and vertices of this body."""
    openpose = [
        _mixture(name, {"mid_hip": _MIDDLE_OF_HIPS}) for name in OPENPOSE_NAMES_25
    ]
    hips = _both_sides("left_hip", _LSP_HIP)
    truth = [_mixture(name, _GROUND_TRUTH | hips) for name in GROUND_TRUTH_NAMES_24]
    return _rows(openpose + truth, points, count)


def h36m17_rows(points: dict[str, tuple[int, ...]], count: int) -> np.ndarray:
    """(17, 24 + V): `h36m17` from the posed joints and vertices of this body."""
    special = _HUMAN36M | _both_sides("left_hip", _H36M_HIP)
    return _rows([_mixture(name, special) for name in H36M_NAMES_17], points, count)


def _mixture(name: str, special: dict[str, dict[str, float]]) -> dict[str, float]:
    return special.get(name, {name: 1.0})


def _both_sides(name: str, mixture: dict[str, float]) -> dict[str, dict[str, float]]:
    flipped = {_flip(part): weight for part, weight in mixture.items()}
    return {name: mixture, _flip(name): flipped}


def _flip(joint: str) -> str:
    return JOINT_NAMES[JOINT_FLIP[JOINT_NAMES.index(joint)]]


def _rows(
    mixtures: list[dict[str, float]], points: dict[str, tuple[int, ...]], count: int
) -> np.ndarray:
    rows = np.zeros((len(mixtures), len(JOINT_NAMES) + count))
    for row, mixture in zip(rows, mixtures, strict=True):
        for name, weight in mixture.items():
            if name in points:
                ids = len(JOINT_NAMES) + np.array(points[name])
                row[ids] += weight / len(ids)
            else:
                row[JOINT_NAMES.index(name)] += weight
    return rows
