"""Learns the semantic prior of a body, from scans or from synthetic clothed people.

    python tools/learn_prior.py --scans FOLDER --body FILE --output prior.npz
    python tools/learn_prior.py --body free --people 1000 --views 10 \
        --output dsr_jax/semantics/assets/free.npz

Scans are fitted bodies with cameras and label maps, see `dsr_jax.data.scans.reading`. A
stopped count (Ctrl-C) goes on when the same command is given again.

Without scans, each synthetic person stands in one pose and one outfit before every
camera. The people are of the training split; the same command gives the same file on
the same device.

Either way the visible faces of the naked body take the labels of the clothed picture,
and every view gives each vertex that it shows one vote (`semantics.prior_learning`).
"""

import functools
import math
import os
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from dsr_jax.arrays import Array
from dsr_jax.body import BodyModel, load_body
from dsr_jax.data.scans import ScanCount, count_scans, find_scans
from dsr_jax.data.synthetic import (
    SyntheticSettings,
    split_key,
    synthetic_views,
    whole_people,
)
from dsr_jax.errors import UserError, one_line_errors
from dsr_jax.rasterizer import visible_faces
from dsr_jax.semantics import (
    NUM_LABELS,
    TAXONOMIES,
    accumulate_label_counts,
    mirror_vertices,
    prior_from_counts,
    save_prior,
    symmetrize_counts,
    taxonomy_by_name,
)
from dsr_jax.training.command_line import OneLineParser
from dsr_jax.training.interruption import Interrupted, StopRequest
from dsr_jax.training.progress import progress_bar

# Synthetic people rendered together; no step is smaller, so that all share a program.
_PEOPLE_A_STEP = 4
_BROKEN_SHOWN = 10
_SYNTHETIC = {"people": 1000, "views": 10, "image_size": 224, "seed": 0}


def main() -> None:
    """Reads the command line and does the job."""
    parser = OneLineParser(description=__doc__.splitlines()[0])
    parser.add_argument("--body", default="free", help="free, free-lite or a file")
    parser.add_argument("--output", type=Path, required=True, help="the .npz to write")
    parser.add_argument(
        "--symmetrize", action="store_true", help="count mirrored views, too"
    )
    scans = parser.add_argument_group("from scans")
    scans.add_argument("--scans", type=Path, help="folder with a folder for each scan")
    scans.add_argument("--broken", choices=("stop", "skip"), default="stop")
    scans.add_argument(
        "--taxonomy", choices=sorted(TAXONOMIES), default="cihp", help="of label maps"
    )
    scans.add_argument("--threads", type=int, default=os.cpu_count(), help="at once")
    people = parser.add_argument_group("from synthetic people")
    for name, value in _SYNTHETIC.items():
        flag = f"--{name.replace('_', '-')}"
        people.add_argument(flag, type=int, help=f"{value} by default")
    arguments = vars(parser.parse_args())
    synthetic = {name: arguments.pop(name) for name in _SYNTHETIC}
    with one_line_errors(), StopRequest() as stop:
        try:
            _start(arguments, synthetic, stop)
        except Interrupted as interruption:
            outlook = "starts again" if arguments["scans"] is None else "counts on"
            print(
                f"interrupted ({interruption}): the same command {outlook}",
                file=sys.stderr,
            )
            sys.exit(interruption.exit_code)


def _start(arguments: dict, synthetic: dict, stop: StopRequest) -> None:
    """Chooses the source by what was given."""
    given = {name: value for name, value in synthetic.items() if value is not None}
    if arguments["scans"] is not None:
        if given:
            flag = f"--{min(given).replace('_', '-')}"
            raise UserError(
                f"{flag} is for synthetic people: leave it out with --scans"
            )
        learn_from_scans(**arguments, stop=stop)
    else:
        chosen = {name: arguments[name] for name in ("body", "output", "symmetrize")}
        learn(**chosen, **(_SYNTHETIC | given), stop=stop)


def learn_from_scans(
    scans: Path,
    body: str,
    output: Path,
    threads: int,
    broken: str,
    taxonomy: str,
    symmetrize: bool,
    stop: StopRequest,
) -> None:
    """Counts the scans that are not counted yet, and writes the prior.

    Raises:
      UserError: no scans, a broken one unless they are skipped, none that is not, or a
        part of the body that no view showed.
      Interrupted: after a signal; the counts so far are kept beside the output.
    """
    _check(output, threads=threads)
    model = load_body(body)
    mirror = mirror_vertices(model.template) if symmetrize else None
    folders = find_scans(scans)
    names = taxonomy_by_name(taxonomy)
    count = ScanCount(output.with_suffix(".counts.npz"), folders, model, names)
    try:
        with progress_bar(len(folders), "counting", "scan", len(count.done)) as bar:
            for folder, counts in count_scans(count.left(), model, threads, names):
                count.add(folder, counts, skip_broken=broken == "skip")
                bar.update()
                stop.check()
    finally:
        count.save()
    if not count.done:
        raise UserError(f"{scans}: every scan is broken: {count.refused[0]}")
    _write(count.counts, mirror, model, output, f"{len(count.done)} scans")
    count.remove_file()
    _report(count.refused)


def _report(refused: list[UserError]) -> None:
    if refused:
        print(f"skipped {len(refused)} broken scans:", file=sys.stderr)
    for error in refused[:_BROKEN_SHOWN]:
        print(f"  {error}", file=sys.stderr)
    if len(refused) > _BROKEN_SHOWN:
        print(f"  and {len(refused) - _BROKEN_SHOWN} more", file=sys.stderr)


def learn(
    body: str,
    people: int,
    views: int,
    image_size: int,
    seed: int,
    output: Path,
    symmetrize: bool,
    stop: StopRequest,
) -> None:
    """Renders synthetic people, counts, and writes the prior.

    Raises:
      UserError: a number that is not positive, an unknown body, a missing folder, or a
        part of the body that no view showed.
      Interrupted: after a signal; nothing is written.
    """
    _check(output, people=people, views=views)
    try:
        settings = whole_people(image_size)
    except ValueError as error:
        raise UserError(f"--image-size {image_size}: {error}") from error
    model = load_body(body)
    mirror = mirror_vertices(model.template) if symmetrize else None
    step = math.gcd(people, _PEOPLE_A_STEP)
    counts = jnp.zeros((model.template.shape[0], NUM_LABELS))
    with progress_bar(people, f"prior of {body}", "person") as bar:
        for key in jax.random.split(split_key(seed, "train"), people // step):
            counts = count_labels(counts, key, model, step, views, settings)
            counts.block_until_ready()  # or the bar would show what is queued, not done
            bar.update(step)
            stop.check()
    _write(np.asarray(counts), mirror, model, output, f"{people * views} views")


@functools.partial(jax.jit, static_argnums=(3, 4, 5), donate_argnums=0)
def count_labels(
    counts: Array,
    key: Array,
    model: BodyModel,
    people: int,
    views: int,
    settings: SyntheticSettings,
) -> Array:
    """Adds the votes of `people` new people from `views` cameras each."""
    batch, vertices_ndc = synthetic_views(key, people, views, model, settings)
    size = (settings.image_size, settings.image_size)
    hit = visible_faces(vertices_ndc, model.faces, image_size=size)
    labels = jnp.asarray(batch.labels)
    return accumulate_label_counts(
        counts, hit.face, hit.barycentric, labels, model.faces
    )


def _check(output: Path, **numbers: int) -> None:
    for name, value in numbers.items():
        if value < 1:
            raise UserError(f"--{name} is {value}: give 1 or more")
    if output.is_dir():
        raise UserError(f"--output {output}: is a folder; name the .npz to write")
    if not output.parent.is_dir():
        raise UserError(f"--output {output}: there is no such folder; create it first")


def _write(
    counts: np.ndarray,
    mirror: np.ndarray | None,
    model: BodyModel,
    output: Path,
    source: str,
) -> None:
    """Probabilities from counts, into the file."""
    votes = counts if mirror is None else symmetrize_counts(counts, mirror)
    prior = prior_from_counts(votes, model.faces, model.name)
    save_prior(output, prior)
    seen = np.asarray(prior.counts)
    print(
        f"wrote {output} from {source}: {len(seen)} vertices, the median seen in "
        f"{np.median(seen):.0f} views, {int((seen == 0).sum())} in none"
    )


if __name__ == "__main__":
    main()
