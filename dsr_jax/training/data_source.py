"""Batches on the devices, in an order that the seed and the step alone decide."""

import collections
import dataclasses
import functools
import itertools
from collections.abc import Callable, Generator, Sequence, Sized

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, PartitionSpec
from scipy.spatial.transform import Rotation

from dsr_jax.arrays import Array, Key
from dsr_jax.body import BodyModel
from dsr_jax.data import (
    AugmentationSettings,
    Batch,
    CropDataset,
    Dataset,
    DataSetShare,
    ExampleOrder,
    FolderDataset,
    FolderSettings,
    Person,
    Reading,
    TrainingBatches,
    draw_augmentation,
    flip_example,
    scale_channels,
)
from dsr_jax.data.synthetic import SyntheticSettings, split_key, synthetic_people
from dsr_jax.errors import UserError
from dsr_jax.hosts.exchange import gather_json
from dsr_jax.training.devices import BATCH_AXIS, at_most, put_batch
from dsr_jax.training.local_copy import local_copy
from dsr_jax.training.progress import progress_bar
from dsr_jax.training.settings import SYNTHETIC, RunSettings

# People of one call on one device: large enough to hide the call, small enough that
# the first progress shows within seconds on a CPU.
_CHUNK = 32

Generate = Callable[[Key[Array, "*D"], BodyModel], Batch]
GenerateNumbered = Callable[[Key[Array, ""], int, BodyModel], Batch]


class PeopleDataset:
    """Synthetic people in memory; mirrored and recoloured as they are drawn."""

    def __init__(self, people: Batch, augmentation: AugmentationSettings | None = None):
        self._people = people
        self._augmentation = augmentation

    def __len__(self) -> int:
        return len(self._people.image)

    def person(self, index: int) -> Person:
        """Who is in example `index`; they have no photo, and their box is the crop."""
        people, side = self._people, self._people.image.shape[1]
        name, has_body = f"person {index}", bool(people.has_body[index])
        pose = people.pose[index] if has_body else np.tile(np.eye(3), (24, 1, 1))
        turns = Rotation.from_matrix(np.asarray(pose, np.float64))
        return Person(
            name=name,
            image_name=name,
            box_center_px=np.full(2, (side - 1) / 2, np.float32),
            box_side_px=side,
            joints=np.asarray(people.joints[index]),
            pose=turns.as_rotvec().astype(np.float32),
            betas=np.asarray(people.betas[index]),
            has_body=has_body,
        )

    def example(
        self, index: int, generator: np.random.Generator | None = None
    ) -> Batch:
        """One person without a batch axis; turned and cropped as they were made."""
        example = jax.tree.map(lambda leaf: leaf[index], self._people)
        if generator is None or self._augmentation is None:
            return example
        change = draw_augmentation(generator, self._augmentation)
        image = scale_channels(example.image, change.channel_factors)
        example = dataclasses.replace(example, image=image)
        return flip_example(example) if change.flip else example


def make_people(
    body: BodyModel,
    settings: SyntheticSettings,
    seed: int,
    split: str,
    count: int,
    mesh: Mesh,
    check: Callable[[], None] = lambda: None,
) -> Batch:
    """`count` synthetic people of a split, in the host's memory, with a progress bar.

    The same people on any number of devices and hosts. Every host makes all of them, on
    its own devices: it waits for no other.

    Args:
      body: the body that is dressed.
      settings: how the people look.
      seed: of the run.
      split: "train", "validation" or "test".
      count: how many.
      mesh: the devices that make them; those of other hosts are left out.
      check: called between chunks; may raise to stop.
    """
    last = -(-count // _CHUNK) - 1
    mesh = at_most(mesh.local_mesh, last + 1)
    body = local_copy(body, mesh)
    generate = _chunk_generator(settings, mesh)
    chunks: list[Batch] = []
    with progress_bar(count, f"{split} people", "person") as bar:
        for start in range(0, last + 1, mesh.size):
            check()
            # Devices that are left over repeat the last chunk.
            numbers = [min(start + place, last) for place in range(mesh.size)]
            people = generate(_chunk_keys(seed, split, numbers), body)
            chunks.append(jax.device_get(people))
            made = min((start + mesh.size) * _CHUNK, count)
            bar.update(made - bar.n)
    return jax.tree.map(lambda *parts: np.concatenate(parts)[:count], *chunks)


def _chunk_keys(seed: int, split: str, numbers: Sequence[int]) -> Key[Array, "D"]:
    keys = [jax.random.fold_in(split_key(seed, split, number), 0) for number in numbers]
    return jnp.stack(keys)


@functools.cache  # One compilation for all splits.
def _chunk_generator(settings: SyntheticSettings, mesh: Mesh) -> Generate:
    """Compiles `(a key a device, body) → people`, a chunk a device."""

    def chunk(keys: Key[Array, "1"], body: BodyModel) -> Batch:
        return synthetic_people(keys[0], _CHUNK, body, settings)

    return jax.jit(
        jax.shard_map(
            chunk,
            mesh=mesh,
            in_specs=(PartitionSpec(BATCH_AXIS), PartitionSpec()),
            out_specs=PartitionSpec(BATCH_AXIS),
            check_vma=False,
        )
    )


@functools.cache
def people_generator(
    settings: SyntheticSettings, count: int, mesh: Mesh
) -> GenerateNumbered:
    """Compiles `(key, number of the first, body) → count people`.

    Every device makes its own share of them.

    Args:
      settings: how the people look.
      count: how many; a multiple of the devices.
      mesh: the devices.
    """

    def share(key: Key[Array, ""], first: Array, body: BodyModel) -> Batch:
        own = count // mesh.size
        first += own * jax.lax.axis_index(BATCH_AXIS)
        return synthetic_people(key, own, body, settings, first=first)

    return jax.jit(
        jax.shard_map(
            share,
            mesh=mesh,
            in_specs=PartitionSpec(),
            out_specs=PartitionSpec(BATCH_AXIS),
            check_vma=False,
        )
    )


def training_stream(
    settings: RunSettings,
    body: BodyModel,
    mesh: Mesh,
    start_step: int,
    datasets: Sequence[Dataset] = (),
    check: Callable[[], None] = lambda: None,
) -> Generator[Batch, None, None]:
    """Endless batches on the devices, from `start_step` on; to be closed at the end.

    Args:
      settings: of the run.
      body: dressed if the people are synthetic.
      mesh: where the batches go.
      start_step: a run that continues here sees what it would have seen.
      datasets: what `open_datasets` returns, if the examples come from files.
      check: called while people are made; may raise to stop.

    Raises:
      UserError: a file of a data set is missing or damaged.
    """
    training, data = settings.training, settings.data
    if data.source == SYNTHETIC and data.pool == 0:
        return _fresh_people(settings, body, mesh, start_step)
    processes = data.worker_processes
    if data.source == SYNTHETIC:
        people = make_people(
            body, settings.synthetic, training.seed, "train", data.pool, mesh, check
        )
        # In memory already: workers would only copy them.
        datasets, processes = [PeopleDataset(people, settings.augmentation)], 0
    stream = TrainingBatches(
        datasets,
        example_order(settings, datasets),
        training.batch_size,
        start_step,
        (jax.process_index(), jax.process_count()),
        Reading(data.workers, processes, data.timeout_seconds),
    )
    return _on_devices(stream, mesh)


def example_order(settings: RunSettings, datasets: Sequence[Sized]) -> ExampleOrder:
    """What the training stream shows at each position.

    Args:
      settings: of the run.
      datasets: what `open_datasets` returns, or the pool of synthetic people alone;
        their lengths are enough.

    Raises:
      UserError: a share that is too small beside the others.
    """
    data = settings.data
    parts = [1.0]
    if data.source != SYNTHETIC:
        parts = [float(entry[-1]) for entry in data.datasets]
    shares = [
        DataSetShare(name, len(dataset), share)
        for name, share, dataset in zip(
            dataset_names(settings), parts, datasets, strict=True
        )
    ]
    try:
        return ExampleOrder(shares, settings.training.seed)
    except ValueError as error:
        raise UserError(f"config key 'data.datasets': {error}") from error


def dataset_names(settings: RunSettings) -> list[str]:
    """Of the data sets of `data.datasets`, or of the synthetic people."""
    if settings.data.source == SYNTHETIC:
        return [SYNTHETIC]
    return [str(entry[0]) for entry in settings.data.datasets]


def open_datasets(settings: RunSettings) -> list[Dataset]:
    """The data sets of `data.datasets`; none if the people are synthetic.

    Raises:
      UserError: a file is missing or damaged.
    """
    if settings.data.source == SYNTHETIC:
        return []
    datasets: list[Dataset] = []
    for entry in settings.data.datasets:
        name, annotations, images, labels = map(str, entry[:4])
        folder = FolderSettings(
            annotations=annotations,
            images=images,
            labels=labels or None,
            resolution=settings.data.image_size,
            label_files=settings.labels,
            cleaning=settings.cleaning,
            broken_photos=settings.data.broken_photos,
        )
        try:
            datasets.append(FolderDataset(folder, settings.augmentation))
        except UserError as error:
            raise UserError(f"data set '{name}' of 'data.datasets': {error}") from error
    return datasets


def trouble_counts(datasets: Sequence[Dataset]) -> dict[str, float]:
    """Files of all data sets that could not be used so far, for the metrics.

    Empty if no data set comes from files.
    """
    totals: collections.Counter[str] = collections.Counter()
    for dataset in datasets:
        if isinstance(dataset, CropDataset):
            totals.update(dataset.tally.counts())
    return dict(totals)


def trouble_report(settings: RunSettings, datasets: Sequence[Dataset]) -> str:
    """The same in words, a line for each data set and reason; "" if all were used."""
    lines = [
        f"data set '{entry[0]}': {line}"
        for entry, dataset in zip(settings.data.datasets, datasets, strict=False)
        if isinstance(dataset, CropDataset)
        for line in dataset.tally.lines()
    ]
    return "\n".join(lines)


def trouble_report_of_hosts(report: str) -> str:
    """The reports of all hosts, each line with its process; every host must call it."""
    reports = gather_json(report)
    if len(reports) == 1:
        return report
    return "\n".join(
        f"process {number}: {line}"
        for number, lines in enumerate(reports)
        for line in lines.splitlines()
    )


def _fresh_people(
    settings: RunSettings, body: BodyModel, mesh: Mesh, start_step: int
) -> Generator[Batch, None, None]:
    generate = people_generator(settings.synthetic, settings.training.batch_size, mesh)
    for step in itertools.count(start_step):
        key = split_key(settings.training.seed, "train", step)
        # As the chunks of a pool have it.
        yield generate(jax.random.fold_in(key, 0), 0, body)


def _on_devices(stream: TrainingBatches, mesh: Mesh) -> Generator[Batch, None, None]:
    """Sends each batch while the one before it is used."""
    try:
        sent = put_batch(next(stream), mesh)
        for batch in stream:
            # Returns at once: the copy runs beside the step.
            following = put_batch(batch, mesh)
            yield sent
            sent = following
    finally:
        stream.close()
