"""What a run is measured on: a synthetic split, or a data set in files."""

import dataclasses
from collections.abc import Callable, Iterator

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.sharding import Mesh

from dsr_jax.arrays import Array
from dsr_jax.body import BodyModel, BodyParams
from dsr_jax.data import Batch, FolderDataset, FolderSettings, ordered_batches
from dsr_jax.data.loader import Dataset
from dsr_jax.errors import UserError, nearest
from dsr_jax.evaluation import (
    Evaluation,
    Protocol,
    evaluate,
    predict_mean_body,
    protocol_by_name,
)
from dsr_jax.pipeline import predict
from dsr_jax.regressor import MeanParameters, Regressor
from dsr_jax.rotations import rotation_6d_to_matrix
from dsr_jax.training.data_source import PeopleDataset, make_people
from dsr_jax.training.settings import FOLDER, SYNTHETIC, RunSettings
from dsr_jax.training.state import Network, TrainState


@dataclasses.dataclass(frozen=True)
class EvaluationSet:
    """Examples with a true body, and what is measured on them."""

    name: str
    dataset: Dataset
    protocol: Protocol
    batch_size: int

    def measure(
        self, predictor: Callable[[Array], BodyParams], body: BodyModel
    ) -> Evaluation:
        """Errors of a predictor, images (B, H, W, 3) uint8 → bodies."""
        return evaluate(predictor, body, self._batches(), self.protocol)

    def _batches(self) -> Iterator[Batch]:
        for batch, counts in ordered_batches(self.dataset, self.batch_size):
            # What fills the last batch up has no truth: neither body nor joints.
            joints = np.array(batch.joints)
            joints[..., 3] *= counts[:, None]
            yield dataclasses.replace(
                batch, has_body=batch.has_body * counts, joints=joints
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
      body: dressed if the people are synthetic.
      mesh: devices that make synthetic people.
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
        dataset: Dataset = PeopleDataset(people)
    else:
        dataset, protocol = _open_files(settings, name)
    return EvaluationSet(name, dataset, protocol, chosen.batch_size)


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


def state_predictor(network: Network) -> Callable[[TrainState, Array], BodyParams]:
    """Compiles `(state, images) → bodies` for a state in training."""

    @jax.jit
    def bodies(state: TrainState, images: Array) -> BodyParams:
        prediction = predict(network.for_evaluation(state), images)
        return BodyParams(pose=prediction.pose, betas=prediction.betas)

    return bodies


def regressor_predictor(regressor: Regressor) -> Callable[[Array], BodyParams]:
    """Compiles `images → bodies` for a trained regressor."""
    definition, weights = nnx.split(regressor)

    @jax.jit
    def bodies(weights: nnx.State, images: Array) -> BodyParams:
        prediction = predict(nnx.merge(definition, weights), images)
        return BodyParams(pose=prediction.pose, betas=prediction.betas)

    return lambda images: bodies(weights, jnp.asarray(images))


def mean_body_predictor(mean: MeanParameters) -> Callable[[Array], BodyParams]:
    """The baseline that ignores the image: where the regressor's iterations start."""
    return predict_mean_body(rotation_6d_to_matrix(mean.rotation_6d), mean.betas)


def _open_files(settings: RunSettings, name: str) -> tuple[Dataset, Protocol]:
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
