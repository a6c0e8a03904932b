r"""Checkpoints of others into ours, and ours into theirs; PyTorch is not needed.

    python tools/convert_checkpoint.py --input model_checkpoint.pt --output runs/spin \
        --config configs/dsr.py --config.body.name=SMPL_NEUTRAL.pkl
    python tools/convert_checkpoint.py --input resnet50.pth --output r50.safetensors
    python tools/convert_checkpoint.py --input runs/dsr --output dsr.pt \
        --to torch --layout spin

An output without ending is the folder of a run at step 0, for `train.py`, `eval.py` and
`demo.py`; it needs a --config for the body. `.safetensors` holds the weights alone, for
`--config.training.start_from`. Every tensor is accounted for; see docs/checkpoints.md.
"""

from pathlib import Path

import jax
import jax.numpy as jnp
from absl import flags
from flax import nnx
from ml_collections import ConfigDict, config_flags

from dsr_jax.errors import UserError
from dsr_jax.files import write_bytes
from dsr_jax.regressor import (
    DSR_LAYOUT,
    OUR_LAYOUT,
    SPIN_LAYOUT,
    Published,
    Regressor,
    RegressorSettings,
    TorchLayout,
    WeightFile,
    WeightReport,
    default_mean_parameters,
    from_torch,
    open_weights,
    recognize,
    to_torch,
)
from dsr_jax.regressor.safetensors_file import encode_safetensors
from dsr_jax.regressor.torch_file import encode_torch_file
from dsr_jax.training.checkpoint import CHECKPOINTS, Checkpoints
from dsr_jax.training.command_line import require, run_script
from dsr_jax.training.devices import device_mesh
from dsr_jax.training.loading import (
    regressor_builder,
    restore_regressor,
    start_from_file,
)
from dsr_jax.training.optimizer import build_optimizer
from dsr_jax.training.run_folder import open_run_folder
from dsr_jax.training.settings import RunSettings
from dsr_jax.training.state import create_state

SAFETENSORS, TORCH = ".safetensors", (".pt", ".pth", ".ckpt")
# Layout → names of the tensors, and the entry of the file that holds them.
_BACKBONE = TorchLayout({"backbone.": ""})
_WRITTEN: dict[str, tuple[TorchLayout, str | None]] = {
    "spin": (SPIN_LAYOUT, "model"),
    "dsr": (DSR_LAYOUT, "state_dict"),
    "ours": (OUR_LAYOUT, None),
    "torchvision": (_BACKBONE, None),
    "hrnet": (_BACKBONE, None),
}

FLAGS = flags.FLAGS
flags.DEFINE_string("input", None, "A checkpoint file, or the folder of a run.")
flags.DEFINE_string(
    "output", None, "A new folder, a .safetensors file, or with --to torch a .pt file."
)
flags.DEFINE_enum("to", "ours", ["ours", "torch"], "Which way.")
flags.DEFINE_enum(
    "layout",
    "auto",
    ["auto", *_WRITTEN],
    "Whose names the PyTorch side has: the input, or with --to torch the output.",
)
flags.DEFINE_string("backbone", None, "The backbone that the input must have.")
flags.DEFINE_enum("which", "best", ["best", "latest"], "Which checkpoint of a run.")
CONFIG = config_flags.DEFINE_config_file("config", None, "Config of a run to be made.")


def main(_: list[str]) -> None:
    """Reads, accounts, writes."""
    require(input=FLAGS.input, output=FLAGS.output)
    source, output = Path(FLAGS.input).expanduser(), Path(FLAGS.output).expanduser()
    _check_output(source, output)
    if source.is_dir():
        _write_file(output, restore_regressor(source, FLAGS.which), None)
        print(f"wrote {output} from {source}")
        return
    file = open_weights(source)
    found = recognize(file.shapes, file.path)
    _check_expected(file, found)
    if output.suffix == "":
        report = make_run(file, found, output, CONFIG.value)
    else:
        regressor, report = fill_empty(file, found)
        _write_file(output, regressor, _backbone_names(found, report))
    print(format_report(file, found, report))
    print(f"wrote {output}")


def _check_output(source: Path, output: Path) -> None:
    """Refuses what cannot be written, before any work."""
    if FLAGS.to == "torch":
        if output.suffix not in TORCH:
            raise UserError(
                f"--output {output}: with --to torch, give a name that ends in "
                f"{', '.join(TORCH)}"
            )
        if FLAGS.layout == "auto":
            raise UserError(
                "--layout is missing: with --to torch, say whose names to write: "
                f"{', '.join(_WRITTEN)}"
            )
    elif output.suffix not in (SAFETENSORS, ""):
        raise UserError(
            f"--output {output}: give a folder or a name that ends in {SAFETENSORS}; "
            f"--to torch writes {TORCH[0]}"
        )
    elif output.suffix == "" and source.is_dir():
        raise UserError(
            f"--input {source}: is a run's folder already; name a {SAFETENSORS} file "
            f"as --output, or a {TORCH[0]} file with --to torch"
        )


def _check_expected(file: WeightFile, found: Published) -> None:
    """What the user says that the input is."""
    expected = {"backbone": (FLAGS.backbone, found.backbone)}
    if FLAGS.to == "ours" and FLAGS.layout != "auto":
        expected["layout"] = (FLAGS.layout, found.layout_name or "none of those")
    for flag, (wanted, has) in expected.items():
        if wanted not in (None, has):
            raise UserError(
                f"--{flag} {wanted}: {file.path} has {has}; leave the flag out to take "
                "it as it is"
            )


def make_run(
    file: WeightFile, found: Published, output: Path, config: ConfigDict | None
) -> WeightReport:
    """Writes a run's folder with the weights at step 0.

    Raises:
      UserError: no config, a backbone alone, a folder that holds a run, or tensors that
        do not fit.
    """
    if found.hidden is None:
        raise UserError(
            f"{file.path}: holds a backbone alone, which no run consists of; name a "
            f"{SAFETENSORS} file as --output"
        )
    if config is None:
        raise UserError(
            f"--output {output}: a run's folder needs --config for its body, such as "
            f"configs/dsr.py; or name a {SAFETENSORS} file"
        )
    if (output / CHECKPOINTS).is_dir() and any((output / CHECKPOINTS).iterdir()):
        raise UserError(f"--output {output}: holds a run already; name a new folder")
    config.regressor.backbone, config.regressor.hidden = found.backbone, found.hidden
    settings = RunSettings.from_config(config)
    network, state = create_state(
        regressor_builder(settings),
        build_optimizer(settings.optimizer, settings.training.steps),
        jax.random.key(settings.training.seed),
        device_mesh(),
    )
    state, report = start_from_file(state, file.path, network, settings.regressor)
    checkpoints = Checkpoints(open_run_folder(str(output), config))
    checkpoints.save(state, data={})
    checkpoints.close()
    return report


def fill_empty(file: WeightFile, found: Published) -> tuple[Regressor, WeightReport]:
    """A regressor of zeros with the file's weights in it.

    Raises:
      UserError: the tensors do not fit.
    """
    settings = RegressorSettings(backbone=found.backbone, hidden=found.hidden or 1)
    regressor = nnx.eval_shape(
        lambda: Regressor(settings, default_mean_parameters(), nnx.Rngs(0))
    )
    weights = nnx.state(regressor, nnx.Not(nnx.RngState))
    nnx.update(regressor, jax.tree.map(lambda w: jnp.zeros(w.shape, w.dtype), weights))
    return regressor, from_torch(regressor, file, found.layout, file.path)


def _backbone_names(found: Published, report: WeightReport) -> set[str] | None:
    """Which of the backbone's tensors the input had; None for a whole regressor."""
    if found.hidden is not None:
        return None
    prefix = found.layout.prefixes["backbone."]
    return {name.removeprefix(prefix) for name in report.converted}


def _write_file(output: Path, regressor: Regressor, names: set[str] | None) -> None:
    """Writes a regressor, or of its backbone the tensors with these names."""
    layout, key = _WRITTEN[FLAGS.layout if FLAGS.to == "torch" else "ours"]
    if names is not None:
        if FLAGS.to == "torch" and layout is not _BACKBONE:
            raise UserError(
                f"--layout {FLAGS.layout}: {FLAGS.input} holds a backbone alone; give "
                "--layout torchvision or hrnet"
            )
        layout = TorchLayout({"backbone.": layout.prefixes["backbone."]})
    tensors = {
        name: value
        for name, value in to_torch(regressor, layout).items()
        if names is None or name.removeprefix(layout.prefixes["backbone."]) in names
    }
    if FLAGS.to == "torch":
        write_bytes(output, encode_torch_file(tensors, key))
    else:
        write_bytes(output, encode_safetensors(tensors, {"format": "dsr_jax 1"}))


def format_report(file: WeightFile, found: Published, report: WeightReport) -> str:
    """Where every tensor of the file went, as a table."""
    head = "no head" if found.hidden is None else f"head of {found.hidden}"
    place = f" in '{file.place}'" if file.place else ""
    rows = [("converted", len(report.converted), f"{report.numbers:,} numbers")]
    for group, names in report.ignored.items():
        rows.append((f"ignored: {group}", len(names), names[0]))
    for group, names in report.kept.items():
        rows.append((f"missing, left as it is: {group}", len(names), names[0]))
    rows.append(("in the file", len(file), f"{file.numbers:,} numbers"))
    width = max(len(row[0]) for row in rows)
    whose = f"{found.layout_name or 'other'} names{place}"
    lines = [f"{file.path}: {found.backbone}, {head}; {whose}"]
    lines += [f"  {what:<{width}} {count:>6}  {note}" for what, count, note in rows]
    if file.others:
        lines.append(f"  not weights: {', '.join(file.others)}")
    return "\n".join(lines)


if __name__ == "__main__":
    run_script(main)
