"""The votes that a semantic prior is learnt from, counted on all devices of all hosts.

Work is dealt over hosts, each host adds its own in float64, and the sums are joined at
the end. Neither the devices nor the order change a bit of the result: a scan and a step
of synthetic people are counted in float32 by one device whatever is counted beside
them, and sums of these are exact in float64. (A vote is 1, or rarely a fraction 1/n of
n pixels equally near; in float32 it is a multiple of 2^-24/n or more, so that 2^20
views fit into 53 bits even at n = 256.)
"""

import collections
import contextlib
import dataclasses
import functools
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, PartitionSpec

from dsr_jax.arrays import Array, Float, Key
from dsr_jax.body import BodyModel
from dsr_jax.data.scans import ScanCount, count_files, count_scans
from dsr_jax.data.synthetic import SyntheticSettings, split_key, synthetic_views
from dsr_jax.errors import UserError
from dsr_jax.hosts.exchange import gather_json, sum_over_hosts
from dsr_jax.hosts.shared_failure import failing_together
from dsr_jax.rasterizer import visible_faces
from dsr_jax.semantics import NUM_LABELS, Taxonomy, accumulate_label_counts
from dsr_jax.training.devices import BATCH_AXIS, at_most, local_mesh
from dsr_jax.training.local_copy import local_copy
from dsr_jax.training.progress import progress_bar

# Synthetic people rendered together; no step is smaller, so that all share a program.
_PEOPLE_A_STEP = 4
# Scans of a host between two looks at how the other hosts are.
_SCANS_A_ROUND = 8

Votes = Float[np.ndarray, "V L"]


@dataclasses.dataclass(frozen=True)
class ScanVotes:
    """What all hosts have counted."""

    counts: Votes
    done: int
    """How many scans are in the counts."""
    refused: list[str]
    """What is wrong with the scans that were skipped, a line each."""
    own: tuple[ScanCount, ...]
    """This host's files."""

    def remove_files(self) -> None:
        """Ends the count; until then the same command finds it done."""
        for count in self.own:
            count.remove_file()


def synthetic_votes(
    model: BodyModel,
    people: int,
    views: int,
    settings: SyntheticSettings,
    seed: int,
    check: Callable[[], None],
    mesh: Mesh | None = None,
) -> Votes:
    """Renders people of the training split and counts; every host must call it.

    Args:
      model: who they are.
      people: how many.
      views: of each.
      settings: how they look.
      seed: of the people.
      check: called after each round of steps; may raise to stop.
      mesh: devices of this host, all by default.

    Raises:
      UserError: a seed that is too large.
      Interrupted: after a signal on any host.
    """
    hosts, step = jax.process_count(), math.gcd(people, _PEOPLE_A_STEP)
    keys = jax.random.split(split_key(seed, "train"), people // step)
    own, most = keys[jax.process_index() :: hosts], -(-len(keys) // hosts)
    mesh = at_most(local_mesh() if mesh is None else mesh, most)
    model = local_copy(model, mesh)
    total = np.zeros((len(model.template), NUM_LABELS))
    with progress_bar(people, f"prior of {model.name}", "person") as bar:
        for first in range(0, most, mesh.size):
            with failing_together():
                places = np.arange(first, min(first + mesh.size, len(own)))
                if len(places):
                    # Devices that are left over repeat the last step.
                    some = own[np.resize(places, mesh.size)]
                    counts = _count_steps(mesh, step, views, settings)(some, model)
                    total += np.asarray(counts[: len(places)], np.float64).sum(0)
                everyone = (first + mesh.size) * step * hosts
                bar.update(min(everyone, people) - bar.n)
                check()
    return sum_over_hosts(total)


@functools.cache
def _count_steps(
    mesh: Mesh, people: int, views: int, settings: SyntheticSettings
) -> Callable[[Key[Array, "D"], BodyModel], Float[Array, "D V L"]]:
    """Compiles `(a key a device, body) → the votes of each device's step`."""

    def count(keys: Key[Array, "1"], model: BodyModel) -> Float[Array, "1 V L"]:
        batch, vertices_ndc = synthetic_views(keys[0], people, views, model, settings)
        size = (settings.image_size, settings.image_size)
        hit = visible_faces(vertices_ndc, model.faces, image_size=size)
        labels = jnp.asarray(batch.labels)
        counts = jnp.zeros((len(model.template), NUM_LABELS))
        return accumulate_label_counts(
            counts, hit.face, hit.barycentric, labels, model.faces
        )[None]

    split = PartitionSpec(BATCH_AXIS)
    return jax.jit(
        jax.shard_map(
            count,
            mesh=mesh,
            in_specs=(split, PartitionSpec()),
            out_specs=split,
            # The rasterizer's loops start from constants, which the check refuses.
            check_vma=False,
        )
    )


def scan_votes(
    folders: Sequence[Path],
    model: BodyModel,
    taxonomy: Taxonomy,
    output: Path,
    threads: int,
    skip_broken: bool,
    check: Callable[[], None],
) -> ScanVotes:
    """Counts the scans that no host has counted yet; every host must call it.

    Every host keeps its own count in a file beside `output` (`count_files`), so that a
    stopped count goes on, on any number of hosts that see these files.

    Args:
      folders: of all scans, in order.
      model: the body.
      taxonomy: what the label maps hold.
      output: of the prior.
      threads: scans that this host counts at a time.
      skip_broken: whether broken scans are left out.
      check: called after each scan; may raise to stop.

    Raises:
      UserError: a scan is broken on any host and is not to be skipped, or a file of an
        unfinished count cannot be used.
      Interrupted: after a signal on any host; the counts so far are kept.
    """
    host, hosts = jax.process_index(), jax.process_count()
    with failing_together():
        files = count_files(output, host, hosts)
        kept = tuple(ScanCount(file, folders, model, taxonomy) for file in files)
    done = _all_done(kept, output)
    left = [folder for folder in folders if folder.name not in done]
    with progress_bar(len(folders), "counting", "scan", len(done)) as bar:
        own = count_scans(left[host::hosts], model, threads, taxonomy)
        with contextlib.closing(own), _saved(kept[0]):
            for _ in range(-(-len(left) // (hosts * _SCANS_A_ROUND))):
                with failing_together():
                    for folder, counts in itertools.islice(own, _SCANS_A_ROUND):
                        kept[0].add(folder, counts, skip_broken)
                        bar.update(min(hosts, bar.total - bar.n))
                        check()
    return ScanVotes(
        counts=sum_over_hosts(np.sum([count.counts for count in kept], axis=0)),
        done=len(_all_done(kept, output)),
        refused=_of_all_hosts([str(error) for error in kept[0].refused]),
        own=kept,
    )


@contextlib.contextmanager
def _saved(count: ScanCount) -> Iterator[None]:
    """Saves the count at the end, whatever ends it."""
    try:
        yield
    finally:
        count.save()


def _all_done(kept: Sequence[ScanCount], output: Path) -> set[str]:
    """Names of the scans that any host has counted."""
    names = _of_all_hosts([name for count in kept for name in count.done])
    twice = [name for name, times in collections.Counter(names).items() if times > 1]
    if twice:
        raise UserError(
            f"{output.with_suffix('.counts*.npz')}: unfinished counts that hold the "
            f"scan '{twice[0]}' twice; delete these files to count from the start"
        )
    return set(names)


def _of_all_hosts(lines: list[str]) -> list[str]:
    return [line for part in gather_json(lines) for line in part]
