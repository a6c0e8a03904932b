"""Runs a protocol: bodies on the device, every error on the host in float64."""

import collections
import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

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
from dsr_jax.hosts import moved
from dsr_jax.hosts.shared_failure import raise_together

Predict = Callable[[Any], BodyParams]
Tree = TypeVar("Tree")


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
    mesh: Mesh | None = None,
) -> dict[str, Evaluation]:
    """Measures several predictors on the same people, whose photos are read once.

    Only people whom the protocol keeps are read. Every host measures its share and
    waits for no other before the end, where all hosts get the same result, or the error
    of the first host that met one; nobody counts twice, wherever batches end.

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
      mesh: devices of this host, over which every batch is split: its size is rounded
        up to a multiple of theirs. Predictors get their images there, and the bodies
        must lie there. Without, images stay in memory.

    Raises:
      UserError: the protocol keeps nobody, a body or joint set is missing, a photo
        cannot be read, or a prediction is not finite.
    """
    if people is None:
        people = measured_people(dataset, protocol)
    check_bodies(bodies, people, protocol)
    own = np.arange(len(people))[_own_share(len(people))]
    # A host with nobody to measure takes part, too: its row is dropped.
    measured = people.rows(own if len(own) else np.zeros(1, int))
    split = _Split(mesh, min(batch_size, len(measured)))
    rows: dict[str, Rows] = {}
    failure: UserError | None = None
    try:
        rows = _measure(predictors, bodies, dataset, measured, protocol, split, workers)
    except UserError as error:
        failure = error
    raise_together(failure)
    names = joint_names(bodies.neutral, protocol)
    results = {}
    for name, of_predictor in rows.items():
        if not len(own):
            of_predictor = {n: column[:0] for n, column in of_predictor.items()}
        gathered = gather_rows(of_predictor)
        seen = _with_photo(people, gathered["index"], protocol)
        results[name] = summarize(protocol, seen, gathered, names)
    return results


class _Split:
    """How a batch lies on the devices."""

    def __init__(self, mesh: Mesh | None, batch_size: int):
        self._sharding: NamedSharding | None = None
        self.batch_size = batch_size
        if mesh is not None:
            self._sharding = NamedSharding(mesh, PartitionSpec(mesh.axis_names))
            self.batch_size = -(-batch_size // mesh.size) * mesh.size

    def place(self, tree: Tree) -> Tree:
        """The arrays on their devices; not moved if they are there."""
        return tree if self._sharding is None else jax.device_put(tree, self._sharding)


def _measure(
    predictors: Mapping[str, Predict],
    bodies: Bodies,
    dataset: AnnotatedDataset,
    people: MeasuredPeople,
    protocol: Protocol,
    split: _Split,
    workers: int,
) -> dict[str, Rows]:
    """Rows of every predictor for this host's people."""
    parts = collections.defaultdict(list)
    subset = _Subset(dataset, people.index)
    for number, (batch, counts) in enumerate(
        ordered_batches(subset, split.batch_size, workers)
    ):
        moved()
        # What fills the last batch up is its last person again.
        places = np.minimum(
            number * split.batch_size + np.arange(split.batch_size), len(people) - 1
        )
        members = people.rows(places)
        target = true_points(bodies, batch, members.gender, protocol, split.place)
        known = (counts > 0) & _has_truth(batch, protocol)
        members, target = members.rows(known), target.rows(known)
        _check_finite(target, members, protocol, "the truth")
        images = split.place(batch.image)
        for name, predict in predictors.items():
            params = split.place(predict(images))
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


def _own_share(count: int) -> slice:
    """Which of the people this host measures."""
    return host_share(count, jax.process_index(), jax.process_count())


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
