"""What a run is measured on: a synthetic split, or a data set in files."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax.sharding import Mesh, PartitionSpec

from dsr_jax.arrays import Array, ArrayLike
from dsr_jax.body import BodyModel, BodyParams
from dsr_jax.data import FolderDataset, FolderSettings
from dsr_jax.errors import UserError, nearest
from dsr_jax.evaluation import (
    AnnotatedDataset,
    Bodies,
    Evaluation,
    MeasuredPeople,
    Protocol,
    evaluate_all,
    measured_people,
    predict_mean_body,
    protocol_by_name,
)
from dsr_jax.pipeline import predict
from dsr_jax.regressor import MeanParameters, Prediction
from dsr_jax.rotations import rotation_6d_to_matrix
from dsr_jax.training.data_source import PeopleDataset, make_people
from dsr_jax.training.devices import BATCH_AXIS, local_mesh
from dsr_jax.training.loading import load_evaluation_bodies
from dsr_jax.training.local_copy import for_prediction, local_copy
from dsr_jax.training.settings import FOLDER, SYNTHETIC, RunSettings
from dsr_jax.training.state import Network, TrainState

Predictor = Callable[[Array], BodyParams]
Look = Callable[[Array], Prediction]


@dataclasses.dataclass(frozen=True)
class EvaluationSet:
    """Annotated people, and what is measured on them."""

    name: str
    dataset: AnnotatedDataset
    protocol: Protocol
    bodies: Bodies
    batch_size: int
    workers: int = 8
    mesh: Mesh = dataclasses.field(default_factory=local_mesh)
    """Devices of this host; every batch is split over them."""

    @functools.cached_property
    def people(self) -> MeasuredPeople:
        """Who is measured; asked once, however often a run evaluates."""
        return measured_people(self.dataset, self.protocol)

    @functools.cached_property
    def _placed_bodies(self) -> Bodies:
        bodies = self.bodies
        male, female = (
            None if body is None else local_copy(body, self.mesh)
            for body in (bodies.male, bodies.female)
        )
        return Bodies(local_copy(bodies.neutral, self.mesh), male, female)

    def measure(self, predictor: Predictor) -> Evaluation:
        """Errors of a predictor, images (B, H, W, 3) uint8 → bodies."""
        return self.measure_all({"": predictor})[""]

    def measure_all(self, predictors: Mapping[str, Predictor]) -> dict[str, Evaluation]:
        """Errors of several predictors by name; every photo is read once."""
        return evaluate_all(
            predictors,
            self._placed_bodies,
            self.dataset,
            self.protocol,
            self.batch_size,
            self.workers,
            self.people,
            self.mesh,
        )


def open_evaluation_set(
    settings: RunSettings,
    body: BodyModel,
    mesh: Mesh,
    split: str,
    name: str | None = None,
    check: Callable[[], None] = lambda: None,
) -> EvaluationSet:
    """Makes the people, or opens the files, that a run is measured on.

    Args:
      settings: of the run.
      body: of the predictions; dressed if the people are synthetic.
      mesh: those of its devices that are this host's make synthetic people, and
        measure.
      split: "validation" or "test" of the synthetic people; files have one.
      name: "synthetic" or one of `evaluation.datasets`; `evaluation.dataset` by
        default.
      check: called while people are made; may raise to stop.

    Raises:
      UserError: an unknown name, or a missing or damaged file.
    """
    chosen = settings.evaluation
    name = chosen.dataset if name is None else name
    if name == SYNTHETIC:
        people = make_people(
            body,
            settings.synthetic,
            settings.training.seed,
            split,
            chosen.people,
            mesh,
            check,
        )
        protocol = dataclasses.replace(protocol_by_name("synthetic"), split=split)
        dataset: AnnotatedDataset = PeopleDataset(people)
    else:
        dataset, protocol = _open_files(settings, name)
    bodies = load_evaluation_bodies(settings.body, body, protocol)
    workers = settings.data.workers
    return EvaluationSet(
        name, dataset, protocol, bodies, chosen.batch_size, workers, mesh.local_mesh
    )


def check_evaluation_name(settings: RunSettings, name: str) -> None:
    """Refuses a data set that the config does not name.

    Raises:
      UserError: with the nearest name.
    """
    known = [SYNTHETIC, *(entry[0] for entry in settings.evaluation.datasets)]
    if name not in known:
        raise UserError(
            f"data set '{name}' is not in the config key 'evaluation.datasets': "
            f"{nearest(name, known)}"
        )


def state_predictor(
    network: Network, mesh: Mesh | None = None
) -> Callable[[TrainState], Predictor]:
    """Makes `state → (images → bodies)` for a state in training.

    The first call copies the state to this host (`local_copy`), so that hosts need not
    keep step; the predictor is good until the state is given away.

    Args:
      network: the regressor's static half.
      mesh: devices of this host, all by default; the number of images is a multiple of
        theirs.
    """
    mesh = local_mesh() if mesh is None else mesh

    def bodies(state: TrainState, images: Array) -> BodyParams:
        return _bodies(predict(network.for_evaluation(state), images))

    look = _on_each_device(bodies, mesh)

    def of_state(state: TrainState) -> Predictor:
        return functools.partial(look, local_copy(for_prediction(state), mesh))

    return of_state


def compiled_regressor(regressor: Callable[[Array], Prediction]) -> Look:
    """Compiles `images → predictions` for a trained regressor."""
    definition, weights = nnx.split(regressor)

    @jax.jit
    def look(weights: nnx.State, images: Array) -> Prediction:
        return predict(nnx.merge(definition, weights), images)

    return lambda images: look(weights, images)


def regressor_predictor(
    regressor: Callable[[Array], Prediction], mesh: Mesh | None = None
) -> Predictor:
    """Compiles `images → bodies` for a trained regressor; `mesh`: `state_predictor`."""
    mesh = local_mesh() if mesh is None else mesh
    definition, weights = nnx.split(regressor)

    def bodies(weights: nnx.State, images: Array) -> BodyParams:
        return _bodies(predict(nnx.merge(definition, weights), images))

    return functools.partial(_on_each_device(bodies, mesh), local_copy(weights, mesh))


def _on_each_device(
    bodies: Callable[[Any, Array], BodyParams], mesh: Mesh
) -> Callable[[Any, ArrayLike], BodyParams]:
    """Compiles `(weights, images) → bodies`, every device for its own images."""
    split = PartitionSpec(BATCH_AXIS)
    look = jax.jit(
        jax.shard_map(
            bodies,
            mesh=mesh,
            in_specs=(PartitionSpec(), split),
            out_specs=split,
            # Nothing is exchanged between devices that it could check.
            check_vma=False,
        )
    )
    return lambda weights, images: look(weights, jnp.asarray(images))


def _bodies(prediction: Prediction) -> BodyParams:
    return BodyParams(pose=prediction.pose, betas=prediction.betas)


def mean_body_predictor(mean: MeanParameters) -> Predictor:
    """The baseline that ignores the image: where the regressor's iterations start."""
    return predict_mean_body(rotation_6d_to_matrix(mean.rotation_6d), mean.betas)


def _open_files(settings: RunSettings, name: str) -> tuple[AnnotatedDataset, Protocol]:
    check_evaluation_name(settings, name)
    by_name = {entry[0]: entry for entry in settings.evaluation.datasets}
    _, annotations, images, protocol = by_name[name]
    folder = FolderSettings(
        annotations=annotations, images=images, resolution=settings.data.image_size
    )
    try:
        dataset = FolderDataset(folder)
    except UserError as error:
        raise UserError(
            f"data set '{name}' of 'evaluation.datasets': {error}"
        ) from error
    if protocol == FOLDER:
        return dataset, dataclasses.replace(protocol_by_name(protocol), dataset=name)
    return dataset, protocol_by_name(protocol)
