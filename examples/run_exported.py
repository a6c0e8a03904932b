"""Runs an exported regressor without Flax and without this package.

    pip install jax flatbuffers numpy opencv-python-headless safetensors
    python examples/run_exported.py --model exported --image photo.jpg --output person

`exported` is what tools/export_model.py wrote. The person fills the photo, or is in the
square box `--box u v side` (its centre and its side in pixels). Writes `person.npz`
with all results and `person.obj`, the mesh.
"""

import argparse
import json
import pathlib

import cv2
import jax
import numpy as np
from safetensors.numpy import load_file


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", type=pathlib.Path, required=True)
    parser.add_argument("--image", type=pathlib.Path, required=True)
    parser.add_argument("--box", type=float, nargs=3, metavar=("U", "V", "SIDE"))
    parser.add_argument("--output", type=pathlib.Path, required=True)
    arguments = parser.parse_args()

    if not (arguments.model / "program.stablehlo").is_file():
        raise SystemExit(f"{arguments.model}: holds no exported model")
    program = jax.export.deserialize(
        bytearray((arguments.model / "program.stablehlo").read_bytes())
    )
    weights = load_file(arguments.model / "weights.safetensors")
    signature = json.loads((arguments.model / "signature.json").read_text())

    photo = cv2.imread(str(arguments.image))
    if photo is None:
        raise SystemExit(f"{arguments.image}: not an image that can be read")
    count, size = signature["image"]["shape"][:2]
    crop = cut(cv2.cvtColor(photo, cv2.COLOR_BGR2RGB), arguments.box, size)
    # A program for a fixed number of images is given that many of the same.
    images = np.stack([crop] * (1 if isinstance(count, str) else count))
    results = program.call(weights, images)

    person = {name: np.asarray(value[0]) for name, value in results.items()}
    faces = weights[signature["faces"]]
    np.savez(arguments.output.with_suffix(".npz"), faces=faces, **person)
    write_obj(arguments.output.with_suffix(".obj"), person["vertices"], faces)
    print({name: value.shape for name, value in person.items()})


def cut(photo: np.ndarray, box: list[float] | None, size: int) -> np.ndarray:
    """The square crop: pixel k sees the photo at centre + side/size (k - (size-1)/2).

    `--box` gives the centre and the side; without it, the longer side of the photo.
    """
    height, width = photo.shape[:2]
    u, v, side = box or ((width - 1) / 2, (height - 1) / 2, max(height, width))
    step = side / size
    # So many samples a crop pixel that nothing is skipped.
    fine = size * max(1, int(np.ceil(step)))
    corner = -(side - side / fine) / 2
    affine = np.array([[side / fine, 0, u + corner], [0, side / fine, v + corner]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    patch = cv2.warpAffine(photo, affine, (fine, fine), flags=flags)
    return cv2.resize(patch, (size, size), interpolation=cv2.INTER_AREA)


def write_obj(path: pathlib.Path, vertices: np.ndarray, faces: np.ndarray) -> None:
    """The mesh with y up, as viewers expect."""
    lines = [f"v {x:.5f} {-y:.5f} {-z:.5f}" for x, y, z in vertices]
    lines += [f"f {a + 1} {b + 1} {c + 1}" for a, b, c in faces]
    path.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
