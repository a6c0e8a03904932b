"""Trains a regressor of 3D human bodies.

    python train.py --config configs/quickstart.py --workdir runs/quickstart

Any value of the config can be changed: --config.optimizer.learning_rate=1e-4. The same
command continues a run that was interrupted. The run's folder then holds config.json,
metrics.jsonl, TensorBoard events, checkpoints/, pictures/ and evaluation JSON files.

On several machines, start the same command on each (docs/launching.md); the first
process writes and prints for all.
"""

import sys
from pathlib import Path

import jax
from absl import flags
from ml_collections import config_flags

from dsr_jax.data import write_image
from dsr_jax.errors import Interrupted
from dsr_jax.evaluation import format_evaluation, write_evaluation
from dsr_jax.hosts import (
    STUCK_SECONDS,
    WAIT_SECONDS,
    Hosts,
    is_first_host,
    joined_hosts,
)
from dsr_jax.training.checkpoint import Checkpoints, Retention
from dsr_jax.training.command_line import require, run_script
from dsr_jax.training.compilation import Compilations
from dsr_jax.training.data_source import (
    example_order,
    open_datasets,
    training_stream,
    trouble_counts,
    trouble_report,
    trouble_report_of_hosts,
)
from dsr_jax.training.devices import check_batch, device_mesh, put_everywhere
from dsr_jax.training.ending import ends_within
from dsr_jax.training.examination import Examination
from dsr_jax.training.example_book import ExampleBook
from dsr_jax.training.fault import fault_reporter
from dsr_jax.training.interruption import StopRequest
from dsr_jax.training.loading import (
    check_start_from,
    configured_mean,
    load_regressor,
    load_scene,
    regressor_builder,
    start_from,
)
from dsr_jax.training.loop import Hooks, Loop
from dsr_jax.training.metrics import METRICS_FILE, MetricWriter, read_metrics
from dsr_jax.training.optimizer import build_optimizer, learning_rate_schedule
from dsr_jax.training.pictures import build_panel, first_people
from dsr_jax.training.profiling import Profiler
from dsr_jax.training.run_folder import (
    PICTURES,
    check_shared,
    keep_same_data,
    open_run_folder,
)
from dsr_jax.training.settings import RunSettings
from dsr_jax.training.state import create_state
from dsr_jax.training.step import StepSettings, build_train_step
from dsr_jax.training.summary import loss_table
from dsr_jax.training.validation import (
    check_evaluation_name,
    mean_body_predictor,
    open_evaluation_set,
    regressor_predictor,
    state_predictor,
)

CONFIG = config_flags.DEFINE_config_file("config", None, "Config file, in Python.")
WORKDIR = flags.DEFINE_string("workdir", None, "Folder of the run; made if missing.")
PROFILE = flags.DEFINE_integer(
    "profile", 0, "Steps to trace into WORKDIR/profile.", lower_bound=0
)
HOST_WAIT = flags.DEFINE_float(
    "host_wait", WAIT_SECONDS, "Seconds to wait for a job's other processes.", 1.0
)
STUCK_AFTER = flags.DEFINE_float(
    "stuck_after", STUCK_SECONDS, "Seconds in which something must move.", 1.0
)


def main(_: list[str]) -> int:
    """Runs the training; a signal ends it with the signal's exit code."""
    require(config=CONFIG.value, workdir=WORKDIR.value)
    with StopRequest() as stop, Compilations() as compilations:
        try:
            with joined_hosts(
                HOST_WAIT.value, check=stop.check, stuck_seconds=STUCK_AFTER.value
            ) as hosts:
                run(stop, hosts, compilations)
        except Interrupted as interruption:
            if is_first_host():
                print(
                    f"interrupted ({interruption}): run the same command again to "
                    f"continue {WORKDIR.value} from its last checkpoint",
                    file=sys.stderr,
                )
            return interruption.exit_code
    return 0


def run(stop: StopRequest, hosts: Hosts, compilations: Compilations) -> None:
    """The training from top to bottom."""
    ####################################################################################
    #                                    Settings                                      #
    ####################################################################################
    # Everything that a user can get wrong is found before anything is written.

    settings = RunSettings.from_config(CONFIG.value)
    training = settings.training
    mesh = device_mesh()
    check_batch(training.batch_size, mesh, training.accumulate)
    scene = load_scene(settings)
    build_regressor = regressor_builder(settings)
    datasets = open_datasets(settings)
    check_evaluation_name(settings, settings.evaluation.dataset)
    check_start_from(training.start_from)

    def open_folder() -> str:
        folder = open_run_folder(str(WORKDIR.value), CONFIG.value)
        if datasets:
            order = example_order(settings, datasets)
            keep_same_data(folder, order.state(0)["datasets"])
        return str(folder)

    workdir = Path(hosts.from_first("the run's folder", open_folder))
    check_shared(workdir, CONFIG.value)

    ####################################################################################
    #                          State: shapes, start, restore                           #
    ####################################################################################

    optimizer = build_optimizer(settings.optimizer, training.steps)
    network, state = create_state(
        *(build_regressor, optimizer, jax.random.key(training.seed), mesh),
        training.parameters,
        ema=settings.optimizer.ema_decay > 0,
    )
    retention = Retention(training.keep_latest, training.keep_best, training.keep_every)
    checkpoints = Checkpoints(workdir, retention)
    book = ExampleBook(settings, datasets)
    if checkpoints.latest_step is not None:
        restored = checkpoints.restore_latest(state)
        book.check(restored.data, restored.step)
        state = restored.state
    elif training.start_from:
        state = start_from(state, training.start_from, network, settings.regressor)
    first = int(state.step)
    hosts.say(
        f"{workdir}: steps {first} to {training.steps} on {mesh.size} "
        f"{mesh.devices[0].device_kind} device(s)"
    )

    ####################################################################################
    #                                      Data                                        #
    ####################################################################################

    scene = put_everywhere(scene, mesh)
    validation = open_evaluation_set(
        settings, scene.body, mesh, "validation", check=stop.check
    )
    batches = training_stream(
        settings, scene.body, mesh, first, datasets, check=stop.check
    )

    ####################################################################################
    #                                Step, then the loop                               #
    ####################################################################################

    how = StepSettings.of(settings)
    train_step = build_train_step(network, optimizer, settings.pipeline, mesh, how)
    bodies = state_predictor(network)
    people = first_people(validation.dataset, training.pictures)
    examine = Examination(network, settings.pipeline, mesh, training.accumulate)
    hooks = Hooks(
        evaluate=lambda state: validation.measure(bodies(state)).summary(),
        draw=build_panel(network, scene, people, settings.pipeline),
        save_picture=lambda step, picture: hosts.first_does(
            write_image, workdir / PICTURES / f"step_{step:07d}.png", picture
        ),
        stream_state=book.state,
        report_fault=fault_reporter(workdir, examine, scene, book.names),
        count=lambda: trouble_counts(datasets),
        learning_rate=learning_rate_schedule(settings.optimizer, training.steps),
    )
    writer = MetricWriter(workdir, first)
    profiler = Profiler(workdir, PROFILE.value)
    loop = Loop(training, hooks, writer, checkpoints, stop, compilations, profiler)
    loop.train(state, train_step, scene, batches)
    batches.close()
    writer.close()
    checkpoints.close()
    unused = trouble_report_of_hosts(trouble_report(settings, datasets))
    if unused:
        hosts.say(unused)

    ####################################################################################
    #                         Evaluation of the best checkpoint                        #
    ####################################################################################

    regressor, *_ = load_regressor(workdir, "best")
    test = open_evaluation_set(settings, scene.body, mesh, "test", check=stop.check)
    mean_body = mean_body_predictor(configured_mean(settings))
    results = test.measure_all(
        {"model": regressor_predictor(regressor), "mean body": mean_body}
    )
    result, baseline = results["model"], results["mean body"]
    if hosts.is_first:
        write_evaluation(workdir / f"evaluation_{test.name}.json", result, baseline)
        print(format_evaluation(result, baseline))
        print()
        print(loss_table(read_metrics(workdir / METRICS_FILE)))


if __name__ == "__main__":
    with ends_within():
        run_script(main)
