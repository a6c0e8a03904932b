"""Measures a trained regressor and prints the numbers with their protocol.

    python eval.py --config configs/quickstart.py --checkpoint runs/quickstart

`--checkpoint` is the folder of a training. `--dataset` is "synthetic" or a name of the
config's `evaluation.datasets`; by default `evaluation.dataset`. The numbers are written
to evaluation_<dataset>.json in the run's folder.
"""

from pathlib import Path

from absl import flags
from ml_collections import config_flags

from dsr_jax.evaluation import format_evaluation, write_evaluation
from dsr_jax.training.command_line import require, run_script
from dsr_jax.training.devices import device_mesh
from dsr_jax.training.loading import configured_mean, load_regressor
from dsr_jax.training.run_folder import check_same_network, read_run_config
from dsr_jax.training.settings import RunSettings
from dsr_jax.training.validation import (
    check_evaluation_name,
    mean_body_predictor,
    open_evaluation_set,
    regressor_predictor,
)

CONFIG = config_flags.DEFINE_config_file("config", None, "Config file, in Python.")
CHECKPOINT = flags.DEFINE_string("checkpoint", None, "Folder of a training.")
DATASET = flags.DEFINE_string("dataset", None, "What to measure on.")
WHICH = flags.DEFINE_enum(
    "which", "best", ["best", "latest"], "Which checkpoint of the training."
)


def main(_: list[str]) -> None:
    """The evaluation from top to bottom."""
    require(config=CONFIG.value, checkpoint=CHECKPOINT.value)
    settings = RunSettings.from_config(CONFIG.value)
    dataset = DATASET.value or settings.evaluation.dataset
    check_evaluation_name(settings, dataset)

    ####################################################################################
    #                                    Regressor                                     #
    ####################################################################################

    folder = Path(str(CHECKPOINT.value)).expanduser()
    check_same_network(folder, CONFIG.value, read_run_config(folder))
    regressor, body, _ = load_regressor(folder, WHICH.value)  # type: ignore[arg-type]

    ####################################################################################
    #                               Errors, and a baseline                             #
    ####################################################################################

    test = open_evaluation_set(settings, body, device_mesh(), "test", dataset)
    result = test.measure(regressor_predictor(regressor), body)
    baseline = test.measure(mean_body_predictor(configured_mean(settings)), body)

    ####################################################################################
    #                                     Report                                       #
    ####################################################################################

    path = folder / f"evaluation_{dataset}.json"
    write_evaluation(path, result, baseline)
    print(format_evaluation(result, baseline))
    print(f"\nwritten to {path}")


if __name__ == "__main__":
    run_script(main)
