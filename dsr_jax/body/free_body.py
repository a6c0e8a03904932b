"""Reads the freely licensed bodies that come with the package.

They are baked by `tools/bake_free_body.py` from MakeHuman's CC0 mesh, shapes and rig;
see NOTICE. Geometry is stored as integers times a step, matrices by their entries.
"""

import importlib.resources

import jax.numpy as jnp
import numpy as np

from dsr_jax.arrays import Array
from dsr_jax.body.keypoints import (
    GROUND_TRUTH_NAMES_24,
    H36M_NAMES_17,
    KEYPOINT_NAMES_49,
    LSP14_FROM_H36M17,
    LSP_NAMES_14,
    OPENPOSE_NAMES_25,
    rows_of,
)
from dsr_jax.body.model import BodyModel, JointSet
from dsr_jax.body.skeleton import PARENTS

FREE_BODIES = ("free", "free-lite")


def load_free_body(name: str) -> BodyModel:
    """The free body (`free`) or its coarse version (`free-lite`), in float32."""
    asset = importlib.resources.files("dsr_jax.body") / "assets" / f"{name}.npz"
    with asset.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
        packed = {key: stored[key] for key in stored.files}
    count = len(packed["template"])
    return BodyModel(
        template=_scaled(packed, "template"),
        shape_directions=_scaled(packed, "shape_directions"),
        pose_directions=jnp.zeros((count, 3, 0), jnp.float32),
        skinning_weights=_skinning_weights(packed["bones"], packed["bone_weights"]),
        joint_regressor=_normalized(_dense(packed, "joint_regressor", 24, count)),
        faces=jnp.asarray(packed["faces"].astype(np.int32)),
        joint_sets=_joint_sets(packed, count),
        name=name,
        parents=PARENTS,
    )


def _scaled(packed: dict[str, np.ndarray], key: str) -> Array:
    values = packed[key].astype(np.float64) * packed[f"{key}_step"]
    return jnp.asarray(values.astype(np.float32))


def _skinning_weights(bones: np.ndarray, bone_weights: np.ndarray) -> Array:
    """(V, 24) from the four bones of each vertex and their integer weights."""
    weights = np.zeros((len(bones), 24))
    np.add.at(weights, (np.arange(len(bones))[:, None], bones), bone_weights)
    return _normalized(weights)


def _normalized(rows: np.ndarray) -> Array:
    """Rows that sum to 1, in float32."""
    return jnp.asarray((rows / rows.sum(1, keepdims=True)).astype(np.float32))


def _dense(
    packed: dict[str, np.ndarray], key: str, rows: int, columns: int
) -> np.ndarray:
    matrix = np.zeros((rows, columns))
    matrix[packed[f"{key}_row"], packed[f"{key}_column"]] = packed[f"{key}_value"]
    return matrix


def _joint_sets(packed: dict[str, np.ndarray], count: int) -> dict[str, JointSet]:
    joints49 = _joint_set(packed, "joints49", KEYPOINT_NAMES_49, count)
    h36m17 = _joint_set(packed, "h36m17", H36M_NAMES_17, count)
    return {
        "joints49": joints49,
        "openpose25": rows_of(joints49, np.arange(25), OPENPOSE_NAMES_25),
        "gt24": rows_of(joints49, np.arange(25, 49), GROUND_TRUTH_NAMES_24),
        "h36m17": h36m17,
        "lsp14": rows_of(h36m17, LSP14_FROM_H36M17, LSP_NAMES_14),
    }


def _joint_set(
    packed: dict[str, np.ndarray], key: str, names: tuple[str, ...], count: int
) -> JointSet:
    """Columns of the stored matrix: the 24 joints, then the vertices; rows sum to 1."""
    matrix = _normalized(_dense(packed, key, len(names), 24 + count))
    return JointSet(matrix[:, :24], matrix[:, 24:], names)
