"""MakeHuman's 163 bones as SMPL's 24 joints, and its A-pose as a T-pose."""

import re
from collections.abc import Sequence

import numpy as np

from dsr_jax.body.skeleton import JOINT_FLIP, JOINT_NAMES, PARENTS
from free_body.makehuman import MakeHuman

# First match wins; the side is taken from the bone's own suffix.
_LIMB_BONES = (
    ("upperleg", "hip"),
    ("lowerleg", "knee"),
    ("foot", "ankle"),
    ("toe", "foot"),
    ("clavicle", "collar"),
    ("shoulder", "collar"),
    ("upperarm", "shoulder"),
    ("lowerarm", "elbow"),
    ("wrist", "wrist"),
    ("metacarpal", "wrist"),
    # The thumb starts at the wrist; SMPL's hand joint moves the other fingers.
    ("finger1-1", "wrist"),
    ("finger", "hand"),
)
_TRUNK_BONES = (
    (r"root|pelvis|spine05", "pelvis"),
    (r"spine04|spine03", "spine1"),
    (r"spine02|breast", "spine2"),
    (r"spine01", "spine3"),
    (r"neck", "neck"),
)
# MakeHuman marks each joint by a small cube; `l-` or `r-` is put before a limb's.
_JOINT_CUBES = {
    "pelvis": "pelvis",
    "spine1": "spine-4",
    "spine2": "spine-2",
    "spine3": "spine-1",
    "neck": "neck",
    "head": "head",
    "hip": "upper-leg",
    "knee": "knee",
    "ankle": "ankle",
    "foot": "foot-1",
    "collar": "clavicle",
    "shoulder": "shoulder",
    "elbow": "elbow",
    "wrist": "hand",
    "hand": "finger-3-1",
}
_INFLUENCES = 4
_COLLAR_LIFT = np.deg2rad(12)
# Parent, joint, child and where the bone from joint to child points in the rest pose.
_AIMED_BONES = (
    ("left_collar", "left_shoulder", "left_elbow", (1, 0, 0)),
    ("left_shoulder", "left_elbow", "left_wrist", (1, 0, 0)),
    ("left_elbow", "left_wrist", "left_hand", (1, 0, 0)),
    ("pelvis", "left_hip", "left_knee", (0.05, -1, -0.01)),
    ("left_hip", "left_knee", "left_ankle", (0, -1, -0.06)),
)


def skinning_weights(source: MakeHuman) -> np.ndarray:
    """(N, 24): bones added up by joint, symmetric, four joints a vertex at most."""
    weights = np.zeros((len(source.vertices), len(JOINT_NAMES)))
    for bone, amount in source.bone_weights.items():
        weights[:, JOINT_NAMES.index(_joint_of(bone))] += amount
    weights = weights + weights[source.mirror][:, JOINT_FLIP]
    # Strictly above the fifth largest: a tie between the sides is never broken.
    fifth = np.sort(weights, axis=1)[:, -_INFLUENCES - 1, None]
    weights = np.where(weights > fifth, weights, 0)
    total = weights.sum(1, keepdims=True)
    return weights / np.where(total > 0, total, 1)


def _joint_of(bone: str) -> str:
    side = {".L": "left", ".R": "right"}.get(bone[-2:])
    for prefix, joint in _LIMB_BONES:
        if side and bone.startswith(prefix):
            return f"{side}_{joint}"
    for pattern, joint in _TRUNK_BONES:
        if re.match(pattern, bone):
            return joint
    return "head"


def joint_positions(source: MakeHuman, vertices: np.ndarray) -> np.ndarray:
    """The joints (…, 24, 3) of base meshes (…, N, 3): the centres of their cubes."""
    cubes = []
    for name in JOINT_NAMES:
        side, _, part = name.rpartition("_")
        cubes.append("-".join(["joint", *side[:1], _JOINT_CUBES[part]]))
    return np.stack([source.center(cube, vertices) for cube in cubes], axis=-2)


def straighten(
    vertices: np.ndarray, joints: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Takes one person from the A-pose to the T-pose by undoing linear skinning.

    The vertices found are those that linear blend skinning takes back to the given
    A-pose exactly: its losses of volume then start from the A-pose, half-way between
    raised and hanging arms, where the mesh was sculpted.

    Args:
      vertices: (V, 3) in the A-pose.
      joints: (24, 3) in the A-pose.
      weights: (V, 24) skinning weights.

    Returns:
      Vertices and joints in the T-pose, with the pelvis where it was.
    """
    rotations = _rotations_to_t_pose(joints)
    straight = joints.copy()
    for joint, parent in enumerate(PARENTS):
        if parent >= 0:
            bone = joints[joint] - joints[parent]
            straight[joint] = straight[parent] + rotations[parent] @ bone
    back = rotations.transpose(0, 2, 1)
    shift = joints - np.einsum("jab,jb->ja", back, straight)
    blended = (weights @ back.reshape(-1, 9)).reshape(-1, 3, 3)
    offsets = vertices - weights @ shift
    return np.linalg.solve(blended, offsets[..., None])[..., 0], straight


def _rotations_to_t_pose(joints: np.ndarray) -> np.ndarray:
    """World rotations (24, 3, 3) that stretch the arms sideways and the legs down."""
    index = {name: i for i, name in enumerate(JOINT_NAMES)}
    rotations = np.tile(np.eye(3), (len(JOINT_NAMES), 1, 1))
    rotations[index["left_collar"]] = _rotation_about_z(_COLLAR_LIFT)
    for *names, direction in _AIMED_BONES:
        parent, joint, child = (index[name] for name in names)
        bone = rotations[parent] @ (joints[child] - joints[joint])
        rotations[joint] = _rotation_between(bone, direction) @ rotations[parent]
    rotations[index["left_hand"]] = rotations[index["left_wrist"]]
    for name, left in index.items():
        if name.startswith("left_"):
            mirror = np.diag([-1.0, 1.0, 1.0])
            rotations[JOINT_FLIP[left]] = mirror @ rotations[left] @ mirror
    return rotations


def _rotation_about_z(angle: float) -> np.ndarray:
    cosine, sine = np.cos(angle), np.sin(angle)
    return np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]])


def _rotation_between(start: np.ndarray, end: Sequence[float]) -> np.ndarray:
    """The shortest rotation from one direction to another, less than half a turn."""
    a, b = (np.asarray(d) / np.linalg.norm(d) for d in (start, end))
    x, y, z = np.cross(a, b)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + cross + cross @ cross / (1 + a @ b)
