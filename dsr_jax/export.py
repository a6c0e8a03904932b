"""A trained regressor as a program in StableHLO and a file of weights.

Whoever runs it needs JAX (or another StableHLO runtime) and NumPy, not Flax and not
this package. The program is `(weights, image) → results`: with the weights outside of
it, one program serves every checkpoint of a network.

    program.stablehlo    jax.export's serialization, for several platforms at once
    weights.safetensors  the regressor's weights and the body, by name
    signature.json       shapes and meanings of what goes in and comes out
"""

import dataclasses
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from dsr_jax.arrays import Array, UInt8
from dsr_jax.body import JOINT_NAMES, BodyModel, BodyParams, pose_body
from dsr_jax.camera import CROP_SIZE, FOCAL_LENGTH
from dsr_jax.errors import UserError
from dsr_jax.files import write_bytes
from dsr_jax.pipeline import predict
from dsr_jax.regressor import Regressor
from dsr_jax.regressor.safetensors_file import encode_safetensors

PROGRAM_FILE = "program.stablehlo"
WEIGHTS_FILE = "weights.safetensors"
SIGNATURE_FILE = "signature.json"
PLATFORMS = ("cpu", "cuda", "rocm", "tpu")
BATCH = "b"

_REGRESSOR, _BODY = "regressor", "body"
_RESULTS = {
    "pose": "(B, 24, 3, 3) rotation of each joint relative to its parent; the first "
    "turns the body to the camera's axes",
    "betas": "(B, 10) shape coefficients",
    "camera": "(B, 3) weak camera [s, tx, ty] of the crop: x = s (X + tx), "
    "y = s (Y + ty) in [-1, 1], x right and y down",
    "vertices": "(B, V, 3) metres; camera axes (x right, y down, z away), around the "
    "body's origin",
    "joints": "(B, 24, 3) metres, as the vertices",
}

Weights = dict[str, np.ndarray]
Results = dict[str, Array]


@dataclasses.dataclass(frozen=True)
class ExportedModel:
    """What `export_regressor` makes."""

    program: jax.export.Exported
    """`(weights, image) → results`."""
    weights: Weights
    """By name; float32, but for the body's faces, which are int32."""
    signature: dict[str, Any]
    """What goes in and comes out, in words and shapes."""


def export_regressor(
    regressor: Regressor,
    body: BodyModel,
    image_size: int,
    batch: int | None = None,
    platforms: Sequence[str] = ("cpu", "cuda", "tpu"),
) -> ExportedModel:
    """Lowers inference for every platform.

    Args:
      regressor: in evaluation mode.
      body: that its parameters are of.
      image_size: side of the crops, pixels.
      batch: images of a call; None leaves it open.
      platforms: some of `PLATFORMS`.

    Raises:
      ValueError: an unknown platform, or a batch below 1.
    """
    unknown = sorted(set(platforms) - set(PLATFORMS))
    if unknown or not platforms:
        raise ValueError(f"platforms {unknown or 'are none'}: give some of {PLATFORMS}")
    if batch is not None and batch < 1:
        raise ValueError(f"batch is {batch}: give 1 or more, or None")
    # Dropout is off: its random state decides nothing and stays inside the program.
    definition, random, state = nnx.split(  # type: ignore[misc]
        regressor, nnx.RngState, ...
    )
    # Of its joints, only those of the skeleton go out.
    bare = dataclasses.replace(body, joint_sets={})
    tree = {_REGRESSOR: nnx.to_pure_dict(state), _BODY: bare}
    leaves, structure = jax.tree_util.tree_flatten_with_path(tree)
    named = {_name(path): np.asarray(leaf) for path, leaf in leaves}

    def infer(weights: Mapping[str, Array], image: UInt8[Array, "B H W 3"]) -> Results:
        parts = jax.tree_util.tree_unflatten(structure, [weights[n] for n in named])
        nnx.replace_by_pure_dict(state, parts[_REGRESSOR])
        return _infer(nnx.merge(definition, random, state), parts[_BODY], image)

    count = jax.export.symbolic_shape(BATCH)[0] if batch is None else batch
    image = jax.ShapeDtypeStruct((count, image_size, image_size, 3), jnp.uint8)
    shapes = {n: jax.ShapeDtypeStruct(v.shape, v.dtype) for n, v in named.items()}
    program = jax.export.export(jax.jit(infer), platforms=list(platforms))(
        shapes, image
    )
    return ExportedModel(
        program, named, _signature(body, image_size, batch, list(platforms))
    )


def write_exported(folder: str | os.PathLike[str], model: ExportedModel) -> None:
    """Writes the three files; each appears whole, the signature last.

    Raises:
      UserError: the folder is missing or cannot be written to.
    """
    path = Path(folder)
    if not path.is_dir():
        raise UserError(f"{path}: no such folder; create it first")
    write_bytes(path / PROGRAM_FILE, bytes(model.program.serialize()))
    metadata = {"made_by": "dsr-jax", "for": PROGRAM_FILE}
    write_bytes(path / WEIGHTS_FILE, encode_safetensors(model.weights, metadata))
    text = json.dumps(model.signature, indent=2) + "\n"
    write_bytes(path / SIGNATURE_FILE, text.encode())


def largest_difference(
    model: ExportedModel,
    regressor: Regressor,
    body: BodyModel,
    image: UInt8[np.ndarray, "B H W 3"],
) -> dict[str, float]:
    """How far the serialized program's results are from the network's own.

    Largest absolute difference of each result; runs on this machine's platform.
    """
    program = jax.export.deserialize(model.program.serialize())
    theirs = program.call(model.weights, image)
    definition, state = nnx.split(regressor)

    @jax.jit
    def run(state: nnx.State, image: Array) -> Results:
        return _infer(nnx.merge(definition, state), body, image)

    ours = run(state, jnp.asarray(image))
    return {n: float(jnp.max(jnp.abs(ours[n] - theirs[n]))) for n in ours}


def _infer(regressor: Regressor, body: BodyModel, image: Array) -> Results:
    prediction = predict(regressor, image)
    mesh = pose_body(body, BodyParams(prediction.pose, prediction.betas))
    return {
        "pose": prediction.pose,
        "betas": prediction.betas,
        "camera": prediction.camera,
        "vertices": mesh.vertices,
        "joints": mesh.joints,
    }


def _signature(
    body: BodyModel, image_size: int, batch: int | None, platforms: list[str]
) -> dict[str, Any]:
    return {
        "image": {
            "shape": [batch or BATCH, image_size, image_size, 3],
            "dtype": "uint8",
            "meaning": "RGB crops: a square box around the person, resized",
        },
        "results": _RESULTS,
        "joints": list(JOINT_NAMES),
        "faces": f"{_BODY}/faces",
        "vertices": len(body.template),
        "full_camera": {
            "focal_length_px": FOCAL_LENGTH,
            "crop_px": CROP_SIZE,
            "translation": "(tx, ty, 2 focal_length_px / (crop_px s)), metres",
        },
        "platforms": platforms,
        "jax": jax.__version__,
    }


def _name(path: tuple[Any, ...]) -> str:
    return jax.tree_util.keystr(path, simple=True, separator="/")
