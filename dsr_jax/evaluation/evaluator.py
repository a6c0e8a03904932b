"""Runs a protocol: bodies on the device, every error on the host in float64."""

import collections
import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from dsr_jax.arrays import Array, Bool, Float, Int
from dsr_jax.body import BodyParams, mean_pose
from dsr_jax.data import Batch, ordered_batches
from dsr_jax.errors import UserError
from dsr_jax.evaluation.error_rows import (
    Rows,
    error_rows,
    gather_rows,
    host_share,
    merge_rows,
)
from dsr_jax.evaluation.evaluation import Evaluation, summarize
from dsr_jax.evaluation.people import AnnotatedDataset, MeasuredPeople, measured_people
from dsr_jax.evaluation.points import (
    Bodies,
    Points,
    check_bodies,
    joint_names,
    predicted_points,
    true_points,
)
from dsr_jax.evaluation.protocol import Protocol

Predict = Callable[[Any], BodyParams]


def evaluate(
    predict: Predict,
    bodies: Bodies,
    dataset: AnnotatedDataset,
    protocol: Protocol,
    batch_size: int = 64,
    workers: int = 8,
) -> Evaluation:
    """Means over all people whom the protocol keeps; see `evaluate_all`."""
    predictors = {"": predict}
    results = evaluate_all(predictors, bodies, dataset, protocol, batch_size, workers)
    return results[""]


def evaluate_all(
    predictors: Mapping[str, Predict],
    bodies: Bodies,
    dataset: AnnotatedDataset,
    protocol: Protocol,
    batch_size: int = 64,
    workers: int = 8,
    people: MeasuredPeople | None = None,
) -> dict[str, Evaluation]:
    """Measures several predictors on the same people, whose photos are read once.

    Only people whom the protocol keeps are read. Every host measures its share, and
    all hosts return the same result; nobody counts twice, wherever batches end.

    Args:
      predictors: by name; images (B, H, W, 3) uint8 → pose and betas of B bodies.
      bodies: of the predictions, and of the truth where that is a body.
      dataset: examples, and who is in them.
      protocol: what is measured.
      batch_size: images at once; the last batch is filled up, and what fills it is
        dropped.
      workers: threads that read examples.
      people: `measured_people` of them, where it is known: asking everybody in a
        folder of records reads all of it.

    Raises:
      UserError: the protocol keeps nobody, a body or joint set is missing, a photo
        cannot be read, or a prediction is not finite.
    """
    if people is None:
        people = measured_people(dataset, protocol)
    check_bodies(bodies, people, protocol)
    own = people.rows(_own_rows(people, protocol))
    rows = _measure(predictors, bodies, dataset, own, protocol, batch_size, workers)
    names = joint_names(bodies.neutral, protocol)
    results = {}
    for name, of_predictor in rows.items():
        gathered = gather_rows(of_predictor)
        seen = _with_photo(people, gathered["index"], protocol)
        results[name] = summarize(protocol, seen, gathered, names)
    return results


def _measure(
    predictors: Mapping[str, Predict],
    bodies: Bodies,
    dataset: AnnotatedDataset,
    people: MeasuredPeople,
    protocol: Protocol,
    batch_size: int,
    workers: int,
) -> dict[str, Rows]:
    """Rows of every predictor for this host's people."""
    parts = collections.defaultdict(list)
    subset = _Subset(dataset, people.index)
    for number, (batch, counts) in enumerate(
        ordered_batches(subset, batch_size, workers)
    ):
        # What fills the last batch up is its last person again.
        places = np.minimum(
            number * batch_size + np.arange(batch_size), len(people) - 1
        )
        members = people.rows(places)
        target = true_points(bodies, batch, members.gender, protocol)
        known = (counts > 0) & _has_truth(batch, protocol)
        members, target = members.rows(known), target.rows(known)
        _check_finite(target, members, protocol, "the truth")
        for name, predict in predictors.items():
            params = predict(batch.image)
            predicted = predicted_points(bodies.neutral, params, protocol).rows(known)
            _check_finite(predicted, members, protocol, "the prediction")
            parts[name].append(error_rows(members.index, predicted, target))
    return {name: merge_rows(chunks) for name, chunks in parts.items()}


class _Subset:
    """Some examples of a data set, as the loader wants them."""

    def __init__(self, dataset: AnnotatedDataset, index: np.ndarray):
        self._dataset, self._index = dataset, index

    def __len__(self) -> int:
        return len(self._index)

    def example(
        self, index: int, generator: np.random.Generator | None = None
    ) -> Batch:
        return self._dataset.example(int(self._index[index]), generator)


def _has_truth(batch: Batch, protocol: Protocol) -> Bool[np.ndarray, "B"]:
    """False for examples whose photo could not be used, where that is allowed."""
    if protocol.true_body:
        return np.asarray(batch.has_body) > 0
    return np.asarray((np.asarray(batch.joints)[..., 3] > 0).any(axis=-1))


def _own_rows(people: MeasuredPeople, protocol: Protocol) -> Int[np.ndarray, "M"]:
    """Which of the people this host measures."""
    hosts = jax.process_count()
    if len(people) < hosts:
        raise UserError(
            f"protocol '{protocol.name}': keeps {len(people)} people of the data set, "
            f"fewer than the {hosts} hosts; measure on one"
        )
    return np.arange(len(people))[host_share(len(people), jax.process_index(), hosts)]


def _with_photo(
    people: MeasuredPeople, index: Int[np.ndarray, "M"], protocol: Protocol
) -> MeasuredPeople:
    """Those whose photo could be used; the others are counted."""
    missing = len(people) - len(index)
    if not missing:
        return people
    if not len(index):
        raise UserError(
            f"protocol '{protocol.name}': no photo could be used; check the data set"
        )
    seen = people.rows(np.isin(people.index, index))
    left_out = people.left_out | {"photo cannot be used": missing}
    return dataclasses.replace(seen, left_out=left_out)


def _check_finite(
    points: Points, people: MeasuredPeople, protocol: Protocol, what: str
) -> None:
    broken = np.flatnonzero(~points.finite())
    if len(broken):
        raise UserError(
            f"protocol '{protocol.name}': {what} is not finite for "
            f"{people.name[broken[0]]}; check the checkpoint's weights and the data "
            "set's annotations"
        )


def predict_mean_body(
    pose: Float[Array, "24 3 3"] | None = None, betas: Float[Array, "10"] | None = None
) -> Predict:
    """The baseline that ignores the image: one body, upright and facing the camera."""
    one_pose = mean_pose() if pose is None else pose
    one_betas = jnp.zeros(10) if betas is None else betas

    def predict(images: Any) -> BodyParams:
        count = images.shape[0]
        return BodyParams(
            jnp.broadcast_to(one_pose, (count, 24, 3, 3)),
            jnp.broadcast_to(one_betas, (count, 10)),
        )

    return predict
