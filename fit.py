r"""Fits bodies to photos by gradient descent on keypoints and clothing labels.

    python fit.py --image photo.jpg --openpose photo_keypoints.json \
        --labels photo_labels.png --output fits

Starts from the mean body, or with `--checkpoint RUN` from what a trained network sees;
`--method network` then fine-tunes the network on each image instead of the body's
numbers (exemplar fine-tuning). Each person gets an overlay, a side view, a mesh, the
numbers and `_fit.png`, before and after; `--animation` adds `_fit.gif`. `--image` may
be a folder; `--openpose` and `--labels` then are folders, too. A data set in SPIN's
layout, 3D joints included, is `--annotations data.npz --image images --labels labels`.
Any value of the config can be changed: --config.objective.dsr_mc=0.

It answers the paper's question "are 3D joints enough?" for one's own photos; on
synthetic people, whose bodies are known, benchmarks/are_joints_enough.py does.
"""

from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags
from ml_collections import config_flags
from PIL import Image
from tqdm import tqdm

from dsr_jax.body import BodyModel, BodyParams, pose_body
from dsr_jax.data import Batch, make_folder, read_image
from dsr_jax.errors import UserError
from dsr_jax.fitting import (
    PosePrior,
    fine_tune,
    fit_bodies,
    learn_pose_prior,
    start_at_keypoints,
)
from dsr_jax.fitting.people import (
    FitPerson,
    find_annotated_people,
    find_people,
    person_batch,
)
from dsr_jax.fitting.report import before_and_after, frame, silhouette_overlap
from dsr_jax.fitting.settings import FitRun
from dsr_jax.pipeline import Scene, predict
from dsr_jax.regressor import (
    Prediction,
    Regressor,
    default_mean_parameters,
    load_mean_parameters,
)
from dsr_jax.semantics import taxonomy_by_name
from dsr_jax.settings import settings_from_config
from dsr_jax.training import load_regressor
from dsr_jax.training.command_line import default_config, require, run_script
from dsr_jax.training.loading import load_configured_scene
from dsr_jax.training.settings import BodySettings, SemanticsSettings
from dsr_jax.visualization import FittedPerson, write_image, write_person

FLAGS = flags.FLAGS
CONFIG = config_flags.DEFINE_config_file(
    "config", None, "Config file; configs/fit.py by default."
)
flags.DEFINE_string("image", None, "A photo, or a folder of photos.")
flags.DEFINE_string("openpose", None, "OpenPose's json (BODY_25), or a folder of them.")
flags.DEFINE_string("annotations", None, "Instead of --openpose: SPIN's .npz.")
flags.DEFINE_integer("limit", 8, "People of --annotations at most.", lower_bound=1)
flags.DEFINE_string("labels", None, "The photo's label map (PNG), or a folder of them.")
flags.DEFINE_string("taxonomy", "cihp", "Of the label maps: cihp, lip, atr or pascal.")
flags.DEFINE_string("checkpoint", None, "Folder of a training run to start from.")
flags.DEFINE_enum("method", "body", ["body", "network"], "What descends.")
flags.DEFINE_bool("animation", False, "Also write the descent as a GIF.")
flags.DEFINE_string("output", None, "Where the files go; made if it does not exist.")

_MILLISECONDS_A_FRAME = 80

Fit = Callable[..., tuple[Prediction, Prediction]]


def main(_: list[str]) -> None:
    """Photos → crops → start → descent → files."""
    require(image=FLAGS.image, output=FLAGS.output)
    people = _people()
    taxonomy = taxonomy_by_name(FLAGS.taxonomy)
    regressor, run, scene = _open()
    output = make_folder(FLAGS.output)
    prior = learn_pose_prior(scene.body, run.synthetic)
    for first in range(0, len(people), run.people_at_once):
        some = people[first : first + run.people_at_once]
        batch, refused = person_batch(
            some, people, run.image_size, taxonomy, run.cleaning
        )
        for line in refused:
            print(line)
        before = _start(run, scene, regressor, batch)
        frames: list[Prediction] = []
        with tqdm(desc=f"person {first + 1} of {len(people)}", unit="step") as bar:
            watch = _watch(frames, bar)
            if FLAGS.method == "network":
                after = _tune_each(run, scene, prior, regressor, batch, watch)
            else:
                after, _terms = fit_bodies(
                    scene, prior, before, batch, run.pipeline, run.fitting, watch
                )
        _report(output, some, batch, scene.body, before, after, frames)
    print(f"{len(people)} people are in {output}")


def _people() -> list[FitPerson]:
    if FLAGS.annotations is not None:
        if FLAGS.openpose is not None:
            raise UserError("--openpose and --annotations are given: choose one")
        return find_annotated_people(
            FLAGS.annotations, FLAGS.image, FLAGS.labels, FLAGS.limit
        )
    require(openpose=FLAGS.openpose)
    return find_people(FLAGS.image, FLAGS.openpose, FLAGS.labels)


def _open() -> tuple[Regressor | None, FitRun, Scene]:
    """The network if one is given, the settings, and body and prior."""
    if FLAGS.method == "network" and FLAGS.checkpoint is None:
        raise UserError("command line: --method network needs --checkpoint")
    if FLAGS.checkpoint is None:
        run = FitRun.from_config(CONFIG.value)
        return None, run, load_configured_scene(run.body, run.semantics)
    regressor, _, trained = load_regressor(FLAGS.checkpoint)
    run = FitRun.from_config(CONFIG.value, trained.data.image_size)
    body = settings_from_config(BodySettings, dict(trained.body), "body")
    # The prior belongs to the body; how it is painted is the fit's choice.
    semantics = settings_from_config(
        SemanticsSettings,
        {**CONFIG.value.semantics, "prior": trained.semantics.prior},
        "semantics",
    )
    return regressor, run, load_configured_scene(body, semantics)


def _start(
    run: FitRun, scene: Scene, regressor: Regressor | None, batch: Batch
) -> Prediction:
    if regressor is not None:
        return predict(regressor, jnp.asarray(batch.image))
    path = run.body.mean_parameters
    mean = load_mean_parameters(path) if path else default_mean_parameters()
    return start_at_keypoints(scene.body, mean, jnp.asarray(batch.keypoints_ndc))


def _tune_each(
    run: FitRun,
    scene: Scene,
    prior: PosePrior,
    regressor: Regressor | None,
    batch: Batch,
    watch: Callable[[int, Prediction], None],
) -> Prediction:
    """A copy of the network for each person; the last person's descent is watched."""
    assert regressor is not None
    bodies = []
    for index in range(len(batch.image)):
        person = jax.tree.map(lambda leaf, i=index: leaf[i : i + 1], batch)
        alone = watch if len(batch.image) == 1 else None
        body, _ = fine_tune(
            regressor, scene, prior, person, run.pipeline, run.exemplar, alone
        )
        bodies.append(body)
    return jax.tree.map(lambda *parts: jnp.concatenate(parts), *bodies)


def _watch(frames: list[Prediction], bar: tqdm) -> Callable[[int, Prediction], None]:
    """Shows progress, and keeps the bodies if they will be drawn."""

    def look(steps: int, bodies: Prediction) -> None:
        bar.update(steps - bar.n)
        if FLAGS.animation:
            frames.append(jax.device_get(bodies))

    return look


def _report(
    output: Path,
    people: list[FitPerson],
    batch: Batch,
    body: BodyModel,
    before: Prediction,
    after: Prediction,
    frames: list[Prediction],
) -> None:
    """Writes every person's files and prints what has become better."""
    before, after = jax.device_get((before, after))
    overlaps = [
        np.asarray(silhouette_overlap(body, bodies, jnp.asarray(batch.labels)))
        for bodies in (before, after)
    ]
    for index, person in enumerate(people):
        fitted = _fitted(person, body, after, index)
        if not np.isfinite(fitted.vertices).all():
            raise UserError(
                f"{person.photo}: the fit of {person.name} is not finite; lower "
                "'fitting.learning_rate' or 'exemplar.learning_rate'"
            )
        write_person(output / person.name, read_image(person.photo), fitted)
        write_image(
            output / f"{person.name}_fit.png",
            before_and_after(body, batch, index, before, after),
        )
        if frames:
            pictures = [frame(body, batch, index, bodies) for bodies in frames]
            _write_animation(output / f"{person.name}_fit.gif", pictures)
        if batch.has_labels[index]:
            print(
                f"{person.name}: overlap with the labelled person "
                f"{overlaps[0][index]:.3f} -> {overlaps[1][index]:.3f}"
            )


def _fitted(
    person: FitPerson, body: BodyModel, bodies: Prediction, index: int
) -> FittedPerson:
    params = BodyParams(
        jnp.asarray(bodies.pose[index]), jnp.asarray(bodies.betas[index])
    )
    mesh = jax.jit(pose_body)(body, params)
    return FittedPerson(
        box=person.box,
        pose=np.asarray(bodies.pose[index]),
        betas=np.asarray(bodies.betas[index]),
        camera=np.asarray(bodies.camera[index]),
        vertices=np.asarray(mesh.vertices),
        joints=np.asarray(mesh.joints),
        faces=np.asarray(body.faces),
    )


def _write_animation(path: Path, pictures: list[np.ndarray]) -> None:
    images = [Image.fromarray(picture) for picture in pictures]
    images[0].save(
        path,
        save_all=True,
        append_images=images[1:],
        duration=_MILLISECONDS_A_FRAME,
        loop=0,
    )


if __name__ == "__main__":
    default_config(Path(__file__).parent / "configs" / "fit.py")
    run_script(main)
