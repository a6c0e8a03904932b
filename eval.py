"""Measures a trained regressor and prints the numbers with their protocol.

    python eval.py --config configs/quickstart.py --checkpoint runs/quickstart
    python eval.py --compare runs/a/evaluation_3dpw.json runs/b/evaluation_3dpw.json

`--checkpoint` is the folder of a training. `--dataset` is "synthetic" or a name of the
config's `evaluation.datasets`; by default `evaluation.dataset`. The numbers are written
to evaluation_<dataset>.json in the run's folder, everybody's own to
evaluation_<dataset>_people.npz, and with `--gallery N` a picture of the N worst people
beside N median ones to evaluation_<dataset>_gallery.png. `--root hips` aligns on the
midpoint of the hips instead of the protocol's joint, under a name that says so.

`--compare` needs no checkpoint: it prints how two evaluations of one protocol differ,
with bootstrap intervals.

On several machines, start the same command on each (docs/launching.md); the first
process writes and prints for all.
"""

import dataclasses
from pathlib import Path

from absl import flags
from ml_collections import config_flags

from dsr_jax.data import write_image
from dsr_jax.errors import UserError
from dsr_jax.evaluation import (
    compare_evaluations,
    format_comparison,
    format_evaluation,
    read_evaluation,
    write_evaluation,
)
from dsr_jax.hosts import STUCK_SECONDS, WAIT_SECONDS, Hosts, joined_hosts
from dsr_jax.training.command_line import join_values, require, run_script
from dsr_jax.training.devices import device_mesh
from dsr_jax.training.ending import ends_within
from dsr_jax.training.error_gallery import error_gallery
from dsr_jax.training.loading import configured_mean, load_regressor
from dsr_jax.training.run_folder import check_same_network, read_run_config
from dsr_jax.training.settings import RunSettings
from dsr_jax.training.validation import (
    check_evaluation_name,
    compiled_regressor,
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
ROOT = flags.DEFINE_enum(
    "root", "protocol", ["protocol", "hips"], "What is aligned before MPJPE."
)
GALLERY = flags.DEFINE_integer(
    "gallery", 0, "How many of the worst people to draw.", lower_bound=0
)
HOST_WAIT = flags.DEFINE_float(
    "host_wait", WAIT_SECONDS, "Seconds to wait for a job's other processes.", 1.0
)
STUCK_AFTER = flags.DEFINE_float(
    "stuck_after", STUCK_SECONDS, "Seconds in which something must move.", 1.0
)
COMPARE = flags.DEFINE_list("compare", None, "Two JSON files of earlier evaluations.")


def main(_: list[str]) -> None:
    """Compares two evaluations, or makes one."""
    if COMPARE.value is not None:
        compare(COMPARE.value)
        return
    require(config=CONFIG.value, checkpoint=CHECKPOINT.value)
    with joined_hosts(HOST_WAIT.value, stuck_seconds=STUCK_AFTER.value) as hosts:
        evaluate(hosts)


def evaluate(hosts: Hosts) -> None:
    """The evaluation from top to bottom."""
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
    name = f"evaluation_{dataset}"
    if ROOT.value == "hips":
        test = dataclasses.replace(test, protocol=test.protocol.on_hips())
        name += "_hips"
    results = test.measure_all(
        {
            "model": regressor_predictor(regressor),
            "mean body": mean_body_predictor(configured_mean(settings)),
        }
    )
    result, baseline = results["model"], results["mean body"]

    ####################################################################################
    #                                     Report                                       #
    ####################################################################################

    path = folder / f"{name}.json"
    if hosts.is_first:
        write_evaluation(path, result, baseline)
    hosts.say(format_evaluation(result, baseline))
    hosts.say(f"\nwritten to {path}")
    if GALLERY.value:
        look = compiled_regressor(regressor)
        picture = folder / f"{name}_gallery.png"
        gallery = error_gallery(test, result, look, GALLERY.value)
        hosts.first_does(write_image, picture, gallery)
        hosts.say(f"the worst and the median people are in {picture}")


def compare(paths: list[str]) -> None:
    """Two files of earlier evaluations."""
    if len(paths) != 2:
        raise UserError("command line: --compare needs two files: --compare A B")
    first, second = map(read_evaluation, paths)
    print(format_comparison(first, second, compare_evaluations(first, second)))


def run() -> None:
    """The script."""
    join_values("compare", 2)
    run_script(main)


if __name__ == "__main__":
    with ends_within():
        run()
