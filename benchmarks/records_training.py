"""Does training from record files reach the scores of training from the generator?

    python benchmarks/records_training.py --output /tmp/records_training

Makes a pool of synthetic people, writes them as a data set (PNG) and as records, and
trains on the same people in the same order: from memory as `configs/quickstart.py`
does, and from the records; then from memory with another seed, for the size of chance.
The last line is how far the batches of both are apart.
"""

import itertools
from pathlib import Path

import jax
import numpy as np
from absl import app, flags

from configs.quickstart import get_config
from dsr_jax.data import write_people
from dsr_jax.data.records import BuildSettings, DataSet, build_records
from dsr_jax.evaluation import protocol_by_name
from dsr_jax.training.data_source import (
    PeopleDataset,
    make_people,
    open_datasets,
    training_stream,
)
from dsr_jax.training.devices import device_mesh, replicated
from dsr_jax.training.loading import load_scene, regressor_builder
from dsr_jax.training.optimizer import build_optimizer
from dsr_jax.training.settings import RunSettings
from dsr_jax.training.state import create_state
from dsr_jax.training.step import build_train_step
from dsr_jax.training.validation import EvaluationSet, state_predictor

FLAGS = flags.FLAGS
flags.DEFINE_string("output", None, "Folder.", required=True)
flags.DEFINE_integer("people", 512, "Of the pool.")
flags.DEFINE_integer("steps", 300, "Of each training.")
flags.DEFINE_integer("batch_size", 16, "Of each step.")


def settings_of(records: Path | None, seed: int) -> RunSettings:
    """Flips and colours as for a pool; turned and scaled people would be others."""
    config = get_config()
    config.training.seed = seed
    config.training.steps = FLAGS.steps
    config.training.batch_size = FLAGS.batch_size
    config.data.pool = FLAGS.people
    config.augmentation.no_rotation_probability = 1.0
    config.augmentation.scale_std = 0.0
    # Label maps of a renderer need no cleaning, and those in memory have none.
    config.cleaning.others = "none"
    config.cleaning.speck_px = 0.0
    config.cleaning.refuse = False
    config.objective.dsr_start_step = FLAGS.steps // 2
    if records is not None:
        config.data.source = "folder"
        config.data.datasets = (("synthetic", str(records), "train", "", 1.0),)
    return RunSettings.from_config(config)


def stream_of(settings, body, mesh):
    return training_stream(settings, body, mesh, 0, open_datasets(settings))


def train(settings, mesh, validation):
    """Millimetres on the validation split, and the mean loss of the last tenth."""
    scene = jax.device_put(load_scene(settings), replicated(mesh))
    optimizer = build_optimizer(settings.optimizer, FLAGS.steps)
    key = jax.random.key(settings.training.seed)
    network, state = create_state(regressor_builder(settings), optimizer, key, mesh)
    step = build_train_step(network, optimizer, settings.pipeline, mesh)
    losses = []
    batches = stream_of(settings, scene.body, mesh)
    for batch in itertools.islice(batches, FLAGS.steps):
        state, metrics = step(state, scene, batch)
        losses.append(float(metrics["loss"]))
    bodies = state_predictor(network)
    result = validation.measure(bodies(state))
    return result.mpjpe, result.pa_mpjpe, np.mean(losses[-FLAGS.steps // 10 :])


def apart(first, second, mesh, body, count=8):
    """The largest difference of any number that counts in `count` batches."""
    worst = {}
    streams = (stream_of(settings, body, mesh) for settings in (first, second))
    for a, b in itertools.islice(zip(*streams, strict=True), count):
        a, b = jax.device_get((a, b))
        seen = (a.keypoints_ndc[..., 2:] > 0) & (b.keypoints_ndc[..., 2:] > 0)
        pairs = {
            "image": (a.image, b.image),
            "labels": (a.labels, b.labels),
            "keypoints": (a.keypoints_ndc * seen, b.keypoints_ndc * seen),
            "joints": (a.joints, b.joints),
            "pose": (a.pose, b.pose),
            "betas": (a.betas, b.betas),
        }
        for name, (x, y) in pairs.items():
            difference = np.abs(x.astype(np.float64) - y).max()
            worst[name] = max(worst.get(name, 0.0), difference)
    return worst


def main(_: list[str]) -> None:
    output, mesh = Path(FLAGS.output), device_mesh(jax.devices()[:1])
    pool = settings_of(None, 0)
    body = load_scene(pool).body
    people = make_people(body, pool.synthetic, 0, "train", FLAGS.people, mesh)
    write_people(output / "people", [people])
    source = DataSet("synthetic", str(output / "people")).open()
    records = output / "records"
    build_records(source, BuildSettings("synthetic", "train", records))
    unseen = make_people(body, pool.synthetic, 0, "validation", 256, mesh)
    protocol = protocol_by_name("synthetic")
    validation = EvaluationSet(
        "validation", PeopleDataset(unseen), protocol, Bodies(body), 64
    )
    print("from                      MPJPE  PA-MPJPE  loss at the end", flush=True)
    for name, run in {
        "generator": pool,
        "records": settings_of(records, 0),
        "generator, another seed": settings_of(None, 1),
    }.items():
        mpjpe, pa_mpjpe, loss = train(run, mesh, validation)
        print(f"{name:24s}  {mpjpe:5.1f}  {pa_mpjpe:8.1f}  {loss:15.3f}", flush=True)
    differences = apart(pool, settings_of(records, 0), mesh, body)
    print("batches differ by:", {name: f"{d:.1e}" for name, d in differences.items()})


if __name__ == "__main__":
    app.run(main)
