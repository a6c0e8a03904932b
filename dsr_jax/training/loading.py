"""From settings to what they name: body, prior, network; and from a run's folder."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import jax
from flax import nnx
from jax.sharding import SingleDeviceSharding
from ml_collections import ConfigDict

from dsr_jax.body import BodyModel, load_body
from dsr_jax.errors import UserError
from dsr_jax.evaluation import Bodies, Protocol
from dsr_jax.evaluation.protocol import ANNOTATION
from dsr_jax.pipeline import Scene
from dsr_jax.regressor import (
    MeanParameters,
    Regressor,
    RegressorSettings,
    WeightReport,
    default_mean_parameters,
    fill_from_file,
    load_mean_parameters,
    open_weights,
)
from dsr_jax.semantics import load_prior, most_likely
from dsr_jax.training.checkpoint import CHECKPOINTS, Checkpoints, has_checkpoint
from dsr_jax.training.devices import put
from dsr_jax.training.run_folder import read_run_config
from dsr_jax.training.settings import BodySettings, RunSettings, SemanticsSettings
from dsr_jax.training.state import Network, TrainState, begin_with, split_regressor


def load_configured_body(settings: BodySettings) -> BodyModel:
    """The body of a config.

    Raises:
      UserError: a file is missing or damaged.
    """
    return load_body(
        settings.name,
        extra_regressor=settings.extra_regressor or None,
        h36m_regressor=settings.h36m_regressor or None,
    )


def load_evaluation_bodies(
    settings: BodySettings, neutral: BodyModel, protocol: Protocol
) -> Bodies:
    """The body of the predictions, and those of gendered truth if it is asked for.

    Raises:
      UserError: a file is missing or damaged.
    """
    if protocol.gender != ANNOTATION:
        return Bodies(neutral)
    male, female = (
        load_configured_body(dataclasses.replace(settings, name=name)) if name else None
        for name in (settings.male, settings.female)
    )
    return Bodies(neutral, male, female)


def load_scene(settings: RunSettings) -> Scene:
    """Body and prior of a config.

    Raises:
      UserError: a file is missing or damaged, or the prior is of another body.
    """
    return load_configured_scene(settings.body, settings.semantics)


def load_configured_scene(body: BodySettings, semantics: SemanticsSettings) -> Scene:
    """Body and prior of two sections of a config; raises as `load_scene`."""
    model = load_configured_body(body)
    prior = load_prior(semantics.prior)
    prior.check_body(model.template.shape[0], model.faces.shape[0])
    return Scene(model, most_likely(prior) if semantics.most_likely else prior)


def configured_mean(settings: RunSettings) -> MeanParameters:
    """The body and camera that the regressor's iterations start from.

    Raises:
      UserError: the file is missing or damaged.
    """
    path = settings.body.mean_parameters
    if not path:
        return default_mean_parameters()
    try:
        return load_mean_parameters(path)
    except UserError as error:
        raise UserError(f"config key 'body.mean_parameters': {error}") from error


def regressor_builder(settings: RunSettings) -> Callable[[nnx.Rngs], Regressor]:
    """Makes the regressor of a config from random streams.

    Raises:
      UserError: the file of mean parameters is missing or damaged.
    """
    mean = configured_mean(settings)
    return lambda rngs: Regressor(settings.regressor, mean, rngs)


def load_regressor(
    workdir: str | Path, which: Literal["best", "latest"] = "best"
) -> tuple[Regressor, BodyModel, ConfigDict]:
    """The trained regressor of a run, ready to predict, with its body and its config.

    Args:
      workdir: the folder of the run.
      which: the checkpoint with the lowest 1.5·PA-MPJPE + MPJPE on the validation
        split, or the newest.

    Raises:
      UserError: as `restore_regressor`, or a file of the body is missing or damaged.
    """
    config = read_run_config(workdir)
    body = load_configured_body(RunSettings.from_config(config).body)
    return restore_regressor(workdir, which), body, config


def restore_regressor(
    workdir: str | Path, which: Literal["best", "latest"] = "best"
) -> Regressor:
    """The trained regressor of a run, ready to predict; arguments: `load_regressor`.

    Raises:
      UserError: no such folder, not a run's folder, no checkpoint yet, a damaged
        checkpoint, or one that the config does not fit.
    """
    settings = RunSettings.from_config(read_run_config(workdir))
    folder = Path(workdir).expanduser().absolute()
    build = regressor_builder(settings)
    abstract = nnx.eval_shape(lambda: build(nnx.Rngs(0)))
    network, params, rng, statistics = split_regressor(abstract)
    sharding = SingleDeviceSharding(jax.local_devices()[0])
    like = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding),
        {"params": params, "statistics": statistics},
    )
    checkpoints = _open_checkpoints(folder)
    step = checkpoints.best_step if which == "best" else checkpoints.latest_step
    if step is None:
        raise UserError(f"{workdir}: holds no checkpoint yet; train longer")
    restored = checkpoints.restore_regressor(step, like)
    checkpoints.close()
    # Dropout is off in evaluation: any keys serve.
    keys = jax.tree.map(
        lambda leaf: (
            jax.random.key(0)
            if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)
            else jax.numpy.zeros(leaf.shape, leaf.dtype)
        ),
        rng,
    )
    parts = restored["params"], keys, restored["statistics"]
    return nnx.merge(network.evaluation, *parts)


def check_start_from(path: str) -> None:
    """Finds what is wrong with `training.start_from` before anything is made.

    Args:
      path: as in `start_from`; "" for none.

    Raises:
      UserError: no such file or folder, a file that is no checkpoint, or a folder
        without one.
    """
    place = Path(path).expanduser()
    if not path:
        return
    if not place.exists():
        raise UserError(
            f"{path}: no such file or folder; set --config.training.start_from to a "
            "run's folder or a checkpoint file"
        )
    if place.is_file():
        open_weights(place)
    elif not has_checkpoint(place / CHECKPOINTS):
        raise UserError(f"{place}: holds no checkpoint yet; train longer")


def start_from(
    state: TrainState, path: str, network: Network, settings: RegressorSettings
) -> TrainState:
    """The state with the weights of an earlier run, or of a file, at step 0.

    Args:
      state: of a new run.
      path: the folder of a run, whose best weights are taken, or a checkpoint of
        PyTorch or safetensors with a regressor or a backbone (`fill_from_file`).
      network: of the state.
      settings: of the network.

    Raises:
      UserError: as `restore_regressor` or `fill_from_file`, or the networks differ.
    """
    check_start_from(path)
    if Path(path).expanduser().is_file():
        return start_from_file(state, path, network, settings)[0]
    return _start_from_run(state, path)


def start_from_file(
    state: TrainState, path: str, network: Network, settings: RegressorSettings
) -> tuple[TrainState, WeightReport]:
    """The state with the weights of a file, and where every tensor went.

    Raises:
      UserError: as `fill_from_file`.
    """
    regressor = network.for_evaluation(state)
    report = fill_from_file(regressor, Path(path).expanduser(), settings)
    _, params, _, statistics = split_regressor(regressor)
    # Where the state's own arrays are.
    params, statistics = (
        jax.tree.map(lambda new, old: put(new, old.sharding), new, old)
        for new, old in ((params, state.params), (statistics, state.statistics))
    )
    return begin_with(state, params, statistics), report


def _start_from_run(state: TrainState, workdir: str) -> TrainState:
    checkpoints = _open_checkpoints(Path(workdir).expanduser().absolute())
    step = checkpoints.best_step
    if step is None:
        raise UserError(f"{workdir}: holds no checkpoint yet; train longer")
    like = {"params": state.params, "statistics": state.statistics}
    restored = checkpoints.restore_regressor(step, like)
    checkpoints.close()
    return begin_with(state, **restored)


def _open_checkpoints(folder: Path) -> Checkpoints:
    if not (folder / CHECKPOINTS).is_dir():
        raise UserError(f"{folder}: holds no checkpoint yet; train longer")
    return Checkpoints(folder, read_only=True)
