"""Exports a trained regressor for use without Flax and without this package.

    python tools/export_model.py --checkpoint runs/dsr --output exported

writes `program.stablehlo` (images → pose, shape, camera, vertices and joints, through
`jax.export`, for CPU, CUDA and TPU in one file), `weights.safetensors` and
`signature.json`. examples/run_exported.py runs it. The weights hold the body, too: an
SMPL body stays under SMPL's licence.
"""

import argparse
from pathlib import Path

import numpy as np

from dsr_jax.data import make_folder
from dsr_jax.errors import UserError, one_line_errors
from dsr_jax.export import (
    PLATFORMS,
    export_regressor,
    largest_difference,
    write_exported,
)
from dsr_jax.training.command_line import OneLineParser
from dsr_jax.training.loading import load_regressor

# Of the largest result, on the machine that exports.
_AGREEMENT = 1e-4


def main() -> None:
    """Reads the command line and exports."""
    parser = OneLineParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoint", required=True, help="folder of a training")
    parser.add_argument("--output", type=Path, required=True, help="folder")
    parser.add_argument("--which", choices=("best", "latest"), default="best")
    parser.add_argument(
        "--batch", type=int, default=0, help="images of a call; 0, the default: any"
    )
    parser.add_argument(
        "--platforms", nargs="+", choices=PLATFORMS, default=("cpu", "cuda", "tpu")
    )
    with one_line_errors():
        export(parser.parse_args())


def export(arguments: argparse.Namespace) -> None:
    """Exports, compares the file's results with the network's, and writes.

    Raises:
      UserError: no such training, a damaged checkpoint, a folder that cannot be
        written, or results that differ.
    """
    if arguments.batch < 0:
        raise UserError(f"--batch {arguments.batch}: give 0 or more")
    regressor, body, config = load_regressor(arguments.checkpoint, arguments.which)
    size = int(config.data.image_size)
    output = make_folder(arguments.output)
    model = export_regressor(
        regressor, body, size, arguments.batch or None, arguments.platforms
    )
    shape = (arguments.batch or 2, size, size, 3)
    image = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    if "cpu" in arguments.platforms:
        differences = largest_difference(model, regressor, body, image)
        name = max(differences, key=lambda key: differences[key])
        if not differences[name] <= _AGREEMENT:
            raise UserError(
                f"{arguments.checkpoint}: the exported '{name}' differs by "
                f"{differences[name]:.2g} from the network's; nothing is written"
            )
        print(f"compared with the network: at most {differences[name]:.1e} apart")
    write_exported(output, model)
    for path in sorted(output.iterdir()):
        print(f"{path}: {path.stat().st_size / 2**20:.1f} MiB")


if __name__ == "__main__":
    main()
